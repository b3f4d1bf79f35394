"""A stretch out of the middle of a file, without decoding what lies before it: for listening and for drawing."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from core import atomic
from core.audio.container import open_audio, sound_track
from core.audio.decode import stream as whole
from core.errors import BadInput

BLOCK_S = 60.0
COLUMNS = 12000
"""Columns of a block of peaks: one per 5 ms."""
_RUN_UP_S = 0.2  # a decoder that starts in the middle needs a few frames to be itself
MOST_S = 600.0


def excerpt(path: str | os.PathLike[str], start_s: float, end_s: float) -> tuple[NDArray[np.float32], int]:
    """(mono [n], rate in Hz) from `start_s` to `end_s`; shorter where the file ends before, empty past its end.

    Raises BadInput as `open_audio` does, and for a stretch that is negative or longer than ten minutes.
    """
    if not 0.0 <= start_s <= end_s or end_s - start_s > MOST_S:
        raise BadInput(
            f"From {start_s:g} s to {end_s:g} s is no stretch that can be played.", "Choose a shorter one.", where="end"
        )
    with open_audio(path) as container:
        track = sound_track(container)
        assert track is not None  # open_audio saw to it
        rate_hz = int(track.rate or 0)
        if start_s > _RUN_UP_S and rate_hz and _seek(container, track, start_s - _RUN_UP_S):
            found = _decoded(container, track, start_s, end_s, rate_hz)
            if found is not None:
                return found, rate_hz
    return _from_the_start(path, start_s, end_s)


def _seek(container: InputContainer, track: AudioStream, at_s: float) -> bool:
    if track.time_base is None:
        return False
    try:
        container.seek(int(at_s / track.time_base) + (track.start_time or 0), stream=track, backward=True)
    except av.error.FFmpegError:
        return False
    return True


def _decoded(
    container: InputContainer, track: AudioStream, start_s: float, end_s: float, rate_hz: int
) -> NDArray[np.float32] | None:
    """The stretch by the frames' own times; None where they have none, or where the jump went too far."""
    floats = av.AudioResampler(format="fltp")
    first, last = round(start_s * rate_hz), round(end_s * rate_hz)
    audio = np.zeros(last - first, np.float32)
    reached = None
    try:
        for frame in container.decode(track):
            if frame.pts is None or frame.time_base is None or frame.sample_rate != rate_hz:
                return None
            at = round(float((frame.pts - (track.start_time or 0)) * frame.time_base) * rate_hz)
            if reached is None and at > first:
                return None
            for planes in floats.resample(frame):
                samples = planes.to_ndarray().mean(axis=0, dtype=np.float32)
                low, high = max(first, at), min(last, at + samples.size)
                if high > low:
                    audio[low - first : high - first] = samples[low - at : high - at]
                at += samples.size
            reached = at
            if reached >= last:
                break
    except av.error.FFmpegError:  # damaged here: what came before it is given
        pass
    return None if reached is None else audio[: max(0, min(last, reached) - first)]


def _from_the_start(path: str | os.PathLike[str], start_s: float, end_s: float) -> tuple[NDArray[np.float32], int]:
    with open_audio(path) as container:
        track = sound_track(container)
        assert track is not None  # open_audio saw to it
        rate_hz = int(track.rate or 0) or 48000
    first, last, at = round(start_s * rate_hz), round(end_s * rate_hz), 0
    kept = [np.zeros(0, np.float32)]
    for block in whole(path, rate_hz):
        kept.append(block[max(0, first - at) : max(0, last - at)])
        at += block.size
        if at >= last:
            break
    return np.concatenate(kept), rate_hz


def peak_block(path: Path, index: int, cache: Path) -> bytes:
    """Peaks of the minute `index` (from 0) of a file: int8 [COLUMNS, 2], minimum and maximum per 5 ms, 127 is full
    scale; fewer columns in the last minute, none past the end. Kept in `cache` for this version of the file.

    Raises BadInput.
    """

    def drawn() -> bytes:
        return _peaks(*excerpt(path, index * BLOCK_S, (index + 1) * BLOCK_S)).tobytes()

    return kept_block(path, index, cache, "i8", drawn)


def kept_block(path: Path, index: int, cache: Path, kind: str, make: Callable[[], bytes]) -> bytes:
    """What `make` returns for part `index` of a file, kept in `cache` for this version of it. Raises BadInput."""
    try:
        stat = path.stat()
    except OSError as err:
        raise BadInput(f"{path.name} is no longer there.", "Choose another recording.", where=str(path)) from err
    key = hashlib.sha256(f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}".encode("utf-8", "replace"))
    kept = cache / key.hexdigest()[:24] / f"{index}.{kind}"
    if kept.is_file():
        return kept.read_bytes()
    data = make()
    atomic.write_bytes(kept, data)
    return data


def _peaks(audio: NDArray[np.float32], rate_hz: int) -> NDArray[np.int8]:
    n = min(COLUMNS, round(audio.size / rate_hz * COLUMNS / BLOCK_S))
    if n == 0:
        return np.zeros((0, 2), np.int8)
    starts = np.linspace(0, audio.size, n + 1).astype(np.int64)[:-1]
    pairs = np.stack([np.minimum.reduceat(audio, starts), np.maximum.reduceat(audio, starts)], axis=1)
    return np.round(np.clip(pairs, -1.0, 1.0) * 127.0).astype(np.int8)
