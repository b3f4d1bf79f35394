"""A stretch out of the middle of a file is the same sound as the whole file has there."""

from pathlib import Path

import numpy as np
import pytest

from core.audio.decode import load, probe
from core.audio.encode import write_audio
from core.audio.excerpt import BLOCK_S, COLUMNS, excerpt, peak_block
from core.errors import BadInput

RATE = 8000


def clicks(seconds: float) -> np.ndarray:
    """A tone that climbs, so that every place sounds different."""
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * (200.0 + 5.0 * time) * time)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_the_middle_is_where_the_whole_file_has_it(tmp_path: Path, suffix: str) -> None:
    path = write_audio(tmp_path / f"long.{suffix}", clicks(40.0), RATE, suffix)
    rate_hz = probe(path).rate_hz  # an MP3 is written at one of its own rates
    whole = load(path, rate_hz)
    for start, end in ((0.0, 1.0), (0.1, 0.4), (17.25, 18.0), (39.5, 40.0)):
        part, part_hz = excerpt(path, start, end)
        assert part_hz == rate_hz
        assert abs(part.size - (end - start) * rate_hz) <= 1
        first = round(start * rate_hz)
        near = whole[first : first + part.size]
        assert float(np.abs(part[: near.size] - near).max()) < 2e-3, (suffix, start)


def test_past_the_end_there_is_nothing(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", clicks(2.0), RATE)
    assert excerpt(path, 1.5, 3.0)[0].size == RATE // 2
    assert excerpt(path, 5.0, 6.0)[0].size == 0


def test_no_stretch_and_no_sound_are_refused(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", clicks(1.0), RATE)
    for start, end in ((-1.0, 1.0), (2.0, 1.0), (0.0, 3600.0), (float("nan"), 1.0)):
        with pytest.raises(BadInput, match="no stretch"):
            excerpt(path, start, end)
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    with pytest.raises(BadInput):
        excerpt(text, 0.0, 1.0)


def test_stereo_is_mixed(tmp_path: Path) -> None:
    import soundfile

    left = clicks(2.0)
    soundfile.write(tmp_path / "two.wav", np.stack([left, np.zeros_like(left)], axis=1), RATE)
    part, _ = excerpt(tmp_path / "two.wav", 0.5, 1.0)
    assert np.abs(part - 0.5 * left[RATE // 2 : RATE]).max() < 1e-3


def test_peaks_come_by_the_minute_and_follow_the_file(tmp_path: Path) -> None:
    sound = np.zeros(int(90 * RATE), np.float32)
    sound[int(70.0 * RATE)] = 0.5
    path, cache = write_audio(tmp_path / "a.wav", sound, RATE), tmp_path / "cache"
    first, second = (np.frombuffer(peak_block(path, i, cache), np.int8).reshape(-1, 2) for i in (0, 1))
    assert first.shape == (COLUMNS, 2)
    assert not first.any()
    assert second.shape == (COLUMNS // 2, 2)
    assert int(second[:, 1].argmax()) == round((70.0 - BLOCK_S) * COLUMNS / BLOCK_S)
    assert second[:, 1].max() == 64
    assert peak_block(path, 5, cache) == b""
    assert peak_block(path, 0, cache) == first.tobytes(), "from the cache"
    write_audio(path, clicks(3.0), RATE)
    assert np.frombuffer(peak_block(path, 0, cache), np.int8).any(), "another file under the name is read again"
    path.unlink()
    with pytest.raises(BadInput, match="no longer"):
        peak_block(path, 0, cache)
