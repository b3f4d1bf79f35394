"""RMVPE: names of the released file, padding, and the way from salience to pitch."""

import json
import math
from pathlib import Path

import numpy as np
import torch

from core.nn.rmvpe import CENTS_PER_BIN, FIRST_BIN_CENTS, N_BINS, Rmvpe, rmvpe_mel, salience_to_hz


def test_names_and_shapes_are_those_of_the_released_file(shared_dir: Path) -> None:
    described = json.loads((shared_dir / "spec" / "keys" / "sovits" / "rmvpe_e2e0.json").read_text())["keys"]
    with torch.device("meta"):
        ours = {name: list(tensor.shape) for name, tensor in Rmvpe().state_dict().items()}
    assert ours == {name: item["shape"] for name, item in described.items()}


def test_the_mel_matches_upstream(shared_dir: Path) -> None:
    data = np.load(shared_dir / "fixtures" / "sovits" / "volume_spec_mel.npz")
    mel = rmvpe_mel(torch.from_numpy(data["wav16k"])[None])
    np.testing.assert_allclose(mel.numpy(), data["rmvpe_mel"], atol=1e-4)


def _peak(hz: float) -> torch.Tensor:
    cents = FIRST_BIN_CENTS + CENTS_PER_BIN * torch.arange(N_BINS)
    return torch.exp(-0.5 * ((cents - 1200 * math.log2(hz / 10)) / 25) ** 2)


def test_a_peak_between_bins_is_read_to_a_few_cents() -> None:
    for hz in (60.0, 123.4, 440.0, 1000.0):
        found = float(salience_to_hz(_peak(hz)))
        assert abs(1200 * math.log2(found / hz)) < 3


def test_faint_frames_are_unvoiced_and_edges_do_not_wrap() -> None:
    salience = torch.zeros(3, N_BINS)
    salience[0, 100] = 0.04
    salience[1, 0] = 0.9
    salience[2, -1] = 0.9
    hz = salience_to_hz(salience)
    assert hz[0] == 0
    assert abs(float(hz[1]) - 10 * 2 ** (FIRST_BIN_CENTS / 1200)) < 1e-3
    assert abs(float(hz[2]) - 10 * 2 ** ((FIRST_BIN_CENTS + 359 * CENTS_PER_BIN) / 1200)) < 0.1
    assert salience_to_hz(salience[:1], threshold=0.03)[0] > 0


def test_any_number_of_frames_goes_through() -> None:
    torch.manual_seed(0)
    model = Rmvpe().eval()
    with torch.inference_mode():
        out = model(torch.zeros(1, 128, 5))
    assert out.shape == (1, 5, N_BINS)
    assert torch.isfinite(out).all()
