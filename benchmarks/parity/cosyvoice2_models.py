"""Flows and vocoders of the size that a case's weights say."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from core.engines.cosyvoice2.config import DitFlowConfig, FlowConfig, HiftConfig, UnetFlowConfig
from core.engines.cosyvoice2.flow import Flow
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.weights import folded
from core.models.safe_load import strict_load

_ROOTS = {
    "input_embedding.weight": ("input_embedding", "spk_embed_affine", "encoder", "decoder", "pre_lookahead"),
    "conv_pre.bias": ("conv_", "ups", "source_", "resblocks", "m_source", "f0_predictor"),
    "llm_decoder.weight": ("llm", "speech_embedding"),
}


def weights_under(tensors: Mapping[str, Tensor], marker: str) -> tuple[dict[str, Tensor], list[str]]:
    """The weights that stand beside `marker`, without the prefix they share, and their names in full."""
    found = [name for name in tensors if name == marker or name.endswith("." + marker)]
    if not found:
        return {}, []
    prefix = min(found, key=len).removesuffix(marker)
    names = [name for name in tensors if name.startswith(prefix) and name[len(prefix) :].startswith(_ROOTS[marker])]
    return {name[len(prefix) :]: tensors[name] for name in names}, names


def _count(weights: Mapping[str, Tensor], prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in weights if name.startswith(prefix)})


def _setting(info: Any, *names: str) -> Any:
    """The first value of one of these names, however deep in the case's description."""
    if isinstance(info, dict):
        for name in names:
            if name in info:
                return info[name]
        for value in info.values():
            found = _setting(value, *names)
            if found is not None:
                return found
    return None


def flow_of(weights: Mapping[str, Tensor], info: dict[str, Any]) -> Flow:
    """A flow of either kind, filled strictly."""
    shape = {name: tensor.shape for name, tensor in weights.items()}
    est = "decoder.estimator."
    common = {
        "vocab_size": shape["input_embedding.weight"][0],
        "input_size": shape["input_embedding.weight"][1],
        "output_size": shape["spk_embed_affine_layer.weight"][0],
        "spk_embed_dim": shape["spk_embed_affine_layer.weight"][1],
        "block": _setting(info, "chunk", "chunk_size") or 25,
    }
    config: FlowConfig
    if "encoder_proj.weight" in weights:
        layer = "encoder.encoders.0."
        heads = _setting(info, "num_heads") or 8
        config = UnetFlowConfig(
            **common,
            lookahead=shape["encoder.pre_lookahead_layer.conv1.weight"][2] - 1,
            encoder_dim=shape["encoder.embed.out.0.weight"][0],
            encoder_heads=shape[layer + "self_attn.pos_bias_u"][0],
            encoder_hidden=shape[layer + "feed_forward.w_1.weight"][0],
            encoder_layers=_count(weights, "encoder.encoders."),
            encoder_up_layers=_count(weights, "encoder.up_encoders."),
            channels=shape[est + "down_blocks.0.0.res_conv.bias"][0],
            heads=heads,
            head_dim=shape[est + "down_blocks.0.1.0.attn1.to_q.weight"][0] // heads,
            n_blocks=_count(weights, est + "down_blocks.0.1."),
            mid_blocks=_count(weights, est + "mid_blocks."),
        )
    else:
        block = est + "transformer_blocks.0."
        head_dim = 2 * shape[est + "rotary_embed.inv_freq"][0]
        dim = shape[est + "proj_out.weight"][1]
        config = DitFlowConfig(
            **common,
            lookahead=shape["pre_lookahead_layer.conv1.weight"][2] - 1,
            lookahead_channels=shape["pre_lookahead_layer.conv1.weight"][0],
            dim=dim,
            depth=_count(weights, est + "transformer_blocks."),
            heads=shape[block + "attn.to_q.weight"][0] // head_dim,
            head_dim=head_dim,
            ff_mult=shape[block + "ff.ff.0.0.weight"][0] / dim,
        )
    flow = Flow(config)
    strict_load(flow, weights, "flow")
    flow.eval().requires_grad_(False)
    return flow


def hift_of(weights: Mapping[str, Tensor], info: dict[str, Any]) -> Hift:
    """A vocoder of either kind, filled strictly."""
    plain = folded(weights)
    causal = plain["f0_predictor.condnet.0.weight"].shape[2] == 4
    rates = _setting(info, "upsample_rates") or HiftConfig().upsample_rates
    hift = Hift(
        HiftConfig(
            base_channels=plain["conv_pre.bias"].shape[0],
            f0_channels=plain["f0_predictor.condnet.0.bias"].shape[0],
            upsample_rates=tuple(rates),
            upsample_kernel_sizes=tuple(plain[f"ups.{i}.weight"].shape[2] for i in range(len(rates))),
            causal=causal,
            pre_lookahead=plain["conv_pre.weight"].shape[2] - 1 if causal else 4,
        )
    )
    strict_load(hift, plain, "hift")
    hift.eval().requires_grad_(False)
    return hift
