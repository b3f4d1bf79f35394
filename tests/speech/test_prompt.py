"""Reference clips: good ones pass, others say what is wrong."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadInput
from core.speech.prompt import ReferenceClip, file_sha256, read_clip, roles

WriteWav = Callable[[Path, np.ndarray, int], Path]


def voice(seconds: float, rate_hz: int = 16000, level: float = 0.3) -> np.ndarray:
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    swell = np.clip(np.sin(2 * np.pi * 2 * at), 0, 1)
    noise = 1e-4 * np.random.default_rng(0).standard_normal(at.size)
    return level * swell * np.sin(2 * np.pi * 200 * at) + noise


def test_a_good_clip(tmp_path: Path, write_wav: WriteWav) -> None:
    path = write_wav(tmp_path / "a.wav", voice(5), 16000)
    clip = read_clip(path, 24000, "  What is said. ")
    assert (clip.rate_hz, clip.text, clip.findings) == (24000, "What is said.", ())
    assert clip.duration_s == pytest.approx(5, abs=0.01)
    assert clip.sha256 == file_sha256(path)


def test_findings(tmp_path: Path, write_wav: WriteWav) -> None:
    assert "3 s or more" in read_clip(write_wav(tmp_path / "a.wav", voice(1.5), 16000), 16000).findings[0]
    assert "faster" in read_clip(write_wav(tmp_path / "b.wav", voice(40), 16000), 16000).findings[0]
    quiet = read_clip(write_wav(tmp_path / "c.wav", voice(5, level=0.006), 16000), 16000)
    assert any("quiet" in finding for finding in quiet.findings)
    noise = 0.2 * np.random.default_rng(1).standard_normal(80000)
    noisy = read_clip(write_wav(tmp_path / "d.wav", voice(5) + noise, 16000), 16000)
    assert any("noisy" in finding for finding in noisy.findings)
    loud = read_clip(write_wav(tmp_path / "e.wav", 9 * voice(5), 16000), 16000)
    assert any("clipped" in finding for finding in loud.findings)


@pytest.mark.parametrize(
    ("audio", "words"),
    [(voice(0.2), "too short"), (voice(300, 2000), "longer than 60 s"), (np.zeros(80000), "silent")],
    ids=["0.2 s", "5 min", "silence"],
)
def test_refused(tmp_path: Path, write_wav: WriteWav, audio: np.ndarray, words: str) -> None:
    path = write_wav(tmp_path / "bad.wav", audio, 2000 if audio.size == 600_000 else 16000)
    with pytest.raises(BadInput, match=words) as caught:
        read_clip(path, 16000)
    assert "bad.wav" in caught.value.message
    assert caught.value.hint


def test_stereo_at_192_khz(tmp_path: Path) -> None:
    import soundfile

    mono = voice(3, 192000)
    soundfile.write(tmp_path / "wide.flac", np.stack([mono, 0.5 * mono], axis=1), 192000)
    clip = read_clip(tmp_path / "wide.flac", 16000)
    assert clip.audio.ndim == 1
    assert clip.duration_s == pytest.approx(3, abs=0.01)


def test_no_sound_at_all(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello")
    for name in ("text.wav", "missing.wav"):
        with pytest.raises(BadInput):
            read_clip(tmp_path / name, 16000)


@pytest.mark.parametrize(
    ("mode", "text", "alone", "wanted"),
    [
        ("auto", "Said.", True, (True, False)),
        ("auto", "", True, (False, True)),
        ("auto", "", False, (True, False)),  # the engine says that the words are missing
        ("continue", "Said.", True, (True, False)),
        ("reference", "Said.", True, (False, True)),
        ("both", "Said.", True, (True, True)),
        ("zero_shot", "Said.", False, (True, False)),
    ],
)
def test_what_a_clip_is_used_for(mode: str, text: str, alone: bool, wanted: tuple[bool, bool]) -> None:
    clip = ReferenceClip(np.zeros(16000, np.float32), 16000, text, "0", Path("c.wav"))
    found = roles(clip, mode, alone)
    assert tuple(one is clip for one in found) == wanted
    assert tuple(one is not None for one in found) == wanted
