"""Small generators whose numbers were measured on upstream."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from core.engines.sovits.config import SovitsConfig, parse_config
from core.engines.sovits.model import SovitsGenerator


@dataclass(frozen=True)
class SmallGenerator:
    """A generator with made-up weights, its inputs and what upstream answered."""

    name: str
    config: SovitsConfig
    weights: dict[str, Tensor]
    io: dict[str, Tensor]

    def build(self) -> SovitsGenerator:
        model = SovitsGenerator(self.config).eval()
        model.load_state_dict(self.weights, strict=True)
        return model

    @property
    def vol(self) -> Tensor | None:
        return self.io["in.vol"] if self.config.model.vol_embedding else None

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]:
        """Units, pitch, voicing, speaker and volume of the inference cases."""
        return self.io["in.c"], self.io["in.f0"], self.io["in.uv"], self.io["in.sid"], self.vol


def read_small(shared: Path, name: str) -> SmallGenerator:
    stem = shared / "fixtures" / "sovits" / f"gen_small_{name}"
    with safe_open(f"{stem}.io.safetensors", "pt") as file:
        model = json.loads(file.metadata()["config"])
    config = parse_config({"model": model, "spk": {"a": 0, "b": 1, "c": 2}})
    return SmallGenerator(name, config, load_file(f"{stem}.weights.safetensors"), load_file(f"{stem}.io.safetensors"))


@pytest.fixture(scope="session", params=["base", "vol", "tiny_dw_share_vol", "snake"])
def small(request: pytest.FixtureRequest, shared_dir: Path) -> SmallGenerator:
    return read_small(shared_dir, request.param)


@pytest.fixture(scope="session")
def small_base(shared_dir: Path) -> SmallGenerator:
    return read_small(shared_dir, "base")


def train_spectrogram() -> Tensor:
    """The random spectrogram of the fixtures' training case (its recipe is in the spec, section 5)."""
    rng = np.random.Generator(np.random.PCG64(21))
    rng.normal(size=(2, 24, 48))
    rng.normal(size=(2, 48))
    return torch.from_numpy(np.abs(rng.normal(size=(2, 1025, 48))).astype(np.float32))
