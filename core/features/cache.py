"""Features on disk, one file per clip, found by the content of the clip and never by its name.

A file lies at ``cache_dir/<spec key>/<sha256 of the audio file>.safetensors``. A changed clip has
another hash, so it can not meet the features of its former self; a damaged file fails its checksum
and is made again.
"""

import dataclasses
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from core import atomic
from core.audio.decode import load as load_audio
from core.errors import Cancelled, Conflict, ModelFileError, StudioError
from core.features.encoders.base import ContentEncoder
from core.features.extract import Features, FeatureSpec, features_of
from core.features.pitch.base import PitchPredictor

__all__ = [
    "FeatureSpec",
    "Features",
    "extract",
    "features_of",
    "file_sha256",
    "keep",
    "load",
    "path_of",
    "spec_of",
    "units",
]

_FORMAT = "timbre-features-1"
_MOST_WORKERS = 8
_POLL_S = 0.5  # how soon a cancel is seen while clips are being computed


class Context(Protocol):
    """The part of a job context that extraction uses; both calls may raise Cancelled."""

    def progress(self, fraction: float, message: str = "") -> None:
        """Report 0..1."""

    def check(self) -> None:
        """Raise Cancelled if the person asked for it."""


def spec_of(encoder: ContentEncoder, pitch: str, rate_hz: int = 44100, hop: int = 512) -> FeatureSpec:
    """Return the spec that goes with a loaded encoder and a predictor's name."""
    return FeatureSpec(encoder.name, encoder.fingerprint, pitch, rate_hz, hop)


