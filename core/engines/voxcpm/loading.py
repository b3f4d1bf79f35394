"""A VoxCPM model from its folder, strictly: every tensor is there, fits and is used, or nothing is loaded.

The package fills what is missing with random weights and does not say so; here the same classes are built without
memory first, then take the checked tensors as they are, so that loading needs the model's size once.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import remove_weight_norm

from core.engines.voxcpm import package
from core.errors import BadInput, ModelFileError
from core.models.safe_load import load_checkpoint, load_tensors, strict_load

_ANOTHER = "Choose the folder of a VoxCPM model: config.json, model.safetensors, audiovae.pth and tokenizer.json."
_AGAIN = "Download or copy the model again."
_DTYPES = {
    "bfloat16": torch.bfloat16, "bf16": torch.bfloat16, "float16": torch.float16, "fp16": torch.float16,
    "float32": torch.float32, "fp32": torch.float32,
}  # fmt: skip
_BOUNDARIES = "decoder.sr_bin_boundaries"  # of the VAE; a copy of the config's numbers that some files lack


@dataclass(frozen=True)
class Network:
    """A loaded model and what must be known about it. Nothing in it changes while it speaks.

    Attributes:
        model: the package's VoxCPMModel or VoxCPM2Model, in `dtype` on `device`, its VAE in float32, for inference.
        architecture: "voxcpm" (0.5B, 1.5) or "voxcpm2".
        folder: where it came from.
        sample_rate_hz: of the speech.
        encode_rate_hz: of what the VAE's encoder takes.
        patch_samples: samples of speech that one patch becomes.
        encode_patch_samples: samples that become one patch in the encoder.
        max_length: most positions of one sentence.
        fingerprint: of the VAE's encoder; latents of another encoder mean nothing to the model.
    """

    model: Any
    architecture: str
    folder: Path
    sample_rate_hz: int
    encode_rate_hz: int
    patch_samples: int
    encode_patch_samples: int
    max_length: int
    dtype: torch.dtype
    device: torch.device
    fingerprint: str

    @property
    def is_v2(self) -> bool:
        """True for VoxCPM 2."""
        return self.architecture == "voxcpm2"

    @property
    def memory_bytes(self) -> int:
        """Weights and buffers."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def load_network(folder: Path, device: str = "cpu", dtype: torch.dtype | None = None) -> Network:
    """Load a model for inference. `device` is "cpu" or "cuda:N"; `dtype` None: the precision that its config names.

    Raises ModelFileError that names the file and what is wrong with it, Unavailable (package, memory).
    """
    architecture, config = read_config(folder)
    parts = package.module_of(architecture)
    tokenizer = read_tokenizer(folder, config.lm_config.vocab_size)
    model: Any = build(parts, config, tokenizer)
    dtype = dtype or file_dtype(config)
    fill(model, folder, config, dtype)
    _prepare(model.audio_vae)
    model.eval().requires_grad_(False)
    try:
        model.to(device)
    except torch.OutOfMemoryError as err:
        raise out_of_memory(device) from err
    model.device = device
    vae = model.audio_vae
    return Network(
        model=model,
        architecture=architecture,
        folder=folder,
        sample_rate_hz=int(model.sample_rate),
        encode_rate_hz=int(vae.sample_rate),
        patch_samples=int(getattr(vae, "decode_chunk_size", vae.chunk_size)) * config.patch_size,
        encode_patch_samples=int(vae.chunk_size) * config.patch_size,
        max_length=min(config.max_length, config.lm_config.max_position_embeddings),
        dtype=dtype,
        device=torch.device(device),
        fingerprint=_fingerprint(vae.encoder),
    )


