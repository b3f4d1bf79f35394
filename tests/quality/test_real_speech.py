"""Clean recordings of two real readers are left in peace, and what is spoilt among them is found."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.audio.decode import load
from core.audio.encode import write_audio
from core.audio.resample import resample
from core.jobs.context import ForegroundContext
from core.quality.gate import run_qa
from core.settings import load_settings
from tests.quality.conftest import in_room

READERS = ("en_US_f_Allison", "it_IT_m_Carlo")
N_CLIPS = 10


def clips_of(shared_dir: Path, reader: str) -> dict[str, np.ndarray]:
    """The first clips of 2 to 5 s, by name."""
    found: dict[str, np.ndarray] = {}
    for path in sorted((shared_dir / "data" / reader).glob("*.flac")):
        audio = load(path, 16000)
        if 2.0 <= audio.size / 16000 <= 5.0:
            found[path.stem] = audio
        if len(found) == N_CLIPS:
            break
    return found


def spoilt(clips: list[np.ndarray]) -> dict[str, tuple[np.ndarray, int, str]]:
    """Defects of known kind: name -> (audio, rate, the code that must be said)."""
    rng = np.random.default_rng(0)
    power = float(np.mean(clips[0] ** 2))
    noisy = clips[0] + rng.standard_normal(clips[0].size).astype(np.float32) * np.sqrt(power / 10**0.6)
    loudest = float(np.abs(clips[1]).max())
    return {
        "noisy": (noisy, 16000, "noisy"),
        "clipped": (np.clip(clips[1] * 4.0 / loudest, -1.0, 1.0), 16000, "clipped"),
        "telephone": (resample(resample(clips[2], 16000, 8000), 8000, 44100), 44100, "narrow_band"),
        "hall": (0.5 * in_room(clips[3], 1.2), 16000, "reverberant"),
        "again": (np.concatenate([np.zeros(3000, np.float32), 0.5 * clips[4]]), 16000, "duplicate"),
        "soft": (clips[5] * 0.003, 16000, "too_soft"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_no_false_alarm_and_every_defect(tmp_path: Path, workspace: Path, shared_dir: Path, reader: str) -> None:
    clips = clips_of(shared_dir, reader)
    for name, audio in clips.items():
        write_audio(tmp_path / f"{name}.wav", audio, 16000)
    made = spoilt(list(clips.values()))
    for name, (audio, rate_hz, _) in made.items():
        write_audio(tmp_path / f"bad-{name}.wav", audio, rate_hz)
    ctx = ForegroundContext(load_settings({"workspace": str(workspace)}, env={}))
    result = run_qa({"folder": str(tmp_path), "workers": 1}, ctx)
    rows = json.loads(Path(result["details"]).read_bytes())["rows"]
    said = {Path(row["audio"]).stem: {one["code"] for one in row["findings"]} for row in rows}
    missed = {name: code for name, (_, _, code) in made.items() if code not in said[f"bad-{name}"]}
    assert missed == {}
    false_alarms = {name: said[name] for name in clips if said[name]}
    assert false_alarms == {}
