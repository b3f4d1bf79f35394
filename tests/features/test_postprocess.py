"""What happens to a track after the predictor."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.features.pitch import interpolate, resize_linear, resize_nearest, sample_track

tracks = arrays(np.float64, st.integers(0, 60), elements=st.one_of(st.just(0.0), st.floats(50, 1100)))


@pytest.fixture(scope="module")
def cases(shared_dir: Path) -> dict[str, np.ndarray]:
    with np.load(shared_dir / "fixtures" / "sovits" / "f0_postprocess.npz", allow_pickle=False) as data:
        return dict(data)


@pytest.mark.parametrize("number", range(4))
def test_neural_tracks_equal_upstream(cases: dict[str, np.ndarray], number: int) -> None:
    track = resize_nearest(cases[f"rmvpe_{number}_in"], int(cases[f"rmvpe_{number}_target"]))
    f0, uv = interpolate(track)
    np.testing.assert_allclose(f0, cases[f"rmvpe_{number}_f0"], rtol=1e-6)
    np.testing.assert_array_equal(uv, cases[f"rmvpe_{number}_uv"])


@pytest.mark.parametrize("number", range(2))
def test_praat_and_world_tracks_equal_upstream(cases: dict[str, np.ndarray], number: int) -> None:
    """Upstream adds the slope up in float32, a few parts in 100 000 away from the exact line."""
    f0, uv = interpolate(cases[f"pm_{number}_in"])
    np.testing.assert_allclose(f0, cases[f"pm_{number}_f0"], rtol=4e-5)
    np.testing.assert_array_equal(uv, cases[f"pm_{number}_uv"])
    resized = resize_linear(cases[f"pm_{number}_in"], cases[f"dio_{number}_resized"].size)
    np.testing.assert_allclose(resized, cases[f"dio_{number}_resized"])
    f0, uv = interpolate(resized)
    np.testing.assert_allclose(f0, cases[f"dio_{number}_f0"], rtol=4e-5)
    np.testing.assert_array_equal(uv, cases[f"dio_{number}_uv"])


@given(tracks)
def test_interpolation_keeps_voiced_frames_and_fills_the_rest(f0: np.ndarray) -> None:
    filled, uv = interpolate(f0)
    assert filled.shape == uv.shape == f0.shape
    voiced = f0 > 0
    np.testing.assert_array_equal(uv, voiced)
    np.testing.assert_allclose(filled[voiced], f0[voiced], rtol=1e-6)
    if voiced.any():
        assert filled.min() >= f0[voiced].min() * (1 - 1e-6)
        assert filled.max() <= f0[voiced].max() * (1 + 1e-6)
    else:
        assert not filled.any()


def test_one_voiced_frame_holds_everywhere() -> None:
    """Upstream gives the value of frame 0 here, which is unvoiced."""
    filled, uv = interpolate(np.array([0.0, 0.0, 200.0, 0.0]))
    np.testing.assert_array_equal(filled, 200.0)
    assert uv.tolist() == [0, 0, 1, 0]


@given(tracks, st.integers(0, 90))
def test_resizing_gives_the_length_asked_for(f0: np.ndarray, n_frames: int) -> None:
    for resize in (resize_nearest, resize_linear):
        out = resize(f0, n_frames)
        assert out.shape == (n_frames,)
        assert out.min(initial=0) >= 0
        assert out.max(initial=0) <= f0.max(initial=0) + 1e-6


@given(tracks, st.floats(-0.02, 0.02), st.integers(1, 80))
def test_a_sampled_track_holds_only_pitches_that_were_there(f0: np.ndarray, start_s: float, n: int) -> None:
    out = sample_track(f0, start_s, 0.01, np.arange(n) * 0.0116)
    assert out.shape == (n,)
    voiced = f0[f0 > 0]
    got = out[out > 0]
    if got.size:
        assert got.min() >= voiced.min() * (1 - 1e-5)
        assert got.max() <= voiced.max() * (1 + 1e-5)


def test_sampling_does_not_drift_over_ten_minutes() -> None:
    """A ramp of 1 Hz per second, read back 10 minutes later: a resize by length ratio would be late by now."""
    step_s, hop_s = 0.01, 512 / 44100
    track = 100 + np.arange(60_000) * step_s
    at_s = (np.arange(51_000) + 0.5) * hop_s
    np.testing.assert_allclose(sample_track(track, 0.0, step_s, at_s), 100 + at_s, atol=2e-3)


def test_sampling_does_not_glide_over_an_octave_jump() -> None:
    out = sample_track(np.array([200.0, 400.0]), 0.0, 0.01, np.array([0.0, 0.004, 0.006, 0.01]))
    assert out.tolist() == [200.0, 200.0, 400.0, 400.0]
