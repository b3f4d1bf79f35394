"""Tensor names and shapes of every supported variant are those of upstream's files."""

import json
from pathlib import Path

import pytest
import torch

from core.engines.sovits.config import parse_config
from core.engines.sovits.model import build_generator

VARIANTS = {
    "vec256l9_4.0compat": 751,
    "vec768l12_1speaker": 751,
    "vec768l12_default": 751,
    "vec768l12_depthwise_only": 847,
    "vec768l12_flow_share_only": 778,
    "vec768l12_no_auto_f0": 647,
    "vec768l12_snake": 1135,
    "vec768l12_transformer_flow": 855,
    "vec768l12_transformer_flow_share": 908,
    "vec768l12_tiny": 886,
    "vec768l12_tiny_vol_embedding": 888,
    "vec768l12_vol_embedding": 753,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_names_and_shapes(shared_dir: Path, variant: str) -> None:
    described = json.loads((shared_dir / "spec" / "keys" / "sovits" / f"generator_{variant}.json").read_text())
    with torch.device("meta"):
        generator = build_generator(parse_config({"model": described["model_config"], "spk": {"a": 0}}))
    ours = {name: list(tensor.shape) for name, tensor in generator.state_dict().items()}
    assert ours == {name: item["shape"] for name, item in described["keys"].items()}
    assert len(ours) == VARIANTS[variant]
    assert all(tensor.dtype == torch.float32 for tensor in generator.state_dict().values())
