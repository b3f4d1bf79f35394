"""The released `cosyvoice2.yaml` and `cosyvoice3.yaml`, read as data: tags are kept as names and nothing is built.

HyperPyYAML's `!new:a.b.C`, `!name:f` and `!apply:f` become `Tagged`; `!ref <key>` becomes the value of the key, also in
products and quotients such as `!ref <chunk_size> * <token_mel_ratio>`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from core.engines.cosyvoice2.config import (
    DitFlowConfig,
    FlowConfig,
    HiftConfig,
    LanguageModelConfig,
    UnetFlowConfig,
)
from core.errors import ModelFileError

NAMES = ("cosyvoice2.yaml", "cosyvoice3.yaml", "cosyvoice.yaml")
_MAX_BYTES = 1 << 20
_TERM = re.compile(r"<([\w.]+(?:\[\w+\])*)>|(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Tagged:
    """A node with a tag such as `!new:package.Class`: the tag without its mark, and what stands in it."""

    name: str
    value: Any


@dataclass(frozen=True)
class ReleasedConfig:
    """What a model folder's YAML says of the parts that speak."""

    version: int
    sample_rate_hz: int
    language_model: LanguageModelConfig
    flow: FlowConfig
    hift: HiftConfig


class _Loader(yaml.SafeLoader):
    """Plain data, and tags as data."""


def _tagged(loader: _Loader, tag: str, node: yaml.Node) -> Tagged:
    if isinstance(node, yaml.MappingNode):
        value: Any = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.ScalarNode)
        value = loader.construct_scalar(node)
    return Tagged(tag, value)


_Loader.add_multi_constructor("!", _tagged)


def parse_tagged(text: str, where: str) -> dict[str, Any]:
    """The data of a tagged YAML with references resolved. Raises ModelFileError."""
    try:
        data = _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        raise _bad(where, f"is no YAML ({str(err).splitlines()[0]})") from err
    if not isinstance(data, dict):
        raise _bad(where, "holds no settings")
    return {key: _resolved(value, data, where, 0) for key, value in data.items()}


