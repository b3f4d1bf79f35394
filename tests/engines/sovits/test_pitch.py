"""Pitch scales against upstream's numbers."""

from pathlib import Path

import numpy as np
import torch

from core.engines.sovits.pitch import coarse_f0, hz_of_log_f0, log_f0, normalize_log_f0


def test_bins_match_upstream(shared_dir: Path) -> None:
    data = np.load(shared_dir / "fixtures" / "sovits" / "f0_to_coarse.npz")
    assert np.array_equal(coarse_f0(torch.from_numpy(data["f0"])).numpy(), data["coarse"])


def test_normal_form_matches_upstream(shared_dir: Path) -> None:
    data = np.load(shared_dir / "fixtures" / "sovits" / "normalize_f0.npz")
    lf0, mask, uv, expected = (torch.from_numpy(data[name]) for name in ("lf0", "x_mask", "uv", "out"))
    torch.testing.assert_close(normalize_log_f0(lf0, mask, uv), expected)
    halved = normalize_log_f0(lf0, mask, uv, torch.tensor([0.5, 2.0]))
    torch.testing.assert_close(halved, expected * torch.tensor([0.5, 2.0])[:, None, None])


def test_edges_of_the_bins() -> None:
    f0 = torch.tensor([0.0, 20.0, 50.0, 1100.0, 1101.0, 1106.0, 2000.0])
    assert coarse_f0(f0).tolist() == [1, 1, 1, 255, 255, 0, 0]


def test_log_scale_has_an_inverse() -> None:
    f0 = torch.tensor([0.0, 55.0, 220.0, 1100.0])
    torch.testing.assert_close(hz_of_log_f0(log_f0(f0)), f0, atol=1e-3, rtol=1e-5)


def test_a_clip_without_voice_stays_finite() -> None:
    lf0, mask = torch.ones(1, 1, 4), torch.ones(1, 1, 4)
    assert torch.equal(normalize_log_f0(lf0, mask, torch.zeros(1, 4)), lf0)