def read_config(folder: Path) -> tuple[str, Any]:
    """The architecture and the package's own config object of a model folder.

    Raises ModelFileError: no such folder or config, not a VoxCPM model, values that cannot be.
    """
    from pydantic import ValidationError

    path = folder / "config.json"
    if not path.is_file():
        what = "is not a model: it has no config.json" if folder.is_dir() else "does not exist"
        raise ModelFileError(f"The folder {folder} {what}.", _ANOTHER, where=str(folder))
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as err:
        raise ModelFileError(f"config.json in {folder} cannot be read.", _AGAIN, where=str(path)) from err
    if not isinstance(data, dict) or not {"lm_config", "dit_config"} <= data.keys():
        raise ModelFileError(f"{folder.name} holds another kind of model, not VoxCPM.", _ANOTHER, where=str(path))
    architecture = str(data.get("architecture", "voxcpm")).lower()
    if architecture not in package.ARCHITECTURES:
        raise ModelFileError(
            f"{folder.name} is a model of the architecture {architecture!r}, which is not known here.",
            f"Known are {' and '.join(package.ARCHITECTURES)}; a newer studio may know it.",
            where=str(path),
        )
    try:
        config = package.module_of(architecture).VoxCPMConfig.model_validate(data)
    except ValidationError as err:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in err.errors()[:5])
        raise ModelFileError(f"config.json of {folder.name} does not fit: {wrong}.", _AGAIN, where=str(path)) from err
    _consistent(config, path)
    return architecture, config


def file_dtype(config: Any) -> torch.dtype:
    """The precision that a model's config names."""
    return _DTYPES[config.dtype]


def _consistent(config: Any, path: Path) -> None:
    """Refuse what would fail later, in the middle of a sentence."""
    wrong = []
    if config.audio_vae_config is not None and config.audio_vae_config.latent_dim != config.feat_dim:
        wrong.append("feat_dim differs from audio_vae_config.latent_dim")
    if config.lm_config.vocab_size < 105:
        wrong.append("vocab_size is below 105, so the audio marks have no place")
    if config.dtype not in _DTYPES:
        wrong.append(f"dtype {config.dtype!r} is not known")
    if wrong:
        raise ModelFileError(
            f"config.json of {path.parent.name} does not fit: {'; '.join(wrong)}.", _AGAIN, where=str(path)
        )


def read_tokenizer(folder: Path, vocab_size: int) -> Any:
    """The tokenizer of a model folder. Raises ModelFileError."""
    from transformers import LlamaTokenizerFast

    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")):
        raise ModelFileError(f"{folder.name} has no tokenizer.json.", _AGAIN, where=str(folder))
    try:
        tokenizer = LlamaTokenizerFast.from_pretrained(folder, local_files_only=True)
    # The file decides what is raised: the tokenizers library throws bare Exceptions at content it does not like.
    except Exception as err:
        raise ModelFileError(f"The tokenizer of {folder.name} is damaged.", _AGAIN, where=str(folder)) from err
    if len(tokenizer) > vocab_size:
        raise ModelFileError(
            f"The tokenizer of {folder.name} has {len(tokenizer)} tokens, the model knows {vocab_size}.",
            "The tokenizer belongs to another model. " + _AGAIN,
            where=str(folder),
        )
    return tokenizer


def build(parts: Any, config: Any, tokenizer: Any) -> Any:
    """The package's model on the meta device: shapes, no memory. `parts` is the package's module."""
    v2 = hasattr(parts, "AudioVAEV2")
    vae_class, model_class = (parts.AudioVAEV2, parts.VoxCPM2Model) if v2 else (parts.AudioVAE, parts.VoxCPMModel)
    # Its constructor reserves a cache for the longest text; sessions here have caches of their own.
    small = config.model_copy(update={"max_length": 1}, deep=True)
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # weight_norm's
        vae = vae_class(config.audio_vae_config) if config.audio_vae_config else vae_class()
        model = model_class(small, tokenizer, vae, device="cpu")
    for lm in (model.base_lm, model.residual_lm):
        lm.kv_cache = None
    model.config = config.model_copy(update={"device": "cpu"}, deep=True)
    return model


