"""Two channels: written and read back side by side, limited together, as loud as BS.1770 says."""

import math
from pathlib import Path

import numpy as np
import pytest

from core.audio.decode import stream
from core.audio.encode import wav_bytes, write_audio
from core.audio.limiter import limit, limit_in_place, true_peak
from core.audio.loudness import LoudnessMeter, integrated_lufs

RATE_HZ = 44100


def two_tones(seconds: float = 1.0, left: float = 0.3, right: float = 0.2) -> np.ndarray:
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sides = [left * np.sin(2 * np.pi * 440 * t), right * np.sin(2 * np.pi * 660 * t)]
    return np.stack(sides, axis=1).astype(np.float32)


@pytest.mark.parametrize(("fmt", "tolerance"), [("wav", 2e-5), ("flac", 2e-5), ("mp3", 0.02)])
def test_both_sides_come_back_in_their_places(fmt: str, tolerance: float, tmp_path: Path) -> None:
    sound = two_tones(1.3)
    path = write_audio(tmp_path / f"two.{fmt}", sound, RATE_HZ)
    back = np.concatenate(list(stream(path, RATE_HZ, stereo=True)))
    assert back.shape[1] == 2
    n = min(len(back), len(sound)) - 2000  # an MP3 ends on a whole frame
    assert n > RATE_HZ
    np.testing.assert_allclose(back[2000:n], sound[2000:n], atol=tolerance)


def test_an_mp3_of_an_odd_rate_is_resampled(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "two.mp3", two_tones(1.0)[::2], 22050)
    back = np.concatenate(list(stream(path, 32000, stereo=True)))
    assert abs(len(back) - 32000) < 2500
    assert np.abs(back[:, 0]).max() > 0.25 > np.abs(back[:, 1]).max() > 0.15


def test_three_channels_are_refused_and_mono_stays_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wants"):
        write_audio(tmp_path / "x.wav", np.zeros((5, 3)), RATE_HZ)
    mono = wav_bytes(two_tones(0.1)[:, 0], RATE_HZ)
    assert mono[22:24] == b"\x01\x00"
    assert len(mono) == 44 + 2 * round(0.1 * RATE_HZ)


def test_the_limiter_turns_both_sides_down_together() -> None:
    sound = two_tones(1.0, left=0.8, right=0.1)
    sound[20000:22000] *= 1.5
    limited = limit(sound, RATE_HZ, -1.0)
    assert true_peak(limited) <= 10 ** (-1 / 20) + 1e-6
    assert true_peak(sound) > 1.15
    loud = (np.abs(sound) > 0.01).all(axis=1)
    gains = limited[loud] / sound[loud]
    np.testing.assert_allclose(gains[:, 0], gains[:, 1], rtol=1e-4)
    assert gains.min() < 0.8 < 0.999 < gains.max()


def test_long_sound_is_limited_in_parts_as_in_one(tmp_path: Path) -> None:
    sound = np.tile(two_tones(1.0, left=0.5), (65, 1))
    sound[60 * RATE_HZ - 500 : 60 * RATE_HZ + 500] *= 3.0  # across the border of two parts
    out = np.memmap(tmp_path / "x.f32", np.float32, "w+", shape=sound.shape)
    out[:] = sound
    assert limit_in_place(out, RATE_HZ, -1.0)
    assert true_peak(np.asarray(out)) <= 10 ** (-1 / 20) * 1.001
    np.testing.assert_array_equal(out[: 59 * RATE_HZ], sound[: 59 * RATE_HZ])
    assert not limit_in_place(out[: 50 * RATE_HZ], RATE_HZ, -1.0)


def test_powers_of_both_sides_add_up() -> None:
    """BS.1770: the same sound on both sides is 3 dB louder than on one."""
    one = two_tones(2.0)[:, 0]
    meter = LoudnessMeter(RATE_HZ, channels=2)
    for start in range(0, one.size, 7001):
        part = one[start : start + 7001]
        meter.push(np.stack([part, part], axis=1))
    assert meter.lufs() == pytest.approx(integrated_lufs(one, RATE_HZ) + 10 * math.log10(2), abs=1e-6)
