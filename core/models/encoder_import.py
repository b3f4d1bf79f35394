"""Original files of content encoders, made into the folders that `core.features.encoders` loads.

`recognise` tells from a file's contents which encoder it is; the files of fairseq, bshall, OpenAI, Microsoft and
DPHuBERT's authors are read as data by `core.models.safe_load` and only renamed. Nothing of a file is run, and the
original stays as it is.
"""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core import atomic
from core.errors import ModelFileError
from core.models import fairseq_hubert
from core.models.restricted_pickle import plain

_BY_WIDTH = {1024: "whisper-ppg", 1280: "whisper-ppg-large"}
_ONNX_NAME = re.compile(r"vec\D*(256|768)\D*layer\D*(9|12)")


@dataclass(frozen=True)
class Original:
    """An encoder's file, recognised: `name` is its catalogue entry."""

    name: str
    tensors: dict[str, Tensor]
    config: dict[str, Any]
    """What the encoder's config.json will hold."""


def recognise(data: Any, path: Path) -> Original | None:
    """The encoder that decoded data of a weights file are; None where they are something else.

    Args:
        data: as `core.models.safe_load.load_checkpoint` gives it.
        path: of the file; its name decides between sizes of Whisper that are not the published ones.

    Raises:
        ModelFileError: it looks like one of the encoders, but holds names of another network.
    """
    if not isinstance(data, Mapping):
        return None
    if "dims" in data and isinstance(data.get("model_state_dict"), Mapping):
        return _whisper(data, path)
    if isinstance(data.get("state_dict"), Mapping) and "encoder_use_attention" in (data.get("config") or {}):
        return _dphubert(data, path)
    table = data.get("model") if isinstance(data.get("model"), Mapping) else data.get("hubert", data)
    tensors = {str(name): x for name, x in table.items() if isinstance(x, Tensor)} if isinstance(table, Mapping) else {}
    if any("self_attn.grep_linear" in name for name in tensors):
        return _wavlm(tensors, data.get("cfg"), path)
    if "post_extract_proj.weight" in tensors:
        return _hubert(tensors, path)
    tensors = {name.removeprefix("module."): x for name, x in tensors.items()}
    if "positional_embedding.conv.weight_g" in tensors and "feature_projection.projection.weight" in tensors:
        return _soft(tensors, path)
    return None


def install(original: Original, folder: Path) -> Path:
    """Write `model.safetensors` and `config.json` of an encoder into `folder`; returns it. Raises NoSpace."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with atomic.file(folder / "model.safetensors") as temporary:
        tensors = {name: x.contiguous().clone() for name, x in original.tensors.items()}
        save_file(tensors, temporary, metadata={"format": "pt"})
    atomic.write_text(folder / "config.json", json.dumps(original.config, indent=2) + "\n")
    return folder


def onnx_name(path: Path) -> str | None:
    """The catalogue entry that an ONNX file's name says, such as vec768l12-onnx for vec-768-layer-12.onnx."""
    stem = path.stem.lower()
    if found := _ONNX_NAME.search(stem):
        return f"vec{found[1]}l{found[2]}-onnx"
    return "hubertsoft-onnx" if "hubert" in stem else None


def install_onnx(path: Path, name: str, folder: Path) -> Path:
    """Copy an ONNX encoder to `folder`/model.onnx once it has proven to be one; returns the folder.

    Raises:
        ModelFileError: onnxruntime does not open it, or its units have another width.
        NoSpace: the disk is full.
    """
    from core.features.encoders import ENCODERS
    from core.features.encoders.onnx_units import FILE, OnnxEncoder

    with atomic.file(folder / FILE) as temporary:
        shutil.copyfile(path, temporary)
        trial = temporary.parent / f"{temporary.name}.d"
        trial.mkdir()
        try:
            (trial / FILE).hardlink_to(temporary)
            OnnxEncoder(trial, name, ENCODERS[name].dim)
        finally:
            shutil.rmtree(trial, ignore_errors=True)
    return folder


# ---- one function an origin