def fill(model: Any, folder: Path, config: Any, dtype: torch.dtype) -> None:
    """Give a model from `build` its tensors: the VAE's in float32, the rest in `dtype`. Raises ModelFileError."""
    weights, vae_weights = read_weights(folder)
    vae, model.audio_vae = model.audio_vae, nn.Identity()  # it has a file of its own
    if _BOUNDARIES not in vae_weights and _BOUNDARIES in vae.state_dict():
        vae_weights[_BOUNDARIES] = torch.tensor(vae.sr_bin_boundaries, dtype=torch.int32)
    _assign(model, weights, str(weights_file(folder)), dtype)
    _assign(vae, vae_weights, str(_vae_file(folder)), torch.float32)
    model.audio_vae = vae
    for module in model.modules():
        if type(module).__name__ == "MiniCPMLongRoPE":
            _fill_rope(module, dtype)


def read_weights(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors of the model and of its VAE, on the CPU. Raises ModelFileError."""
    return _tensors(weights_file(folder)), _tensors(_vae_file(folder))


def weights_file(folder: Path) -> Path:
    """The file of a model's weights, but for the VAE's. Raises ModelFileError."""
    return _first(folder, "model.safetensors", "pytorch_model.bin")


def _vae_file(folder: Path) -> Path:
    return _first(folder, "audiovae.safetensors", "audiovae.pth")


def _first(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ModelFileError(f"{folder.name} has neither {' nor '.join(names)}.", _AGAIN, where=str(folder))


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_tensors(path)
    data = load_checkpoint(path)
    inner = data.get("state_dict", data) if isinstance(data, dict) else None
    if not isinstance(inner, dict) or not all(isinstance(value, Tensor) for value in inner.values()):
        raise ModelFileError(f"{path.name} holds no table of tensors.", _AGAIN, where=str(path))
    return inner


def _assign(module: nn.Module, tensors: Mapping[str, Tensor], where: str, dtype: torch.dtype) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that copying to the meta device does nothing: it only compares
        strict_load(module, tensors, where)
    cast = {n: t.to(dtype) if t.is_floating_point() else t for n, t in tensors.items()}
    module.load_state_dict(cast, strict=True, assign=True)


def _fill_rope(module: Any, dtype: torch.dtype) -> None:
    """The positions' sines, which no file holds, in the model's precision: so the package does, and we sound alike."""
    fresh = type(module)(module.config)
    for name, buffer in fresh.named_buffers():
        module.register_buffer(name, buffer.to(dtype), persistent=False)


class Snake(nn.Module):
    """x + sin(a x)^2 / a (Ziyin et al., 2020) with the package's `alpha` [1, C, 1], x [B, C, n].

    The package's is a TorchScript function, which is compiled anew for every other length: seconds, in mid-sentence.
    """

    def __init__(self, alpha: nn.Parameter) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """The activation, of the same shape."""
        return x + (self.alpha + 1e-9).reciprocal() * torch.sin(self.alpha * x).square_()


def _prepare(vae: nn.Module) -> None:
    """Make a VAE faster for inference, with the same numbers coming out."""
    for module in list(vae.modules()):
        if hasattr(module, "weight_g"):
            remove_weight_norm(module)  # computed once and not in every step
        for name, child in list(module.named_children()):
            if type(child).__name__ == "Snake1d":
                setattr(module, name, Snake(child.alpha))  # type: ignore[arg-type]


def _fingerprint(encoder: nn.Module) -> str:
    """Of the encoder's first and last tensors and all shapes: enough to tell two encoders apart, and fast."""
    state = encoder.state_dict()
    digest = hashlib.sha256("".join(f"{name}{tuple(t.shape)}" for name, t in state.items()).encode())
    for name in (next(iter(state)), *(name for name in state if name.startswith("fc_mu"))):
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def out_of_memory(device: str) -> BadInput:
    """What a person reads when the GPU is full."""
    return BadInput(
        f"The memory of {device} is full.",
        "Close other programs on the GPU, take shorter sentences or a smaller model, or set the device to cpu.",
        where="device",
    )
