"""Our modules' tensors are those of the released files, name by name and shape by shape."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from core.engines.cosyvoice2.config import DitFlowConfig, FlowConfig, HiftConfig, LanguageModelConfig, UnetFlowConfig
from core.engines.cosyvoice2.flow import Flow
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.language_model import UNUSED, LanguageModel
from core.engines.cosyvoice2.weights import folded


def language_model(version: int) -> LanguageModel:
    from transformers import Qwen2Config

    trunk = Qwen2Config(
        hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2
    )
    old = version == 2
    return LanguageModel(LanguageModelConfig(extra_ids=3 if old else 200, own_embedding=old), trunk)


def built(kind: str, version: int) -> nn.Module:
    with torch.device("meta"):
        if kind == "llm":
            return language_model(version)
        config: FlowConfig = UnetFlowConfig() if version == 2 else DitFlowConfig()
        return Flow(config) if kind == "flow" else Hift(HiftConfig(causal=version == 3))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["llm", "flow", "hift"])
def test_names_and_shapes(shared_dir: Path, kind: str, version: int) -> None:
    listed = json.loads((shared_dir / "spec/keys/cosyvoice2" / f"cosyvoice{version}_{kind}.json").read_text())
    with torch.device("meta"):
        theirs = {name: torch.empty(about["shape"]) for name, about in listed.items()}
        if kind == "hift":
            theirs = folded(theirs)
    ours = built(kind, version).state_dict()
    assert {name: tuple(x.shape) for name, x in ours.items()} == {
        name: tuple(x.shape) for name, x in theirs.items() if name not in UNUSED
    }