def file_sha256(path: Path) -> str:
    """Return the hex SHA-256 of a file."""
    with open(path, "rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def path_of(cache_dir: Path, spec: FeatureSpec, audio_sha256: str) -> Path:
    """Return where the features of an audio file with this hash lie."""
    return cache_dir / spec.key / f"{audio_sha256}.safetensors"


def load(path: Path) -> Features:
    """Read one file of the cache.

    Raises:
        ModelFileError: the file is missing, not ours, or damaged.
    """
    tensors, _ = _read(path)
    return Features(tensors["units"].float(), tensors["f0"], tensors["volume"])


def units(path: Path, start: int, end: int) -> NDArray[np.float16]:
    """Units [end - start, C] of one file, read through a memory map: as much as is asked for, and not verified.

    Raises:
        ModelFileError: the file is missing, not ours, or shorter.
    """
    try:
        with safe_open(path, "np") as source:
            found: NDArray[np.float16] = source.get_slice("units")[start:end]
    except (OSError, SafetensorError, IndexError) as error:
        raise _damaged(path, str(error)) from error
    if len(found) != end - start:
        raise _damaged(path, "it has become shorter")
    return found


def keep(cache_dir: Path, spec: FeatureSpec, audio_sha256: str, features: Features) -> Path:
    """Put features that another program made of an audio file into the cache; returns their file."""
    path = path_of(cache_dir, spec, audio_sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    _describe(path.parent, spec)
    _save(path, features, audio_sha256)
    return path


def extract(
    clips: Sequence[Path],
    spec: FeatureSpec,
    cache_dir: Path,
    device: str = "cpu",
    ctx: Context | None = None,
    workers: int = 0,
    *,
    encoder: ContentEncoder | None = None,
) -> list[Path]:
    """Make the features of many clips, or find them in the cache.

    What is there and whole is kept, so a second call after a cancel or a crash goes on where the
    first one ended. The values do not depend on ``workers``: each clip is computed on one thread.

    Args:
        clips: audio files; equal content is computed once.
        spec: what to compute.
        cache_dir: root of the cache.
        device: torch device of the encoder and of a neural pitch predictor.
        ctx: progress and cancel; its ``settings`` are used to find the encoder.
        workers: threads; 0 takes one per core.
        encoder: a loaded encoder, else it is made by its name.

    Returns:
        One path per clip, in their order.

    Raises:
        BadInput: a clip that can not be decoded, named.
        Conflict: a clip that changes while it is read; an encoder of another fingerprint than the spec's.
        Unavailable: the encoder's files are missing.
        Cancelled: from ``ctx``; finished files stay, nothing half-made does.
    """
    hashes = _hash_all(clips, ctx)
    folder = cache_dir / spec.key
    atomic.sweep(folder)
    todo: dict[str, Path] = {}
    for clip, digest in zip(clips, hashes, strict=True):
        if digest not in todo and not _is_whole(path_of(cache_dir, spec, digest), digest):
            todo[digest] = clip
    if todo:
        _describe(folder, spec)
        encoder = encoder or _make_encoder(spec, device, ctx)
        work = _Worker(spec, cache_dir, encoder, _make_pitch(spec, device, ctx))
        _run(work, todo, workers, ctx, len(clips))
    return [path_of(cache_dir, spec, digest) for digest in hashes]


@dataclasses.dataclass(frozen=True)
class _Worker:
    """Computes and writes the features of one clip; shared by the threads."""

    spec: FeatureSpec
    cache_dir: Path
    encoder: ContentEncoder
    pitch: PitchPredictor

    def __call__(self, clip: Path, digest: str) -> None:
        try:
            features = features_of(load_audio(clip, self.spec.rate_hz), self.spec, self.encoder, self.pitch)
        except StudioError as error:
            error.where = error.where or str(clip)
            raise
        # The hash was taken before the samples were read: if the file has changed since, these
        # features belong to content that the hash does not name.
        if file_sha256(clip) != digest:
            raise Conflict(f"{clip.name} changed while its features were made.", "Run it again.", where=str(clip))
        _save(path_of(self.cache_dir, self.spec, digest), features, digest)


def _run(work: _Worker, todo: dict[str, Path], workers: int, ctx: Context | None, n_clips: int) -> None:
    n_workers = max(1, min(workers or _cores(), len(todo), _MOST_WORKERS))
    done = n_clips - len(todo)
    stop = threading.Event()
    work.pitch.check = lambda: _raise_if(stop)
    with _one_thread_each(), ThreadPoolExecutor(n_workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting = {pool.submit(work, clip, digest) for digest, clip in todo.items()}
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=_POLL_S, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                done += len(finished)
                if ctx is not None:
                    ctx.check()
                    if finished:
                        ctx.progress(done / n_clips, f"Features: {done} of {n_clips} clips")
        finally:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def _raise_if(stop: threading.Event) -> None:
    if stop.is_set():
        raise Cancelled("The extraction of features was stopped.")


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Parallel clips beat parallel matrices, and sums in one fixed order make features reproducible."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)  # not on Windows and macOS
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _hash_all(clips: Sequence[Path], ctx: Context | None) -> list[str]:
    hashes = []
    for clip in clips:
        if ctx is not None:
            ctx.check()
        hashes.append(file_sha256(clip))
    return hashes


def _is_whole(path: Path, digest: str) -> bool:
    if not path.is_file():
        return False
    try:
        _, note = _read(path)
    except ModelFileError:
        return False
    return note.get("audio_sha256") == digest


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors and the note of one file, or raise ModelFileError."""
    try:
        with safe_open(path, "pt") as source:
            note = json.loads((source.metadata() or {}).get("timbre", "{}"))
            tensors = {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if note.get("format") != _FORMAT or set(tensors) != {"units", "f0", "volume"}:
        raise _damaged(path, "it holds something else")
    if note.get("checksum") != _checksum(tensors):
        raise _damaged(path, "its checksum is wrong")
    return tensors, note


def _describe(folder: Path, spec: FeatureSpec) -> None:
    """Leave a note in the folder that says in words what its hash stands for."""
    note = folder / "spec.json"
    if not note.exists():
        atomic.write_json(note, dataclasses.asdict(spec))


def _save(path: Path, features: Features, digest: str) -> None:
    tensors = {
        "units": features.units.half().contiguous(),
        "f0": features.f0.float().contiguous(),
        "volume": features.volume.float().contiguous(),
    }
    note = {"format": _FORMAT, "audio_sha256": digest, "checksum": _checksum(tensors)}
    # One key only: safetensors writes several in random order, and equal features should be equal files.
    meta = {"timbre": json.dumps(note, sort_keys=True)}
    with atomic.file(path) as temporary:
        save_file(tensors, temporary, metadata=meta)


def _checksum(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> ModelFileError:
    return ModelFileError(
        f"The cached features {path.name} can not be used: {why}.",
        "Delete the file; it is made again at the next run.",
        where=str(path),
    )


def _make_encoder(spec: FeatureSpec, device: str, ctx: Any) -> ContentEncoder:
    from core.features import encoders
    from core.settings import load_settings

    settings = getattr(ctx, "settings", None) or load_settings()
    encoder = encoders.create(spec.encoder, device, settings)
    if encoder.fingerprint != spec.encoder_fingerprint:
        raise Conflict(
            f"The encoder {spec.encoder} on this machine ({encoder.fingerprint}) is not the one asked for "
            f"({spec.encoder_fingerprint}).",
            "Put back the encoder's files that the voice was trained with, or train again.",
        )
    return encoder


def _make_pitch(spec: FeatureSpec, device: str, ctx: Any) -> PitchPredictor:
    from core.features import pitch

    return pitch.create(spec.pitch, device, settings=getattr(ctx, "settings", None))
