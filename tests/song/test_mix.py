"""The mix: nothing moves, nothing is lost, nothing clips, and memory stays flat."""

import resource
from pathlib import Path

import numpy as np
import pytest

from core.audio.decode import stream
from core.audio.encode import write_audio
from core.audio.limiter import true_peak
from core.errors import BadInput, Cancelled
from core.jobs.context import ForegroundContext
from core.settings import load_settings
from core.song.mix import mix_down
from core.song.options import MixOptions, TrackOptions
from tests.training.material import sung_vowel

RATE_HZ = 44100
PLAIN = MixOptions(reverb=0.0, match_vocals=False)


def context(workspace: Path) -> ForegroundContext:
    return ForegroundContext(load_settings({"workspace": workspace}, env={}))


def band(seconds: float) -> np.ndarray:
    """A stereo accompaniment: two chords that differ by side."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    left = sum(np.sin(2 * np.pi * hz * t) for hz in (130.8, 164.8, 196))
    right = sum(np.sin(2 * np.pi * hz * t) for hz in (130.8, 196, 246.9))
    return (0.05 * np.stack([left, right], axis=1)).astype(np.float32)


@pytest.fixture
def stems(tmp_path: Path) -> tuple[Path, Path]:
    """A mono voice of 3 s and a stereo band of 3.5 s."""
    voice = write_audio(tmp_path / "voice.wav", sung_vowel(3.0), RATE_HZ)
    return voice, write_audio(tmp_path / "band.flac", band(3.5), RATE_HZ)


def mixed(stems: tuple[Path, Path], options: MixOptions, tmp_path: Path, **more: Path) -> np.ndarray:
    audio, _ = mix_down(*stems, options, tmp_path, context(tmp_path), **more)
    return np.array(audio)


def test_an_unchanged_voice_over_its_accompaniment_is_the_song(stems: tuple[Path, Path], tmp_path: Path) -> None:
    """The identity: stems that add up to a song give that song, sample by sample, within the files' 16 bits."""
    voice = np.pad(sung_vowel(3.0), (0, round(0.5 * RATE_HZ)))
    song = band(3.5) + voice[:, None]
    made = mixed(stems, MixOptions(reverb=0.0), tmp_path, original_vocals=stems[0])
    assert made.shape == song.shape
    np.testing.assert_allclose(made, song, atol=2 / 32768)


@pytest.mark.parametrize("offset_ms", [-250.0, 0.0, 333.0])
def test_the_voice_lies_where_the_offset_says_to_the_sample(offset_ms: float, tmp_path: Path) -> None:
    voice = np.zeros(2 * RATE_HZ, np.float32)
    voice[RATE_HZ] = 0.5
    quiet = np.zeros((3 * RATE_HZ, 2), np.float32)
    files = write_audio(tmp_path / "v.wav", voice, RATE_HZ), write_audio(tmp_path / "b.wav", quiet, RATE_HZ)
    made = mixed(files, PLAIN.model_copy(update={"offset_ms": offset_ms}), tmp_path)
    assert np.flatnonzero(made[:, 0]).tolist() == [RATE_HZ + round(offset_ms / 1000 * RATE_HZ)]


def test_another_rate_and_a_long_voice_stay_in_step(tmp_path: Path) -> None:
    """22.05 kHz voice, longer than the blocks that two files are read in: the click is where it was."""
    voice = np.zeros(25 * 22050, np.float32)
    voice[21 * 22050] = 0.5
    files = write_audio(tmp_path / "v.flac", voice, 22050), write_audio(tmp_path / "b.wav", band(1.0), RATE_HZ)
    made = mixed(files, PLAIN, tmp_path)
    assert made.shape == (25 * RATE_HZ, 2)
    assert int(np.abs(made[2 * RATE_HZ :, 0]).argmax()) + 2 * RATE_HZ == 21 * RATE_HZ


