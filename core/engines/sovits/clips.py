"""Clips and their features on disk, of which training reads only the pieces that a batch needs.

Features are mapped into memory for the time of one read and audio is read in place, so that a run's memory does not
grow with its recordings, and several processes share what the system has cached. Only the curves of a clip (1 KB a
second) stay in memory, once they are read and verified.
"""

import threading
import wave
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.engines.sovits.recipe import HOP
from core.errors import BadInput
from core.features import cache
from core.features.align import AlignMode, align
from core.features.pitch import interpolate

RATE_HZ = 44100
CURVES_BYTES = 256 << 20
"""Curves stay in memory up to this much (70 hours); beyond it those used longest ago are read again when needed."""
_AGAIN = "Prepare the voice again."


@dataclass(frozen=True)
class Example:
    """One clip to train on or to render: its file, its features, its speaker."""

    clip_id: str
    audio: Path
    """16-bit PCM WAV, mono, 44.1 kHz."""
    features: Path
    """Features file as `core.features.cache.extract` wrote it."""
    n_frames: int
    sid: int = 0


@dataclass(frozen=True)
class Piece:
    """A piece of a clip, or all of it. T frames of HOP samples."""

    units: NDArray[np.float16]
    """[T, C], aligned to frames."""
    f0_hz: NDArray[np.float32]
    """[T], interpolated across unvoiced frames."""
    uv: NDArray[np.float32]
    """[T], 1 voiced, 0 unvoiced."""
    volume: NDArray[np.float32]
    """[T]."""
    audio: NDArray[np.int16]
    """[T * HOP]."""

    @property
    def n_frames(self) -> int:
        """T."""
        return len(self.f0_hz)


def wav_frames(path: Path) -> int:
    """Whole frames of HOP samples in a clip.

    Raises:
        BadInput: not a 16-bit mono 44.1 kHz WAV file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            n_samples = file.getnframes()
    except (OSError, EOFError, wave.Error) as err:
        raise BadInput(f"The clip {path.name} cannot be read: {err}", _AGAIN, where=str(path)) from err
    if shape != (1, 2, RATE_HZ):
        raise BadInput(
            f"The clip {path.name} has {shape[0]} channels, {8 * shape[1]} bits, {shape[2]} Hz; "
            f"training needs 1 channel, 16 bits, {RATE_HZ} Hz.",
            _AGAIN,
            where=str(path),
        )
    return n_samples // HOP


class Clip:
    """One clip whose curves are in memory and whose units and audio are on disk. T frames."""

    def __init__(self, example: Example, mode: AlignMode) -> None:
        """Reads and verifies the features.

        Raises:
            ModelFileError: the features are missing or damaged.
        """
        found = cache.load(example.features)
        self._example, self._mode = example, mode
        self.n_frames = min(example.n_frames, len(found.f0))
        self.n_units, self.dim = found.units.shape
        f0_hz, uv = interpolate(np.asarray(found.f0, dtype=np.float32)[: self.n_frames])
        volume = np.asarray(found.volume, dtype=np.float32)[: self.n_frames]
        self._curves = np.stack([f0_hz, uv, volume])

    @property
    def n_bytes(self) -> int:
        """Memory it takes."""
        return self._curves.nbytes

    def piece(self, start: int = 0, n_frames: int | None = None) -> Piece:
        """`n_frames` frames from `start` on; all without them.

        Raises:
            BadInput: the clip is gone or was cut short while the run goes on.
            ModelFileError: its features are.
        """
        end = self.n_frames if n_frames is None else start + n_frames
        f0_hz, uv, volume = self._curves[:, start:end]
        return Piece(self._units(start, end), f0_hz, uv, volume, self._audio(start, end))

    def _units(self, start: int, end: int) -> NDArray[np.float16]:
        if self._mode == "linear":  # a frame is made of two units: only the whole is the same bit for bit
            whole = torch.from_numpy(cache.units(self._example.features, 0, self.n_units)).float()
            aligned: NDArray[np.float16] = align(whole, self.n_frames, self._mode)[start:end].half().numpy()
            return aligned
        of_frame = align(torch.arange(self.n_units).float()[:, None], self.n_frames, self._mode)
        wanted = of_frame[start:end, 0].long().numpy()
        if len(wanted) == 0:
            return np.zeros((0, self.dim), np.float16)
        first = int(wanted[0])
        return cache.units(self._example.features, first, int(wanted[-1]) + 1)[wanted - first]

    def _audio(self, start: int, end: int) -> NDArray[np.int16]:
        path, n_samples = self._example.audio, (end - start) * HOP
        try:
            with wave.open(str(path), "rb") as file:
                file.setpos(start * HOP)
                data = file.readframes(n_samples)
        except (OSError, EOFError, wave.Error) as err:
            raise BadInput(f"The clip {path.name} cannot be read any more: {err}", _AGAIN, where=str(path)) from err
        if len(data) != 2 * n_samples:
            raise BadInput(f"The clip {path.name} has become shorter.", _AGAIN, where=str(path))
        return np.frombuffer(data, dtype="<i2")


class ClipStore:
    """Clips by index; their curves are read once while memory allows."""

    def __init__(self, examples: Sequence[Example], mode: AlignMode, curves_bytes: int = CURVES_BYTES) -> None:
        self.examples = list(examples)
        self.mode: AlignMode = mode
        self._limit = curves_bytes
        self._held = 0
        self._clips: OrderedDict[int, Clip] = OrderedDict()
        self._lock = threading.Lock()  # batches are made by several threads

    def __getitem__(self, index: int) -> Clip:
        with self._lock:
            clip = self._clips.get(index)
            if clip is not None:
                self._clips.move_to_end(index)
                return clip
        clip = Clip(self.examples[index], self.mode)
        with self._lock:
            if index not in self._clips:
                self._clips[index] = clip
                self._held += clip.n_bytes
            while self._held > self._limit and len(self._clips) > 1:
                self._held -= self._clips.popitem(last=False)[1].n_bytes
        return clip
