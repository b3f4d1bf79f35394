"""What training a VoxCPM takes, computed from its config.json: parameters are counted, memory follows from the counts.

Light: no torch. A transformer block with hidden size h, inner size f and heads of size d keeps for the backward pass,
for each position, 36 h + 8 d n_kv + 16 f bytes in float32 and 32 h + 4 d n_kv + 8 f under bfloat16 autocast: counted
from the tensors that autograd holds (tests/engines/voxcpm/test_sizes.py counts again). Checkpointed, it keeps its
input, 4 h bytes, and one block at a time the rest.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from core.engines.voxcpm.config_yaml import LoraSettings
from core.errors import ModelFileError

LATENTS_HZ = 25
CUDA_BYTES = 1.0e9
"""CUDA's own context, its libraries' work space, and gaps between tensors."""
_FILE_BYTES = {"float32": 4, "fp32": 4}


@dataclass(frozen=True)
class Stack:
    """One of the model's transformers. `positions`: of it, for each position of the language model."""

    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_size: int
    layers: int
    positions: int = 1

    @property
    def parameters(self) -> int:
        """Weights of all blocks and the last norm."""
        attention = 2 * self.hidden * self.head_size * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.inner + 2 * self.hidden) + self.hidden

    def lora_parameters(self, rank: int, targets: list[str]) -> int:
        """Weights of a LoRA on these layers of every block."""
        q, kv = self.heads * self.head_size, self.kv_heads * self.head_size
        h, f = self.hidden, self.inner
        sizes = {
            "q_proj": h + q,
            "k_proj": h + kv,
            "v_proj": h + kv,
            "o_proj": q + h,
            "gate_proj": h + f,
            "up_proj": h + f,
            "down_proj": f + h,
        }
        return self.layers * rank * sum(sizes.get(name, 0) for name in set(targets))

    def kept_bytes(self, autocast: bool, checkpointed: bool) -> float:
        """Held for the backward pass, for each position of the language model."""
        kv = self.head_size * self.kv_heads
        if autocast:
            block = 32 * self.hidden + 4 * kv + 8 * self.inner
        else:
            block = 36 * self.hidden + 8 * kv + 16 * self.inner
        kept = self.layers * 4 * self.hidden + block if checkpointed else self.layers * block
        return float(self.positions * kept)