def _resolved(value: Any, root: dict[str, Any], where: str, depth: int) -> Any:
    if depth > 32:
        raise _bad(where, "refers to itself")
    if isinstance(value, Tagged) and value.name == "ref":
        return _resolved(_reference(str(value.value), root, where), root, where, depth + 1)
    if isinstance(value, Tagged):
        return Tagged(value.name, _resolved(value.value, root, where, depth + 1))
    if isinstance(value, dict):
        return {key: _resolved(inner, root, where, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolved(inner, root, where, depth + 1) for inner in value]
    return value


def _reference(text: str, root: dict[str, Any], where: str) -> Any:
    terms = re.split(r"\s*([*/])\s*", text.strip())
    values = []
    for term in terms[::2]:
        match = _TERM.fullmatch(term)
        if not match or (match[1] and match[1] not in root):
            raise _bad(where, f"refers to {text!r}, which is not there")
        values.append(root[match[1]] if match[1] else float(match[2]))
    if len(values) == 1:
        return values[0]
    if not all(isinstance(value, int | float) for value in values):
        raise _bad(where, f"calculates with {text!r}, which are no numbers")
    result = values[0]
    for sign, value in zip(terms[1::2], values[1:], strict=True):
        result = result * value if sign == "*" else result / value
    return int(result) if float(result).is_integer() else result


def read_released(folder: Path) -> ReleasedConfig:
    """The settings of a model folder. Raises ModelFileError naming what is missing or odd."""
    found = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if found is None:
        raise ModelFileError(
            f"{folder.name} holds none of {', '.join(NAMES)}.",
            "Choose the folder of a released CosyVoice2 or Fun-CosyVoice3 model.",
            where=str(folder),
        )
    if found.stat().st_size > _MAX_BYTES:
        raise _bad(str(found), "is far too large for settings")
    data = parse_tagged(found.read_text("utf-8", "replace"), str(found))
    try:
        flow, causal = _flow(data)
        return ReleasedConfig(
            version=3 if causal else 2,
            sample_rate_hz=int(data["sample_rate"]),
            language_model=_language_model(data, version_3=causal),
            flow=flow,
            hift=_hift(data, causal=causal),
        )
    except (KeyError, TypeError, AttributeError, IndexError, ValidationError, ValueError) as err:
        said = str(err).splitlines()[0]
        raise _bad(str(found), f"lacks a setting or has an odd one ({type(err).__name__}: {said})") from err


def _parts(node: Any) -> dict[str, Any]:
    value = node.value if isinstance(node, Tagged) else node
    if not isinstance(value, dict):
        raise TypeError("a part of the model is no mapping")
    return value


def _chosen(parts: dict[str, Any], **names: str) -> dict[str, Any]:
    """Our names for those of the file that are there."""
    return {ours: parts[theirs] for ours, theirs in names.items() if theirs in parts}


def _flow(data: dict[str, Any]) -> tuple[FlowConfig, bool]:
    flow = _parts(data["flow"])
    estimator = _parts(_parts(flow["decoder"])["estimator"])
    common = _chosen(
        flow,
        vocab_size="vocab_size",
        input_size="input_size",
        output_size="output_size",
        spk_embed_dim="spk_embed_dim",
        token_mel_ratio="token_mel_ratio",
        lookahead="pre_lookahead_len",
    )
    if "chunk_size" in data:
        common["block"] = data["chunk_size"]
    if "DiT" in flow["decoder"].value["estimator"].name or "pre_lookahead_layer" in flow:
        ahead = _parts(flow["pre_lookahead_layer"]) if "pre_lookahead_layer" in flow else {}
        sizes = _chosen(estimator, dim="dim", depth="depth", heads="heads", head_dim="dim_head", ff_mult="ff_mult")
        return DitFlowConfig(**common, **sizes, **_chosen(ahead, lookahead_channels="channels")), True
    encoder = _chosen(
        _parts(flow["encoder"]),
        encoder_dim="output_size",
        encoder_heads="attention_heads",
        encoder_hidden="linear_units",
        encoder_layers="num_blocks",
        encoder_up_layers="num_up_blocks",
    )
    sizes = _chosen(
        estimator, heads="num_heads", head_dim="attention_head_dim", n_blocks="n_blocks", mid_blocks="num_mid_blocks"
    )
    (channels,) = estimator.get("channels", [UnetFlowConfig().channels])
    return UnetFlowConfig(**common, **encoder, **sizes, channels=channels), False


def _hift(data: dict[str, Any], *, causal: bool) -> HiftConfig:
    hift = _parts(data["hift"])
    known = {name: hift[name] for name in HiftConfig.model_fields if name in hift}
    stft = hift.get("istft_params", {})
    more = _chosen(stft, n_fft="n_fft", hop_len="hop_len")
    more |= _chosen(_parts(hift.get("f0_predictor", {})), f0_channels="cond_channels")
    more |= _chosen(hift, pre_lookahead="conv_pre_look_right")
    return HiftConfig(**(known | more), causal=causal)


def _language_model(data: dict[str, Any], *, version_3: bool) -> LanguageModelConfig:
    model = _parts(data["llm"])
    sampling = model.get("sampling", {})
    return LanguageModelConfig(
        **_chosen(model, speech_tokens="speech_token_size", mix_ratio="mix_ratio"),
        **_chosen(_parts(sampling), top_p="top_p", top_k="top_k", win_size="win_size", tau_r="tau_r"),
        extra_ids=200 if version_3 else 3,
        own_embedding=not version_3,
    )


def _bad(where: str, what: str) -> ModelFileError:
    return ModelFileError(f"{Path(where).name} {what}.", "Copy the file of the released model again.", where=where)
