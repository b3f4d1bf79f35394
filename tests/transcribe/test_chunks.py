"""A recording in pieces: all of it, cut in silence, none too long."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.transcribe.chunks import RATE_HZ, quiet_chunks, quietest


@given(st.lists(st.integers(0, 40_000), max_size=12), st.integers(2, 5))
def test_all_of_the_sound_in_order(sizes: list[int], chunk_s: int) -> None:
    sound = np.random.default_rng(sum(sizes)).standard_normal(sum(sizes)).astype(np.float32)
    blocks = np.split(sound, np.cumsum(sizes)[:-1]) if sizes else []
    chunks = list(quiet_chunks(blocks, chunk_s=chunk_s, search_s=1.0))
    assert np.array_equal(np.concatenate([np.zeros(0, np.float32), *(audio for _, audio in chunks)]), sound)
    at = 0
    for start_s, audio in chunks:
        assert start_s == at / RATE_HZ
        assert 0 < audio.size <= chunk_s * RATE_HZ
        at += audio.size


def test_the_cut_is_in_the_pause() -> None:
    sound = np.random.default_rng(1).standard_normal(20 * RATE_HZ).astype(np.float32)
    sound[round(7.2 * RATE_HZ) : 8 * RATE_HZ] = 0
    first = next(iter(quiet_chunks([sound], chunk_s=10, search_s=5)))[1]
    assert 7.3 < first.size / RATE_HZ < 7.9
    assert quietest(sound, 5, 9) == 7  # too short to look into