def test_a_softer_take_is_brought_to_the_singers_loudness(stems: tuple[Path, Path], tmp_path: Path) -> None:
    soft = write_audio(tmp_path / "soft.wav", 0.25 * sung_vowel(3.0), RATE_HZ)
    options = MixOptions(reverb=0.0)
    audio, done = mix_down(soft, stems[1], options, tmp_path, context(tmp_path), original_vocals=stems[0])
    assert done.matched_db == pytest.approx(12.04, abs=0.05)
    np.testing.assert_allclose(audio, mixed(stems, PLAIN, tmp_path), atol=3e-3)


def test_levels_places_and_peaks(stems: tuple[Path, Path], tmp_path: Path) -> None:
    options = MixOptions(
        vocals=TrackOptions(level_db=18.0, pan=-1.0),
        accompaniment=TrackOptions(level_db=-60.0),
        match_vocals=False,
        reverb=0.0,
        ceiling_dbtp=-3.0,
    )
    audio, done = mix_down(*stems, options, tmp_path, context(tmp_path))
    assert done.limited
    assert true_peak(np.array(audio)) <= 10 ** (-3 / 20) + 1e-4
    assert done.mix.peak_db == pytest.approx(-3.0, abs=0.1)
    assert np.square(audio[:, 0]).mean() > 1e4 * np.square(audio[:, 1]).mean()
    assert len(done.mix.levels_db) == 7  # half seconds
    assert done.vocals.peak_db is not None
    assert done.vocals.peak_db > 0  # a bus may be over


def test_a_wanted_loudness_is_reached(stems: tuple[Path, Path], tmp_path: Path) -> None:
    options = PLAIN.model_copy(update={"loudness_lufs": -20.0})
    _, done = mix_down(*stems, options, tmp_path, context(tmp_path))
    assert done.mix.lufs == pytest.approx(-20.0, abs=0.1)


def test_the_room_adds_sound_after_the_voice(stems: tuple[Path, Path], tmp_path: Path) -> None:
    with_room = mixed(stems, PLAIN.model_copy(update={"reverb": 0.5}), tmp_path)
    dry = mixed(stems, PLAIN, tmp_path)
    assert with_room.shape == dry.shape
    assert np.abs(with_room - dry)[RATE_HZ:].max() > 0.005


def test_silence_and_broken_files(stems: tuple[Path, Path], tmp_path: Path) -> None:
    quiet = write_audio(tmp_path / "quiet.wav", np.zeros(RATE_HZ, np.float32), RATE_HZ)
    _, done = mix_down(quiet, quiet, MixOptions(), tmp_path, context(tmp_path), original_vocals=stems[0])
    assert (done.matched_db, done.mix.lufs, done.mix.peak_db) == (0.0, None, None)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(BadInput):
        mix_down(tmp_path / "text.wav", stems[1], PLAIN, tmp_path, context(tmp_path))


def test_a_cancel_ends_it(stems: tuple[Path, Path], tmp_path: Path) -> None:
    ctx = context(tmp_path)
    ctx.request_cancel()
    with pytest.raises(Cancelled):
        mix_down(*stems, PLAIN, tmp_path, ctx)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_song(tmp_path: Path) -> None:
    quarter = write_audio(tmp_path / "q.flac", np.tile(band(10.0), (90, 1)), RATE_HZ)  # 15 min: 318 MB in float32
    short = write_audio(tmp_path / "s.flac", band(30.0), RATE_HZ)
    mix_down(short, short, MixOptions(), tmp_path, context(tmp_path))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mix_down(quarter, quarter, MixOptions(), tmp_path, context(tmp_path))
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    assert grown_mib < 150


def test_both_sides_of_a_file_stay_apart(stems: tuple[Path, Path], tmp_path: Path) -> None:
    made = mixed(stems, PLAIN, tmp_path)
    path = write_audio(tmp_path / "mix.wav", made, RATE_HZ)
    back = np.concatenate(list(stream(path, RATE_HZ, stereo=True)))
    np.testing.assert_allclose(back, made, atol=1 / 32768)
    assert np.abs(back[:, 0] - back[:, 1]).max() > 0.05