def _hubert(tensors: dict[str, Tensor], path: Path) -> Original:
    """fairseq: ContentVec and HuBERT base are 768 wide, Chinese HuBERT large 1024."""
    made = fairseq_hubert.convert(tensors, str(path))
    fields = fairseq_hubert.sizes(made)
    if "final_proj.weight" in made:
        fields["classifier_proj_size"] = made["final_proj.weight"].shape[0]
    name = "cnhubertlarge" if fields["do_stable_layer_norm"] else "contentvec"
    return Original(name, made, {"architectures": ["HubertModelWithFinalProj"], "model_type": "hubert", **fields})


_WAVLM = (
    (r"(encoder\.layers\.\d+)\.self_attn\.grep_linear\.(\w+)", r"\1.attention.gru_rel_pos_linear.\2"),
    (r"(encoder\.layers\.\d+)\.self_attn\.grep_a", r"\1.attention.gru_rel_pos_const"),
    (r"(encoder\.layers\.\d+)\.self_attn\.relative_attention_bias\.(\w+)", r"\1.attention.rel_attn_embed.\2"),
)


def _wavlm(tensors: dict[str, Tensor], settings: Any, path: Path) -> Original:
    """Microsoft's WavLM: a HuBERT whose attention knows distances, gated."""
    own: dict[str, Tensor] = {}
    rest: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        new = next((re.sub(old, to, name) for old, to in _WAVLM if re.fullmatch(old, name)), None)
        (own if new else rest)[new or name] = tensor.float() if new else tensor
    made = fairseq_hubert.convert(rest, str(path))
    fields = fairseq_hubert.sizes(made)
    settings = settings if isinstance(settings, Mapping) else {}
    embedding = own["encoder.layers.0.attention.rel_attn_embed.weight"]
    fields |= {
        "num_attention_heads": embedding.shape[1],
        "num_buckets": embedding.shape[0],
        "max_bucket_distance": int(settings.get("max_distance", 800)),
        "normalize": bool(settings.get("normalize", False)),
    }
    return Original("wavlmbase+", made | own, {"model_type": "wavlm", **fields})


