"""The block converter: what it gives is what it got, on time, whatever the pieces; joins are not heard."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.sovits.config import HOP
from core.errors import BadInput
from core.realtime.blocks import RATE_HZ, BlockConverter, Plan, Samples, best_shift
from core.realtime.options import RealtimeOptions, parse_options

OPTIONS = RealtimeOptions(voice="a", block_s=0.1, context_s=0.2, warm_up_s=0.1, lookahead_s=0.03, crossfade_s=0.02)
PLAN = Plan.of(OPTIONS)


def same(window: Samples, skip_frames: int, number: int) -> Samples:
    """A voice that says what it hears."""
    return window[skip_frames * HOP :]


def tone(seconds: float, hz: float = 220.0) -> Samples:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def through(converter: BlockConverter, sound: Samples, sizes: list[int]) -> Samples:
    out, at = [], 0
    for size in [*sizes, sound.size]:
        out += list(converter.push(sound[at : at + size]))
        at += size
    return np.concatenate([np.zeros(0, np.float32), *out])


@settings(max_examples=25)
@given(sizes=st.lists(st.integers(0, 9000), max_size=12))
def test_the_pieces_it_comes_in_do_not_matter(sizes: list[int]) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 30000).astype(np.float32)
    once = through(BlockConverter(PLAN, same, -100), sound, [])
    np.testing.assert_array_equal(through(BlockConverter(PLAN, same, -100), sound, sizes), once)


def test_an_unchanged_voice_comes_out_as_it_went_in() -> None:
    """Noise has one place where it agrees with itself, so nothing is moved and every sample is the same."""
    sound = np.random.default_rng(1).normal(0, 0.1, RATE_HZ).astype(np.float32)
    out = through(BlockConverter(PLAN, same, -100), sound, [])
    assert out.size == (RATE_HZ - PLAN.wait) // PLAN.block * PLAN.block
    np.testing.assert_allclose(out[PLAN.crossfade :], sound[PLAN.crossfade : out.size], atol=1e-6)


def test_the_latency_is_what_it_says() -> None:
    """A click is out before `latency_s` of sound more has come in, and the converter could not be sooner by a block."""
    converter = BlockConverter(PLAN, same, -100)
    sound = np.zeros(RATE_HZ, np.float32)
    sound[20000] = 1.0
    n_in = n_out = 0
    for at in range(0, sound.size, 100):
        n_in += 100
        for block in converter.push(sound[at : at + 100]):
            if block.any():
                assert n_out + int(np.argmax(block)) == 20000
                assert n_in - 20000 <= PLAN.latency_s * RATE_HZ + 100
                return
            n_out += block.size
    pytest.fail("the click never came")


@pytest.mark.parametrize("hz", [110.0, 233.0, 700.0])
def test_renders_that_begin_anywhere_in_their_phase_are_joined_without_a_click(hz: float) -> None:
    """Each block's wave starts at another phase, as a source that starts anew does; SOLA finds where they meet."""
    rng = np.random.default_rng(2)

    def out_of_phase(window: Samples, skip_frames: int, number: int) -> Samples:
        n = window.size - skip_frames * HOP
        return (0.3 * np.sin(2 * np.pi * hz * np.arange(n) / RATE_HZ + rng.uniform(0, 6.28))).astype(np.float32)

    plan = Plan.of(OPTIONS.model_copy(update={"search_s": 0.01}))
    out = through(BlockConverter(plan, out_of_phase, -100), tone(2.0), [])[plan.block :]
    # Where waves of the same pitch meet in phase the level holds; half a turn apart they would cancel.
    level = np.sqrt(np.convolve(out**2, np.ones(800) / 800, "valid"))
    assert level.min() > 0.85 * level.max()
    steepest = 0.3 * 2 * np.pi * hz / RATE_HZ
    assert np.abs(np.diff(out)).max() < 1.4 * steepest
    blunt = Plan.of(OPTIONS.model_copy(update={"search_s": 0.0}))
    cancelled = through(BlockConverter(blunt, out_of_phase, -100), tone(2.0), [])[plan.block :]
    level = np.sqrt(np.convolve(cancelled**2, np.ones(800) / 800, "valid"))
    assert level.min() < 0.85 * level.max()  # what the search is for


def test_the_gate_keeps_silence_silent_and_converts_nothing() -> None:
    asked: list[int] = []

    def counting(window: Samples, skip_frames: int, number: int) -> Samples:
        asked.append(number)
        return same(window, skip_frames, number)

    quiet = np.full(RATE_HZ, 1e-4, np.float32)  # -80 dBFS
    sound = np.concatenate([quiet, tone(0.5), quiet])
    out = through(BlockConverter(PLAN, counting, -55.0), sound, [])
    first, last = asked[0] * PLAN.block, (asked[-1] + 1) * PLAN.block
    assert RATE_HZ - PLAN.block - PLAN.wait <= first <= RATE_HZ
    assert last <= 1.5 * RATE_HZ + 2 * PLAN.block
    assert np.abs(out[: RATE_HZ - PLAN.block - PLAN.wait]).max() == 0
    assert np.abs(out[last + PLAN.crossfade :]).max() == 0
    np.testing.assert_allclose(
        out[RATE_HZ + 2000 : RATE_HZ + 15000], sound[RATE_HZ + 2000 : RATE_HZ + 15000], atol=1e-5
    )


def test_numbers_that_are_none_are_silence() -> None:
    sound = tone(0.5)
    sound[5000:5100] = np.nan
    assert np.isfinite(through(BlockConverter(PLAN, same, -100), sound, [])).all()


def test_the_best_shift() -> None:
    noise = np.random.default_rng(3).normal(size=500).astype(np.float32)
    assert best_shift(noise[37:137], noise[:200]) == 37
    assert best_shift(np.zeros(100, np.float32), noise[:200]) == 0
    assert best_shift(noise[:100], noise[:100]) == 0


def test_sizes_are_whole_frames_and_options_have_limits() -> None:
    for block_s in (0.05, 0.123, 1.0):
        plan = Plan.of(OPTIONS.model_copy(update={"block_s": block_s, "context_s": 0.1, "warm_up_s": 3.0}))
        assert plan.block % HOP == plan.context % HOP == plan.warm_up % HOP == 0
        assert (plan.block + plan.wait) % HOP == 0
        assert plan.warm_up <= plan.context
        assert plan.latency_s >= block_s - HOP / RATE_HZ
    with pytest.raises(BadInput, match="block_s"):
        parse_options({"voice": "a", "block_s": 9})
    with pytest.raises(BadInput, match="colour"):
        parse_options({"voice": "a", "colour": 1})
