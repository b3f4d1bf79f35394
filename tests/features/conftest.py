"""What several tests of the features ask for."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch


def make_contentvec(folder: Path, *, seed: int = 0, old_names: bool = False, hidden: int = 24) -> Path:
    """Write a tiny random ContentVec in the published format: config.json and model.safetensors."""
    from safetensors.torch import save_file
    from transformers import HubertConfig, HubertModel

    config = HubertConfig(
        hidden_size=hidden,
        num_hidden_layers=12,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model, projection = HubertModel(config), torch.nn.Linear(hidden, 8)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    tensors |= {f"final_proj.{name}": tensor for name, tensor in projection.state_dict().items()}
    if old_names:
        for number, letter in enumerate("gv"):
            stem = "encoder.pos_conv_embed.conv"
            tensors[f"{stem}.weight_{letter}"] = tensors.pop(f"{stem}.parametrizations.weight.original{number}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict() | {"model_type": "hubert"}))
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="session")
def contentvec_maker() -> Callable[..., Path]:
    """``contentvec_maker(folder, seed=0, old_names=False, hidden=24) -> folder``."""
    return make_contentvec


@pytest.fixture(scope="session")
def contentvec_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random ContentVec; read it, never write to it."""
    return make_contentvec(tmp_path_factory.mktemp("pretrain") / "contentvec")
