"""What VoxCPM's training hears: latents of each clip, computed once; computing them is most of a step of the package's.

One safetensors file a clip, named by its bytes, the encoder and the patch size, so that none is paired with another.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from core import atomic
from core.engines.voxcpm.loading import Network
from core.errors import BadInput, ModelFileError
from core.models.safe_load import load_tensors
from core.speech.prompt import file_sha256

if TYPE_CHECKING:
    from core.jobs.context import JobContext

Made = TypeVar("Made")


def cached_latents(
    net: Network, clips: Sequence[Path], folder: Path, ctx: "JobContext | None" = None, workers: int = 0
) -> list[Path | BadInput]:
    """The files of all clips' latents, in order; those that are there and whole are not made again. A clip that cannot
    be decoded gives its error instead.

    `workers`: threads that read and decode ahead. Resumable and cancellable between two clips. Raises NoSpace,
    Cancelled.
    """
    found: list[Path | BadInput] = []
    for number, made in enumerate(_ahead(partial(_prepare, net, folder), clips, workers)):
        if ctx is not None:
            ctx.progress(number / len(clips), f"Latents {number + 1}/{len(clips)}")
        if isinstance(made, BadInput):
            found.append(made)
            continue
        path, audio = made
        # The second look is for a clip that comes twice.
        if audio is not None and not _whole(path):
            from safetensors.torch import save

            atomic.write_bytes(path, save({"latents": encode(net, audio)}))
        found.append(path)
    return found


def _prepare(net: Network, folder: Path, clip: Path) -> tuple[Path, Tensor | None] | BadInput:
    """Where a clip's latents belong, and its sound where they must be made."""
    try:
        path = folder / f"{file_sha256(clip)}.{net.fingerprint}-{net.model.patch_size}.safetensors"
        return path, None if _whole(path) else read_clip(net, clip)
    except BadInput as err:
        return err
    except OSError as err:
        return BadInput(f"{clip} cannot be read: {err.strerror}.", "Remove it from the dataset.", where=str(clip))


def _ahead(work: Callable[[Path], Made], items: Sequence[Path], workers: int) -> Iterator[Made]:
    """`work` of all items in order; threads do some ahead, so that memory does not grow with the number of items."""
    if not workers:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        coming: deque[Future[Made]] = deque()
        try:
            for item in items:
                coming.append(pool.submit(work, item))
                if len(coming) > 2 * workers:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for future in coming:
                future.cancel()


def read_latents(path: Path) -> Tensor:
    """[n, P, D] float32. Raises ModelFileError."""
    latents = load_tensors(path).get("latents")
    if latents is None or latents.ndim != 3:
        raise ModelFileError(f"{path.name} holds no latents.", "Remove it; it is made again.", where=str(path))
    return latents


def read_clip(net: Network, clip: Path) -> Tensor:
    """A clip [n] at the encoder's rate. Raises BadInput: it cannot be decoded, or holds no sound."""
    from core.audio.decode import load

    audio = torch.from_numpy(load(clip, net.encode_rate_hz))
    if not len(audio):
        raise BadInput(f"{clip.name} holds no sound.", "Remove it from the dataset.", where=str(clip))
    return audio


@torch.inference_mode()
def encode(net: Network, audio: Tensor) -> Tensor:
    """Latents [n, P, D] float32 of sound [n] at the encoder's rate; silence fills the last patch up, as in the
    package."""
    audio = torch.nn.functional.pad(audio, (0, -len(audio) % net.encode_patch_samples))
    latents = net.model.audio_vae.encode(audio[None, None].to(net.device), net.encode_rate_hz)[0].float().cpu()
    return latents.T.reshape(-1, net.model.patch_size, latents.shape[0]).contiguous()


def _whole(path: Path) -> bool:
    try:
        read_latents(path)
    except ModelFileError:
        return False
    return True
