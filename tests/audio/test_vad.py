"""The speech detector finds speech, keeps its state over blocks, and its spans are well formed."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from core.audio.decode import load
from core.audio.vad import FRAME_S, RATE_HZ, SpeechDetector, VadParams, spans_from_probabilities, speech_spans
from core.errors import BadInput


@pytest.fixture(scope="module")
def sentence(speech: Path) -> np.ndarray:
    return load(speech, RATE_HZ, max_s=6.0)


def probabilities(blocks: list[np.ndarray]) -> np.ndarray:
    detector = SpeechDetector()
    for block in blocks:
        detector.push(block)
    return detector.finish()


def test_blocks_change_nothing_and_a_new_detector_is_fresh(sentence: np.ndarray) -> None:
    whole = probabilities([sentence])
    assert whole.size == -(-sentence.size // 512)
    parts = np.split(sentence, [1, 500, 513, 40_000, 40_001])
    assert np.allclose(probabilities(parts), whole, atol=1e-5)
    assert np.array_equal(probabilities([sentence]), whole)


def test_many_frames_at_once_equal_the_packages_streaming_model(sentence: np.ndarray) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    spec = importlib.util.find_spec("silero_vad")
    assert spec is not None
    assert spec.submodule_search_locations
    model = onnxruntime.InferenceSession(f"{spec.submodule_search_locations[0]}/data/silero_vad.onnx")
    frames = sentence[: 3 * RATE_HZ // 512 * 512].reshape(-1, 512)
    state, context, expected = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
    for frame in frames:
        inputs = {"input": np.concatenate([context, frame])[None], "state": state, "sr": np.array(RATE_HZ)}
        value, state = model.run(None, inputs)
        expected.append(value.item())
        context = frame[-64:]
    assert max(expected) > 0.9
    assert np.allclose(probabilities([frames.reshape(-1)]), expected, atol=2e-3)


def test_finds_speech_between_silences(sentence: np.ndarray) -> None:
    quiet = np.zeros(2 * RATE_HZ, np.float32)
    spans = speech_spans(iter([quiet, sentence, quiet]))
    assert spans
    assert spans[0].start_s == pytest.approx(2.0, abs=0.5)
    assert spans[-1].end_s < 8.4
    assert sum(s.end_s - s.start_s for s in spans) > 3.0


def test_silence_and_noise_hold_no_speech() -> None:
    assert speech_spans(np.zeros(3 * RATE_HZ, np.float32)) == []
    noise = np.random.default_rng(0).standard_normal(3 * RATE_HZ).astype(np.float32) * 0.05
    assert sum(s.end_s - s.start_s for s in speech_spans(noise)) < 0.5
    assert speech_spans(np.zeros(0, np.float32)) == []


@given(
    hnp.arrays(np.float32, st.integers(0, 200), elements=st.floats(0, 1, width=32)),
    st.floats(0, 1),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
)
@settings(max_examples=50)
def test_spans_are_sorted_apart_and_inside(p: np.ndarray, min_speech: float, min_silence: float, pad: float) -> None:
    duration = p.size * FRAME_S
    params = VadParams(min_speech_s=min_speech, min_silence_s=min_silence, pad_s=pad)
    spans = spans_from_probabilities(p, duration, params)
    assert all(0 <= s.start_s < s.end_s <= duration for s in spans)
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in itertools.pairwise(spans))
    if min_speech == 0:  # nothing that was surely speech is lost
        for index in np.flatnonzero(p >= params.threshold):
            middle = (index + 0.5) * FRAME_S
            assert any(s.start_s <= middle <= s.end_s for s in spans)


def test_thresholds_must_fit() -> None:
    with pytest.raises(BadInput):
        VadParams(threshold=0.3, exit_threshold=0.5)
