"""fairseq's HuBERT files: made-up ones of the same structure give, once imported, the units of the model they hold."""

import argparse
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.errors import ModelFileError
from core.features.encoders.hubert import HubertEncoder
from core.models.encoder_import import install, recognise
from core.models.fairseq_hubert import convert, sizes
from core.models.safe_load import load_checkpoint

# transformers' names to fairseq's, written down from the two programs' side: the reverse of what is tested.
_BACK: tuple[tuple[str, str], ...] = (
    (r"feature_extractor\.conv_layers\.(\d+)\.conv\.(.*)", r"feature_extractor.conv_layers.\1.0.\2"),
    (r"feature_projection\.projection\.(.*)", r"post_extract_proj.\1"),
    (r"feature_projection\.layer_norm\.(.*)", r"layer_norm.\1"),
    (r"encoder\.pos_conv_embed\.conv\.bias", "encoder.pos_conv.0.bias"),
    (r"encoder\.pos_conv_embed\.conv\.parametrizations\.weight\.original0", "encoder.pos_conv.0.weight_g"),
    (r"encoder\.pos_conv_embed\.conv\.parametrizations\.weight\.original1", "encoder.pos_conv.0.weight_v"),
    (r"encoder\.layers\.(\d+)\.attention\.(.*)", r"encoder.layers.\1.self_attn.\2"),
    (r"encoder\.layers\.(\d+)\.layer_norm\.(.*)", r"encoder.layers.\1.self_attn_layer_norm.\2"),
    (r"encoder\.layers\.(\d+)\.feed_forward\.intermediate_dense\.(.*)", r"encoder.layers.\1.fc1.\2"),
    (r"encoder\.layers\.(\d+)\.feed_forward\.output_dense\.(.*)", r"encoder.layers.\1.fc2.\2"),
)


def tiny(large: bool = False) -> Any:
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(5)
    config = HubertConfig(
        hidden_size=64,
        num_hidden_layers=2 if large else 12,
        num_attention_heads=1,
        intermediate_size=16,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4,
        feat_extract_norm="layer" if large else "group",
        do_stable_layer_norm=large,
        conv_bias=large,
        classifier_proj_size=6,
    )
    return HubertModel(config).eval()


def as_fairseq(model: nn.Module, projection: nn.Linear) -> dict[str, torch.Tensor]:
    made = {"mask_emb": torch.zeros(64), "label_embs_concat": torch.zeros(5, 6)}
    for name, tensor in model.state_dict().items():
        if name == "masked_spec_embed":
            continue
        deep = model.config.feat_extract_norm == "layer"  # type: ignore[union-attr]
        norm = r"feature_extractor.conv_layers.\1.2.1.\2" if deep else r"feature_extractor.conv_layers.\1.2.\2"
        pairs = (*_BACK, (r"feature_extractor\.conv_layers\.(\d+)\.layer_norm\.(.*)", norm))
        made[next((re.sub(f"^{old}$", new, name) for old, new in pairs if re.fullmatch(old, name)), name)] = tensor
    return made | {f"final_proj.{name}": tensor for name, tensor in projection.state_dict().items()}


def test_an_imported_file_gives_the_units_of_its_model(tmp_path: Path) -> None:
    model, projection = tiny(), nn.Linear(64, 6)
    file = tmp_path / "checkpoint_best_legacy_500.pt"
    torch.save({"args": argparse.Namespace(arch="hubert"), "model": as_fairseq(model, projection)}, file)
    original = recognise(load_checkpoint(file), file)
    assert original is not None
    assert original.name == "contentvec"
    folder = install(original, tmp_path / "contentvec")
    wave = 0.1 * torch.randn(6000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        hidden = model(wave[None], output_hidden_states=True).hidden_states
        projected = projection(hidden[9][0])
    torch.testing.assert_close(HubertEncoder(folder, "vec768l12").encode(wave), hidden[12][0])
    torch.testing.assert_close(HubertEncoder(folder, "vec256l9").encode(wave), projected)


def test_a_large_model_keeps_all_its_names(tmp_path: Path) -> None:
    model = tiny(large=True)
    made = convert(as_fairseq(model, nn.Linear(64, 6)), "chinese-hubert-large-fairseq-ckpt.pt")
    names = set(model.state_dict()) - {"masked_spec_embed"}
    assert {name for name in made if not name.startswith("final_proj.")} == names
    fields = sizes(made)
    assert fields["do_stable_layer_norm"]
    assert fields["feat_extract_norm"] == "layer"
    assert fields["num_conv_pos_embedding_groups"] == 4
    assert fields["conv_bias"]


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"enc_p\.proj"):
        convert({"enc_p.proj": torch.zeros(2)}, "G.pth")
    with pytest.raises(ModelFileError, match="no projection"):
        convert({"layer_norm.weight": torch.zeros(2)}, "x.pt")
    assert recognise({"model": {"emb_g.weight": torch.zeros(2)}}, tmp_path / "G.pth") is None
    with pytest.raises(ModelFileError, match="surprise"):
        recognise(
            {"model": {"post_extract_proj.weight": torch.zeros(2), "surprise": torch.zeros(1)}}, tmp_path / "x.pt"
        )
