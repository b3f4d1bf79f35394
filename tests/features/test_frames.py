"""Alignment, volume and coarse f0: parity with 4.1 and the edges."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.features.align import align
from core.features.coarse import f0_to_coarse
from core.features.volume import volume


def _fixture(shared_dir: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(shared_dir / "fixtures" / "sovits" / f"{name}.npz", allow_pickle=False) as data:
        return dict(data)


@pytest.mark.parametrize("mode", ["left", "nearest", "linear"])
def test_align_equals_upstream(shared_dir: Path, mode: str) -> None:
    data = _fixture(shared_dir, "repeat_expand_2d")
    cases = {name.split("_")[0] for name in data}
    assert len(cases) >= 7
    for case in cases:
        units = torch.from_numpy(data[f"{case}_in"]).T
        got = align(units, int(data[f"{case}_target"]), mode)
        np.testing.assert_allclose(got.T.numpy(), data[f"{case}_{mode}"], rtol=1e-5, atol=1e-6, err_msg=case)


@given(st.integers(1, 300), st.integers(0, 600), st.sampled_from(["left", "nearest", "linear"]))
def test_align_gives_every_length(n_units: int, n_frames: int, mode: str) -> None:
    units = torch.arange(n_units, dtype=torch.float32)[:, None].repeat(1, 2)
    out = align(units, n_frames, mode)
    assert out.shape == (n_frames, 2)
    assert bool((out.diff(dim=0) >= 0).all()), "time must not run backwards"
    if n_frames:
        assert out.min() >= 0
        assert out.max() <= n_units - 1


def test_align_refuses_what_it_cannot_do() -> None:
    with pytest.raises(BadInput, match="no units"):
        align(torch.zeros(0, 4), 3)
    with pytest.raises(BadInput, match="Unknown unit alignment"):
        align(torch.zeros(2, 4), 3, "cubic")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="shape"):
        align(torch.zeros(1, 2, 4), 3)
    assert align(torch.zeros(0, 4), 0).shape == (0, 4)


def test_volume_equals_upstream(shared_dir: Path) -> None:
    data = _fixture(shared_dir, "volume_spec_mel")
    got = volume(data["wav"])
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, data["volume"], rtol=1e-5, atol=1e-7)
    assert np.abs(got - data["volume_raw_nopad"]).max() > 1e-3, "the later formula is half a hop off"


@pytest.mark.parametrize("n", [0, 1, 511, 512, 513, 1023, 5000])
def test_volume_of_short_and_odd_lengths(n: int) -> None:
    got = volume(np.full(n, 0.5, np.float32))
    assert got.shape == (n // 512,)
    np.testing.assert_allclose(got, 0.5, rtol=1e-6)


def test_volume_follows_a_step_without_float32_loss() -> None:
    wav = np.concatenate([np.zeros(51200), np.full(51200, 0.25)]).astype(np.float32)
    got = volume(wav)
    assert got[:99].max() == 0.0
    np.testing.assert_allclose(got[101:], 0.25, rtol=1e-6)


def test_coarse_equals_upstream(shared_dir: Path) -> None:
    data = _fixture(shared_dir, "f0_to_coarse")
    got = f0_to_coarse(torch.from_numpy(data["f0"]))
    assert got.dtype == torch.int64
    np.testing.assert_array_equal(got.numpy(), data["coarse"])


def test_coarse_keeps_the_row_zero_quirk() -> None:
    got = f0_to_coarse(torch.tensor([0.0, 30.0, 50.0, 440.0, 1101.0, 1105.7, 2000.0]))
    assert got.tolist()[:3] == [1, 1, 1]
    assert 1 < got[3] < 255
    assert got.tolist()[4:] == [255, 0, 0]


def test_coarse_takes_batches() -> None:
    f0 = torch.linspace(0, 1200, 24)
    torch.testing.assert_close(f0_to_coarse(f0.reshape(2, 3, 4)).flatten(), f0_to_coarse(f0))
