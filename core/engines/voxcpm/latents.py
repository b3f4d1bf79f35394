"""What VoxCPM's training hears: latents of each clip, computed once; computing them is most of a step of the package's.

One safetensors file a clip, named by the clip's bytes and the encoder, so that neither can be paired with another's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core import atomic
from core.engines.voxcpm.loading import Network
from core.errors import BadInput, ModelFileError
from core.models.safe_load import load_tensors
from core.speech.prompt import file_sha256

if TYPE_CHECKING:
    from core.jobs.context import JobContext


def cached_latents(net: Network, clips: Sequence[Path], folder: Path, ctx: "JobContext | None" = None) -> list[Path]:
    """The files of all clips' latents, in order; those that are there and whole are not made again.

    Resumable and cancellable between two clips. Raises BadInput (a clip cannot be decoded), NoSpace, Cancelled.
    """
    found = []
    for number, clip in enumerate(clips):
        if ctx is not None:
            ctx.progress(number / len(clips), f"Latents {number + 1}/{len(clips)}")
        path = folder / f"{file_sha256(clip)}.{net.fingerprint}.safetensors"
        if not _whole(path):
            from safetensors.torch import save

            atomic.write_bytes(path, save({"latents": encode_clip(net, clip)}))
        found.append(path)
    return found


def read_latents(path: Path) -> Tensor:
    """[n, P, D] float32. Raises ModelFileError."""
    latents = load_tensors(path).get("latents")
    if latents is None or latents.ndim != 3:
        raise ModelFileError(f"{path.name} holds no latents.", "Remove it; it is made again.", where=str(path))
    return latents


@torch.inference_mode()
def encode_clip(net: Network, clip: Path) -> Tensor:
    """Latents [n, P, D] float32 of a clip at the encoder's rate; silence fills the last patch up, as in the package."""
    from core.audio.decode import load

    audio = torch.from_numpy(load(clip, net.encode_rate_hz))
    if not len(audio):
        raise BadInput(f"{clip.name} holds no sound.", "Remove it from the dataset.", where=str(clip))
    audio = torch.nn.functional.pad(audio, (0, -len(audio) % net.encode_patch_samples))
    latents = net.model.audio_vae.encode(audio[None, None].to(net.device), net.encode_rate_hz)[0].float().cpu()
    return latents.T.reshape(-1, net.model.patch_size, latents.shape[0]).contiguous()


def _whole(path: Path) -> bool:
    try:
        read_latents(path)
    except ModelFileError:
        return False
    return True