@dataclass(frozen=True)
class Sizes:
    """A model's counts."""

    lm: Stack
    residual: Stack
    encoder: Stack
    dit: Stack
    vocabulary: int
    feat_dim: int
    quantised: int
    is_v2: bool
    patch_size: int
    max_length: int
    file_bytes: int
    """A weight in the model's file takes so many."""
    vae_bytes: float

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Of a model folder. Raises ModelFileError."""
        try:
            data = json.loads((folder / "config.json").read_text("utf-8"))
            return cls._of(data, folder)
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise ModelFileError(
                f"config.json of {folder.name} cannot be understood.", "Choose a model's folder.", where=str(folder)
            ) from err

    @classmethod
    def _of(cls, data: dict[str, Any], folder: Path) -> Self:
        lm, patch, v2 = data["lm_config"], int(data.get("patch_size", 4)), data.get("architecture") == "voxcpm2"

        def stack(hidden: int, inner: int, heads: int, kv: int | None, layers: int, positions: int = 1) -> Stack:
            size = kv or hidden // heads
            return Stack(hidden, inner, heads, lm["num_key_value_heads"], size, layers, positions)

        def local(part: dict[str, Any], positions: int) -> Stack:
            sizes = (part["hidden_dim"], part["ffn_dim"], part["num_heads"], part.get("kv_channels"))
            return stack(*sizes, part["num_layers"], positions)

        base = (lm["hidden_size"], lm["intermediate_size"], lm["num_attention_heads"], lm.get("kv_channels"))
        vae = [folder / name for name in ("audiovae.safetensors", "audiovae.pth") if (folder / name).is_file()]
        return cls(
            lm=stack(*base, lm["num_hidden_layers"]),
            residual=stack(*base, data.get("residual_lm_num_layers", 8 if v2 else 6)),
            encoder=local(data["encoder_config"], patch + 1),
            dit=local(data["dit_config"], 2 * patch + (3 if v2 else 1)),
            vocabulary=lm["vocab_size"],
            feat_dim=data.get("feat_dim", 64),
            quantised=data.get("scalar_quantization_latent_dim", 512 if v2 else 256),
            is_v2=v2,
            patch_size=patch,
            max_length=min(data.get("max_length", 4096), lm["max_position_embeddings"]),
            file_bytes=_FILE_BYTES.get(str(data.get("dtype", "bfloat16")), 2),
            vae_bytes=float(vae[0].stat().st_size) if vae else 0.4e9,
        )

    @property
    def parameters(self) -> int:
        """Weights but the VAE's."""
        h, e, d, feat = self.lm.hidden, self.encoder.hidden, self.dit.hidden, self.feat_dim
        encoder = e + (feat * e + e) + self.encoder.parameters
        dit = 2 * (feat * d + d) + (d * feat + feat) + 4 * (d * d + d) + self.dit.parameters
        joints = (h * self.quantised + self.quantised) + (self.quantised * h + h) + sum(self._projections().values())
        stop = h * h + h + 2 * h
        return self.vocabulary * h + self.lm.parameters + self.residual.parameters + encoder + dit + joints + stop

    def _projections(self, rank: int = 0) -> dict[str, int]:
        """Weights of the projections, or of a LoRA of that rank on them."""
        h, e, d = self.lm.hidden, self.encoder.hidden, self.dit.hidden
        shapes = {"enc_to_lm_proj": (e, h), "lm_to_dit_proj": (h, d), "res_to_dit_proj": (h, d)}
        if self.is_v2:
            shapes["fusion_concat_proj"] = (2 * h, h)
        return {name: rank * (a + b) if rank else a * b + b for name, (a, b) in shapes.items()}

    def trained(self, lora: LoraSettings | None) -> int:
        """Weights that learn: all, or those of a LoRA."""
        if lora is None:
            return self.parameters
        n = 0
        if lora.enable_lm:
            n += sum(one.lora_parameters(lora.r, lora.target_modules_lm) for one in (self.lm, self.residual))
        if lora.enable_dit:
            n += self.dit.lora_parameters(lora.r, lora.target_modules_dit)
        if lora.enable_proj:
            n += sum(size for name, size in self._projections(lora.r).items() if name in lora.target_proj_modules)
        return n

    def positions(self, seconds: float, text: str) -> int:
        """That a clip takes, about: a token for four Latin letters or one Chinese character."""
        chinese = sum(char >= "\u2e80" for char in text)
        tokens = chinese + math.ceil((len(text) - chinese) / 4)
        return tokens + math.ceil(seconds * LATENTS_HZ / self.patch_size) + 2

    def activation_bytes(self, positions: int, *, autocast: bool, checkpointed: bool) -> float:
        """Held between forward and backward pass."""
        stacks = (self.lm, self.residual, self.encoder, self.dit)
        kept = sum(one.kept_bytes(autocast, checkpointed) for one in stacks)
        between = 4 * 16 * (self.lm.hidden + self.dit.hidden)  # projections, masks and sums between the transformers
        return positions * (kept + between)

    def memory_bytes(
        self, positions: int, lora: LoraSettings | None, *, cuda: bool, checkpointed: bool, eight_bit: bool
    ) -> float:
        """Of the device: weights, gradients, the optimiser's state, activations of so many positions.

        Weights that learn are float32 (4 bytes, and 2 of autocast's copy on a GPU), with gradients (4) and two moments
        (8, or 2 in 8 bits); under a LoRA on a GPU the others are as in the file.
        """
        n, learning = self.parameters, self.trained(lora)
        frozen = self.file_bytes if cuda else 4
        weights = n * frozen + learning * 4 if lora is not None else n * (6 if cuda else 4)
        state = learning * (4 + (2 if eight_bit else 8))
        activations = self.activation_bytes(positions, autocast=cuda, checkpointed=checkpointed)
        return weights + state + activations + self.vae_bytes + CUDA_BYTES
