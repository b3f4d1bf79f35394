"""What every test may ask for. Threads are limited before numpy and torch are imported: the suite shares its cores."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# A developer's own TIMBRE_* must not steer a test.
for _name in [name for name in os.environ if name.startswith("TIMBRE_")]:
    del os.environ[_name]

import shutil
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

REPO_ROOT = Path(__file__).resolve().parent.parent

# No deadline: two shared cores are at times ten times slower than they were a second ago.
hypothesis_settings.register_profile("studio", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("studio")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The root of the repository."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The project's shared material (specs, fixtures, real speech), which lies beside the repository or not at all."""
    path = REPO_ROOT.parent / "shared"
    if not (path / "fixtures").is_dir():
        pytest.skip(f"no shared material at {path}")
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a real Chromium or Chrome; skips where none is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        found = shutil.which(name)
        if found:
            return found
    pytest.skip("no Chromium on this machine (apt-get install chromium)")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A fresh, empty workspace whose path has a space and Chinese characters in it, as people's do."""
    path = tmp_path / "我的 studio"
    path.mkdir()
    return path


def save_wav(path: Path, audio: np.ndarray, rate_hz: int) -> Path:
    """Write mono float audio [N] as 16-bit PCM with nothing but the standard library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def write_wav() -> Callable[[Path, np.ndarray, int], Path]:
    """`write_wav(path, audio [N] float, rate_hz) -> path`: 16-bit PCM mono."""
    return save_wav


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 12 s of synthetic speech (a woman's voice), 22.05 kHz mono wav. Read it, never write to it."""
    from core.audio.synthetic import WOMAN, recording

    audio, rate_hz = recording(12.0, WOMAN)
    return save_wav(tmp_path_factory.mktemp("speech") / "woman.wav", audio, rate_hz)


@pytest.fixture(scope="session")
def speech_man(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 6 s of synthetic speech (a man's voice), 22.05 kHz mono wav. Read it, never write to it."""
    from core.audio.synthetic import MAN, recording

    audio, rate_hz = recording(6.0, MAN)
    return save_wav(tmp_path_factory.mktemp("speech") / "man.wav", audio, rate_hz)
