"""A reference clip as VoxCPM hears it: latents of its VAE, computed once and kept with the voice."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core import atomic
from core.errors import BadInput, ModelFileError
from core.models.safe_load import load_tensors
from core.speech.prompt import ReferenceClip

if TYPE_CHECKING:
    from core.engines.voxcpm.loading import Network

FORMAT = "1"


@dataclass(frozen=True)
class VoxPrompt:
    """The voice of a request.

    Attributes:
        text: what is said in `audio`.
        audio: latents [n, P, D] that the speech goes on from ("continuation"); None without.
        reference: latents [n, P, D] whose voice is taken, apart from what they say (VoxCPM 2); None without.
    """

    text: str = ""
    audio: Tensor | None = None
    reference: Tensor | None = None


def joined_text(before: str, after: str) -> str:
    """A prompt's words and the sentence's, with a space between unless the first ends in Chinese or with one."""
    if not before or before[-1].isspace() or before[-1] >= "\u2e80":
        return before + after
    return f"{before} {after}"


@torch.inference_mode()
def encode(net: "Network", clip: ReferenceClip, *, continuation: bool) -> Tensor:
    """Latents [n, P, D] float32 on the CPU. What fills the last patch up goes before a clip that is gone on from (its
    end must stay the end), and after one that is only a reference. Raises BadInput for another rate."""
    if clip.rate_hz != net.encode_rate_hz:
        raise BadInput(
            f"The clip is at {clip.rate_hz} Hz, the model wants {net.encode_rate_hz} Hz.", where=str(clip.path)
        )
    audio = torch.from_numpy(clip.audio)[None, None]
    short = -audio.shape[-1] % net.encode_patch_samples
    audio = torch.nn.functional.pad(audio, (short, 0) if continuation else (0, short))
    vae = net.model.audio_vae
    latents = vae.encode(audio.to(net.device), net.encode_rate_hz)[0].float().cpu()
    return latents.T.reshape(-1, net.model.patch_size, latents.shape[0]).contiguous()


def cached_encode(net: "Network", clip: ReferenceClip, folder: Path | None, *, continuation: bool) -> Tensor:
    """`encode`, kept in `folder` (None: not kept) as long as neither the clip's bytes nor the encoder change."""
    if folder is None:
        return encode(net, clip, continuation=continuation)
    kind = "continuation" if continuation else "reference"
    path = folder / f"{clip.path.stem[:60]}.voxcpm-{kind}.safetensors"
    meta = {"format": FORMAT, "clip": clip.sha256, "encoder": net.fingerprint, "kind": kind}
    kept = _read(path, meta)
    if kept is not None:
        return kept
    latents = encode(net, clip, continuation=continuation)
    from safetensors.torch import save

    atomic.write_bytes(path, save({"latents": latents}, metadata=meta))
    return latents


def _read(path: Path, meta: dict[str, str]) -> Tensor | None:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as handle:
            if handle.metadata() != meta:
                return None
        return load_tensors(path).get("latents")
    except (SafetensorError, OSError, ModelFileError):
        return None  # a damaged cache is made again
