"""Taking the sound of a cut out of its chapter: its length, its edges, its rate, and what is said about its level."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.audio.resample import resample
from core.cutting.chapters import Chapter
from core.cutting.cutter import Cut, _between, _sound, cut_chapter, listen, padded
from core.cutting.options import CutOptions
from core.cutting.plan import CuePlan, windows_of
from core.cutting.speech import FRAME_SAMPLES, RATE_HZ, probabilities

FRAME_S = FRAME_SAMPLES / RATE_HZ


def chapter(sound: np.ndarray, rate_hz: int, from_s: float = 0.0, heard_s: tuple[float, float] = (0.0, 0.0)) -> Chapter:
    """A chapter that begins `from_s` into its recording, without cues of its own."""
    speech = resample(sound, rate_hz, RATE_HZ)
    at = (round(from_s * rate_hz), round(from_s * RATE_HZ))
    return Chapter(range(0), sound, at[0], rate_hz, speech, at[1], heard_s, from_s + sound.size / rate_hz)


def plan(start_s: float, end_s: float, *, cut: bool = True) -> CuePlan:
    return CuePlan(0, start_s, end_s, "vad", [], cut)


def noise(seconds: float, rate_hz: int, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(5).standard_normal(round(seconds * rate_hz))).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100, 48000])
@pytest.mark.parametrize("wanted_hz", [16000, 44100])
def test_a_cut_is_as_long_as_planned_at_every_rate(rate_hz: int, wanted_hz: int) -> None:
    audio = _sound(chapter(noise(3.0, rate_hz), rate_hz), plan(0.503, 2.25), wanted_hz)
    assert audio.size == round((2.25 - 0.503) * wanted_hz)
    assert audio.dtype == np.float32


def test_within_its_faded_edges_a_cut_is_the_recording_itself() -> None:
    whole = noise(4.0, 44100)
    audio = _sound(chapter(whole[44100:], 44100, from_s=1.0), plan(1.5, 3.0), 44100)
    n = round(0.003 * 44100)
    assert np.array_equal(audio[n:-n], whole[66150:132300][n:-n])
    assert audio[0] == 0.0
    assert np.all(np.abs(audio[:n]) <= np.abs(whole[66150 : 66150 + n]))


def test_resampled_a_cut_is_that_part_of_the_whole_resampled() -> None:
    t = np.arange(3 * 48000) / 48000
    whole = (0.3 * np.sin(2 * np.pi * 300 * t)).astype(np.float32)
    audio = _sound(chapter(whole, 48000), plan(1.0, 2.0), 16000)
    n = round(0.003 * 16000)
    truth = resample(whole, 48000, 16000)[16000:32000]
    assert np.abs(audio[n:-n] - truth[n:-n]).max() < 1e-3, "the edges hear what lies beside them"


def test_at_the_ends_of_a_recording_there_is_no_context_and_no_harm() -> None:
    whole = noise(1.0, 22050)
    audio = _sound(chapter(whole, 22050), plan(0.0, 1.0), 44100)
    assert audio.size == pytest.approx(44100, abs=2)
    assert np.isfinite(audio).all()


def test_what_is_not_cut_has_no_sound() -> None:
    assert _sound(chapter(noise(1.0, 16000), 16000), plan(0.2, 0.8, cut=False), 16000).size == 0


@pytest.mark.parametrize(
    ("level", "words"), [(0.1, []), (1e-4, ["very quiet"]), (1.5, ["full scale"]), (0.0, ["very quiet"])]
)
def test_levels_worth_a_remark(level: float, words: list[str]) -> None:
    sound = np.clip(noise(1.0, 16000, level), -1.0, 1.0)
    made = plan(0.1, 0.9)
    _sound(chapter(sound, 16000), made, 16000)
    assert len(made.warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, made.warnings, strict=True))


@pytest.mark.parametrize(
    ("audio", "level_db"),
    [
        (np.full(100, 0.1, np.float32), -20.0),
        (np.full(100, 1.0, np.float32), 0.0),
        (np.zeros(100, np.float32), -120.0),
        (np.zeros(0, np.float32), -120.0),
        (np.full(100, 1e-9, np.float32), -120.0),
    ],
)
def test_the_level_is_the_power_of_the_sound(audio: np.ndarray, level_db: float) -> None:
    assert Cut(plan(0, 1), audio).level_db == pytest.approx(level_db, abs=0.01)


@pytest.mark.parametrize(("silence_ms", "rate_hz", "each"), [(200, 44100, 8820), (0, 16000, 0), (1, 8000, 8)])
def test_silence_stands_on_both_sides(silence_ms: int, rate_hz: int, each: int) -> None:
    audio = padded(np.ones(10, np.float32), silence_ms, rate_hz)
    assert audio.tolist() == [0.0] * each + [1.0] * 10 + [0.0] * each


spans = st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 400_000)), max_size=8)


@given(spans, st.integers(0, 500_000), st.integers(0, 2_000_000))
@settings(max_examples=60)
def test_what_lies_between_is_looked_at_once_and_in_short_pieces(
    drawn: list[tuple[int, int]], low: int, length: int
) -> None:
    taken = [(start, start + size) for start, size in drawn]
    high = low + length
    pieces = _between(taken, low, high)
    assert all(low <= a < b <= high for a, b in pieces)
    assert all(FRAME_SAMPLES <= b - a <= 8 * RATE_HZ for a, b in pieces)
    assert all(b <= c for (_, b), (c, _) in itertools.pairwise(sorted(pieces)))
    for a, b in pieces:
        assert all(end <= a or start >= b or start == end for start, end in taken)
    covered = np.zeros(max(1, high - low), bool)
    for a, b in [*taken, *pieces]:
        covered[max(0, a - low) : max(0, b - low)] = True
    holes = np.diff(np.flatnonzero(np.diff(np.concatenate([[True], covered[: high - low], [True]]).astype(np.int8))))
    assert all(size < FRAME_SAMPLES for size in holes[::2]), "only scraps are left out"


def test_listening_hears_the_whole_chapter_and_each_window_for_itself() -> None:
    sound = noise(12.0, RATE_HZ, 0.05)
    whole = chapter(sound, RATE_HZ, from_s=5.0, heard_s=(5.0, 17.0))
    windows = windows_of(np.array([(6.0, 8.0), (9.5, 11.0)]), range(2), 0.1, 17.0)
    own, heard = listen(whole, windows)
    alone = probabilities([sound[w.first_sample - 5 * RATE_HZ : w.end_sample - 5 * RATE_HZ] for w in windows])
    assert all(np.allclose(mine, truth, atol=1e-4) for mine, truth in zip(own, alone, strict=True))
    seconds = sum(p.size * FRAME_S for _, p in heard)
    assert 12.0 - len(heard) * FRAME_S <= seconds <= 12.0 + len(heard) * FRAME_S
    assert min(start for start, _ in heard) == 5.0


def test_a_chapter_of_noise_is_cut_by_its_subtitles() -> None:
    sound = noise(6.0, RATE_HZ, 0.01)
    made = chapter(sound, RATE_HZ, heard_s=(0.0, 6.0))
    made = Chapter(range(2), made.sound, 0, RATE_HZ, made.speech, 0, made.heard_s, 6.0)
    times = np.array([(1.0, 2.5), (3.0, 90.0)])
    (first, second), _ = cut_chapter(made, times, CutOptions(sample_rate=8000))
    assert (first.plan.source, first.plan.start_s, first.plan.end_s) == ("subtitle", 1.0, 2.5)
    assert first.audio.size == 12000
    assert first.level_db == pytest.approx(-40.0, abs=4.0)
    assert not second.plan.cut
    assert second.audio.size == 0
