"""The silence slicer agrees with upstream's measured cases and always covers the sound."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.audio.slicer import RmsEnvelope, SliceParams, slice_envelope, slice_silence
from core.errors import BadInput


def build(plan: list[list[object]], rate_hz: int) -> np.ndarray:
    """The fixture's recipe: 'v' a swinging tone, 's' faint noise seeded by its place in the plan."""
    parts = []
    for index, (kind, seconds) in enumerate(plan):
        n = int(float(str(seconds)) * rate_hz)
        if kind == "v":
            t = np.arange(n) / rate_hz
            vibrato = 200 + 40 * np.sin(2 * np.pi * 3 * t)
            part = 0.4 * np.sin(2 * np.pi * vibrato * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 1.3 * t))
        else:
            part = np.random.Generator(np.random.PCG64(1000 + index)).standard_normal(n) * 1e-4
        parts.append(part.astype(np.float32))
    return np.concatenate(parts)


def test_upstream_cases(shared_dir: Path) -> None:
    cases = json.loads((shared_dir / "fixtures/sovits/slicer.json").read_text())["cases"]
    assert cases
    for name, case in cases.items():
        audio = build(case["plan"], case["sr"])
        assert audio.size == case["n"], name
        assert np.allclose(audio[:4], case["sha_head"], rtol=1e-6), name
        chunks = slice_silence(audio, case["sr"], case["threshold"], case["min_len"], keep_empty=True)
        got = [(c.silent, f"{c.start_samples},{c.end_samples}") for c in chunks]
        assert got == [(c["slice"], c["split_time"]) for c in case["chunks"].values()], name
        assert all(c.end_samples > c.start_samples for c in slice_silence(audio, case["sr"]))


def test_envelope_equals_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    rng = np.random.default_rng(3)
    for n in (1, 100, 4410, 44100, 44101, 100_000):
        audio = rng.standard_normal(n).astype(np.float32)
        envelope = RmsEnvelope(882)
        envelope.push(audio)
        expected = librosa.feature.rms(y=audio, frame_length=4 * 882, hop_length=882, pad_mode="constant")[0]
        got = envelope.finish()
        assert got.shape == expected.shape
        assert np.allclose(got, expected, rtol=1e-4, atol=1e-7)


@given(st.lists(st.integers(0, 3000), max_size=8), st.integers(1, 500))
def test_envelope_does_not_depend_on_the_blocks(sizes: list[int], hop: int) -> None:
    audio = np.random.default_rng(len(sizes)).standard_normal(sum(sizes)).astype(np.float32)
    one, many = RmsEnvelope(hop), RmsEnvelope(hop)
    one.push(audio)
    for part in np.split(audio, np.cumsum(sizes)[:-1]) if sizes else []:
        many.push(part)
    a, b = one.finish(), many.finish()
    assert one.n_samples == many.n_samples == audio.size
    assert a.size == audio.size // hop + 1
    assert np.allclose(a, b, rtol=1e-9, atol=1e-12)


segments = st.lists(st.tuples(st.booleans(), st.floats(0.01, 3.0)), min_size=1, max_size=12)


@settings(max_examples=80)
@given(segments, st.floats(100, 3000), st.floats(40, 100), st.floats(20, 2000), st.integers(0, 50))
def test_chunks_cover_the_sound_in_order(
    plan: list[tuple[bool, float]], min_length_ms: float, min_interval_ms: float, kept_ms: float, extra: int
) -> None:
    rate = 1000
    parts = [np.full(round(s * rate), 0.3 if loud else 1e-4, np.float32) for loud, s in plan]
    audio = np.concatenate([*parts, np.full(extra, 0.3, np.float32)])
    chunks = slice_silence(audio, rate, -40, min_length_ms, min_interval_ms, kept_ms)
    if audio.size == 0:
        assert chunks == []
        return
    assert chunks[0].start_samples == 0
    assert chunks[-1].end_samples == audio.size
    for before, after in itertools.pairwise(chunks):
        assert before.end_samples == after.start_samples
    assert all(c.end_samples > c.start_samples for c in chunks)
    # A silent chunk holds no loud frame: only its very edges may touch the window of one.
    for chunk in (c for c in chunks if c.silent):
        inner = audio[chunk.start_samples + 60 : max(0, chunk.end_samples - 60)]
        assert inner.size == 0 or inner.max() < 0.01


def test_long_silence_keeps_only_its_edges() -> None:
    rate = 16000
    audio = np.concatenate([np.full(3 * rate, 0.3), np.full(6 * rate, 1e-5), np.full(3 * rate, 0.3)]).astype(np.float32)
    chunks = slice_silence(audio, rate, -40, 1000, 300, 500)
    assert [c.silent for c in chunks] == [False, True, False]
    assert chunks[0].end_samples <= 3.5 * rate + 320
    assert chunks[2].start_samples >= 8.5 * rate - 320


def test_contradictory_settings_are_refused() -> None:
    for kwargs in ({"min_length_ms": 100, "min_interval_ms": 300}, {"hop_ms": 0}, {"max_silence_kept_ms": 1}):
        with pytest.raises(BadInput):
            SliceParams(**kwargs)


def test_empty_envelope() -> None:
    assert slice_envelope(np.zeros(1), 0, 16000) == []
