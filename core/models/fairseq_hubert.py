"""HuBERT weights of fairseq under the names of `transformers`: ContentVec's and HuBERT's original files, on import.

`checkpoint_best_legacy_500.pt` (ContentVec), `hubert_base.pt` and `chinese-hubert-large-fairseq-ckpt.pt` hold one
network: convolutions over the waveform, a projection, a positional convolution and transformer layers. Only names
differ; what served training alone (mask and label embeddings) is left behind.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from core.errors import ModelFileError

_RENAMED: tuple[tuple[str, str], ...] = (
    (r"feature_extractor\.conv_layers\.(\d+)\.0\.(weight|bias)", r"feature_extractor.conv_layers.\1.conv.\2"),
    # The first layer alone has a group norm; in large models every layer has a layer norm, one level deeper.
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.(weight|bias)", r"feature_extractor.conv_layers.\1.layer_norm.\2"),
    (r"feature_extractor\.conv_layers\.(\d+)\.2\.1\.(weight|bias)", r"feature_extractor.conv_layers.\1.layer_norm.\2"),
    (r"post_extract_proj\.(weight|bias)", r"feature_projection.projection.\1"),
    (r"layer_norm\.(weight|bias)", r"feature_projection.layer_norm.\1"),
    (r"encoder\.pos_conv\.0\.bias", r"encoder.pos_conv_embed.conv.bias"),
    (r"encoder\.pos_conv\.0\.weight_g", r"encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v", r"encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"encoder\.layer_norm\.(weight|bias)", r"encoder.layer_norm.\1"),
    (r"encoder\.layers\.(\d+)\.self_attn\.(k|v|q|out)_proj\.(\w+)", r"encoder.layers.\1.attention.\2_proj.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.(\w+)", r"encoder.layers.\1.layer_norm.\2"),
    (r"encoder\.layers\.(\d+)\.fc1\.(\w+)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (r"encoder\.layers\.(\d+)\.fc2\.(\w+)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (r"encoder\.layers\.(\d+)\.final_layer_norm\.(\w+)", r"encoder.layers.\1.final_layer_norm.\2"),
    (r"final_proj\.(weight|bias)", r"final_proj.\1"),
)
_TRAINING_ONLY = re.compile(r"mask_emb|label_embs_concat|target_glu\..*|spk_proj\..*|w2v_model\.mask_emb")


def convert(tensors: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """The tensors under their new names. Raises ModelFileError naming what is no part of a HuBERT."""
    made: dict[str, Tensor] = {}
    unknown: list[str] = []
    for name, tensor in tensors.items():
        new = next((re.sub(old, to, name) for old, to in _RENAMED if re.fullmatch(old, name)), None)
        if new is not None:
            made[new] = tensor.float()
        elif not _TRAINING_ONLY.fullmatch(name):
            unknown.append(name)
    if unknown or "feature_projection.projection.weight" not in made:
        said = (
            f"{len(unknown)} tensors have names of another model ({', '.join(unknown[:5])})"
            if unknown
            else ("it has no projection of features")
        )
        raise ModelFileError(
            f"{Path(where).name} is no HuBERT or ContentVec checkpoint of fairseq: {said}.",
            "Choose the original file, such as checkpoint_best_legacy_500.pt.",
            where=where,
        )
    return made


def sizes(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The fields of a `transformers` HubertConfig that converted tensors decide; heads have 64 channels."""
    hidden, features = tensors["feature_projection.projection.weight"].shape
    layers = {m[1] for name in tensors if (m := re.match(r"encoder\.layers\.(\d+)\.", name))}
    convs = {m[1] for name in tensors if (m := re.match(r"feature_extractor\.conv_layers\.(\d+)\.conv\.weight", name))}
    normed_everywhere = "feature_extractor.conv_layers.1.layer_norm.weight" in tensors
    positional = tensors["encoder.pos_conv_embed.conv.parametrizations.weight.original1"]
    return {
        "hidden_size": hidden,
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(1, hidden // 64),
        "intermediate_size": tensors["encoder.layers.0.feed_forward.intermediate_dense.weight"].shape[0],
        "conv_dim": [features] * len(convs),
        "conv_bias": "feature_extractor.conv_layers.0.conv.bias" in tensors,
        "feat_extract_norm": "layer" if normed_everywhere else "group",
        # Large models norm before each part and once at the end.
        "do_stable_layer_norm": normed_everywhere,
        "num_conv_pos_embeddings": positional.shape[2],
        "num_conv_pos_embedding_groups": hidden // positional.shape[1],
    }