_SOFT = (
    (r"feature_extractor\.conv(\d)\.weight", r"feature_extractor.conv_layers.\1.conv.weight"),
    (r"feature_extractor\.norm0\.(\w+)", r"feature_extractor.conv_layers.0.layer_norm.\1"),
    (r"feature_projection\.norm\.(\w+)", r"feature_projection.layer_norm.\1"),
    (r"feature_projection\.projection\.(\w+)", r"feature_projection.projection.\1"),
    (r"positional_embedding\.conv\.bias", r"encoder.pos_conv_embed.conv.bias"),
    (r"positional_embedding\.conv\.weight_g", r"encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"positional_embedding\.conv\.weight_v", r"encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
    (r"norm\.(\w+)", r"encoder.layer_norm.\1"),
    (r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(\w+)", r"encoder.layers.\1.attention.out_proj.\2"),
    (r"encoder\.layers\.(\d+)\.linear1\.(\w+)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (r"encoder\.layers\.(\d+)\.linear2\.(\w+)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (r"encoder\.layers\.(\d+)\.norm1\.(\w+)", r"encoder.layers.\1.layer_norm.\2"),
    (r"encoder\.layers\.(\d+)\.norm2\.(\w+)", r"encoder.layers.\1.final_layer_norm.\2"),
    (r"proj\.(\w+)", r"final_proj.\1"),
)
_SOFT_JOINED = re.compile(r"encoder\.layers\.(\d+)\.self_attn\.in_proj_(weight|bias)")
_SOFT_TRAINING = re.compile(r"masked_spec_embed|label_embedding\..*")


def _soft(tensors: dict[str, Tensor], path: Path) -> Original:
    """bshall's HuBERT-Soft: a HuBERT of torch's own transformer layers, with the three projections in one."""
    made: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in tensors.items():
        new = next((re.sub(old, to, name) for old, to in _SOFT if re.fullmatch(old, name)), None)
        if new is not None:
            made[new] = tensor.float()
        elif joined := _SOFT_JOINED.fullmatch(name):
            for letter, part in zip("qkv", tensor.float().chunk(3), strict=True):
                made[f"encoder.layers.{joined[1]}.attention.{letter}_proj.{joined[2]}"] = part
        elif not _SOFT_TRAINING.fullmatch(name):
            unknown.append(name)
    if unknown or "final_proj.weight" not in made:
        raise ModelFileError(
            f"{path.name} is no whole HuBERT-Soft: {', '.join(unknown[:5]) or 'its projection is missing'}.",
            "Choose the original file, hubert-soft-0d54a1f4.pt.",
            where=str(path),
        )
    fields = fairseq_hubert.sizes(made) | {"classifier_proj_size": made["final_proj.weight"].shape[0]}
    return Original("hubertsoft", made, {"model_type": "hubert", **fields})


_WHISPER = (
    (r"conv(\d)\.(\w+)", r"conv\1.\2"),
    (r"positional_embedding", r"embed_positions.weight"),
    (r"blocks\.(\d+)\.attn\.query\.(\w+)", r"layers.\1.self_attn.q_proj.\2"),
    (r"blocks\.(\d+)\.attn\.key\.(\w+)", r"layers.\1.self_attn.k_proj.\2"),
    (r"blocks\.(\d+)\.attn\.value\.(\w+)", r"layers.\1.self_attn.v_proj.\2"),
    (r"blocks\.(\d+)\.attn\.out\.(\w+)", r"layers.\1.self_attn.out_proj.\2"),
    (r"blocks\.(\d+)\.attn_ln\.(\w+)", r"layers.\1.self_attn_layer_norm.\2"),
    (r"blocks\.(\d+)\.mlp\.0\.(\w+)", r"layers.\1.fc1.\2"),
    (r"blocks\.(\d+)\.mlp\.2\.(\w+)", r"layers.\1.fc2.\2"),
    (r"blocks\.(\d+)\.mlp_ln\.(\w+)", r"layers.\1.final_layer_norm.\2"),
    (r"ln_post\.(\w+)", r"layer_norm.\1"),
)


def _whisper(data: Mapping[str, Any], path: Path) -> Original:
    """OpenAI's Whisper: the encoder is kept, the decoder left behind."""
    dims = plain(data["dims"])
    made: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in data["model_state_dict"].items():
        if not name.startswith("encoder."):
            continue
        own = name.removeprefix("encoder.")
        new = next((re.sub(old, to, own) for old, to in _WHISPER if re.fullmatch(old, own)), None)
        if new is None:
            unknown.append(name)
        else:
            made[new] = tensor.float()
    if unknown or not made:
        raise ModelFileError(
            f"{path.name} is no whole Whisper: {', '.join(unknown[:5]) or 'it has no encoder'}.",
            "Choose the original file, medium.pt or large-v2.pt.",
            where=str(path),
        )
    width = int(dims["n_audio_state"])
    name = _BY_WIDTH.get(width) or ("whisper-ppg-large" if "large" in path.stem.lower() else "whisper-ppg")
    config = {
        "model_type": "whisper",
        "d_model": width,
        "num_mel_bins": int(dims["n_mels"]),
        "max_source_positions": int(dims["n_audio_ctx"]),
        "encoder_layers": int(dims["n_audio_layer"]),
        "encoder_attention_heads": int(dims["n_audio_head"]),
        "encoder_ffn_dim": made["layers.0.fc1.weight"].shape[0],
    }
    return Original(name, made, config)


def _dphubert(data: Mapping[str, Any], path: Path) -> Original:
    """DPHuBERT: names stay, the weight norm of the positional convolution is folded."""
    tensors = {str(name): x.float() for name, x in data["state_dict"].items() if isinstance(x, Tensor)}
    at = "encoder.transformer.pos_conv_embed.conv.weight"
    if f"{at}_g" not in tensors or f"{at}_v" not in tensors:
        raise ModelFileError(
            f"{path.name} is no whole DPHuBERT: it has no positional convolution.",
            "Choose the original file, DPHuBERT-sp0.75.pth.",
            where=str(path),
        )
    g, v = tensors.pop(f"{at}_g"), tensors.pop(f"{at}_v")
    tensors[at] = v * (g / torch.norm_except_dim(v, 2, 2))
    return Original("dphubert", tensors, {**plain(data["config"]), "model_type": "dphubert"})
