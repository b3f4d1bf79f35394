"""Any container or codec that PyAV reads, as float32 at one rate, streamed so that memory stays flat.

Notation: blocks are `[n]` (mono), or `[n, 2]` where stereo is asked for; full scale 1.0 (floats beyond it are passed on
as they are).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from core.audio.container import open_audio, sound_track, undecodable, wav_seconds
from core.audio.resample import StreamResampler
from core.errors import BadInput

DEFAULT_MAX_HOURS = 24.0
_PROBE_PACKETS = 500
_INT_SCALE = {"uint8": 2.0**7, "int16": 2.0**15, "int32": 2.0**31, "int64": 2.0**63}
_ESTIMATED = frozenset({"aac", "loas", "amr"})  # containers whose length libav only guesses from the bit rate
_CANCEL_RATIO = 1e-3  # mono power over mean channel power below which the channels cancel; 0.5 when they are unrelated


@dataclass(frozen=True)
class AudioInfo:
    """What a file says about its sound before it is decoded. `duration_s` is None where the file does not know."""

    duration_s: float | None
    rate_hz: int
    channels: int
    codec: str
    container: str


def probe(path: str | os.PathLike[str]) -> AudioInfo:
    """Open a file and decode its first frame, so that what is promised is there.

    Raises BadInput with a hint: missing, empty, 0 bytes, no audio, protected, damaged at its start.
    """
    with open_audio(path) as container:
        stream = sound_track(container)
        assert stream is not None  # open_audio saw to it
        n_damaged = 0
        for number, packet in enumerate(container.demux(stream)):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                n_damaged += 1
                frames = []
            for frame in frames:
                if isinstance(frame, AudioFrame) and frame.samples > 0:
                    return AudioInfo(
                        duration_s=_declared_s(container, stream),
                        rate_hz=int(frame.sample_rate),
                        channels=frame.layout.nb_channels,
                        codec=stream.codec_context.name,
                        container=container.format.name.split(",")[0],
                    )
            if number > _PROBE_PACKETS:
                break
        raise undecodable(path, stream.codec_context.name, n_damaged=n_damaged)


def stream(
    path: str | os.PathLike[str],
    rate_hz: int | None = None,
    block_s: float = 10.0,
    *,
    max_hours: float = DEFAULT_MAX_HOURS,
    warnings: list[str] | None = None,
    stereo: bool = False,
) -> Iterator[NDArray[np.float32]]:
    """The sound of a file as blocks of `block_s` seconds (the last one shorter) at `rate_hz` (None: the file's).

    Channels are averaged without the low-frequency one, into one or, with `stereo`, into left and right. Damaged
    packets are skipped and a file that ends early gives what it has; `warnings` then gets a sentence each (complete
    once the iterator is exhausted).
    Raises BadInput as `probe` does, and when more than `max_hours` come out.
    """
    notes = warnings if warnings is not None else []
    frames = _Frames(path, notes, stereo)
    n_channels = 2 if stereo else 1
    limit_s = max_hours * 3600.0
    out_hz = 0
    block_samples = 0
    in_hz = 0
    resampler: StreamResampler | None = None
    pending: list[NDArray[np.float32]] = []
    n_pending = 0
    for mixed, frame_hz in frames:
        if resampler is None or frame_hz != in_hz:
            # A chained Ogg file may change its rate on the way; the output rate never changes.
            out_hz = out_hz or rate_hz or frame_hz
            block_samples = max(1, round(block_s * out_hz))
            if resampler is not None:
                tail = resampler.finish()
                pending.append(tail)
                n_pending += tail.shape[0]
            resampler, in_hz = StreamResampler(frame_hz, out_hz, n_channels), frame_hz
        ready = resampler.push(mixed)
        pending.append(ready)
        n_pending += ready.shape[0]
        if frames.decoded_s > limit_s:
            raise BadInput(
                f"{Path(path).name} is longer than {max_hours:g} hours.",
                "Split it into shorter files, or raise max_decode_hours in the settings.",
                where=str(path),
            )
        if n_pending >= block_samples:
            joined = np.concatenate(pending)
            n_whole = n_pending // block_samples * block_samples
            for start in range(0, n_whole, block_samples):
                yield joined[start : start + block_samples]
            pending, n_pending = [joined[n_whole:].copy()], n_pending - n_whole
    if resampler is not None:
        pending.append(resampler.finish())
    rest = np.concatenate(pending) if pending else np.zeros(0, np.float32)
    for start in range(0, rest.shape[0], max(1, block_samples)):
        yield rest[start : start + block_samples]


def load(
    path: str | os.PathLike[str],
    rate_hz: int | None = None,
    max_s: float | None = None,
    *,
    warnings: list[str] | None = None,
) -> NDArray[np.float32]:
    """The whole file as one mono array `[n]` (the first `max_s` seconds of it if given). Raises BadInput."""
    parts: list[NDArray[np.float32]] = []
    if max_s is not None and rate_hz is None:
        rate_hz = probe(path).rate_hz
    limit = None if max_s is None or rate_hz is None else round(max_s * rate_hz)
    n_samples = 0
    for block in stream(path, rate_hz, warnings=warnings):
        parts.append(block)
        n_samples += block.size
        if limit is not None and n_samples >= limit:
            break
    audio = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return audio if limit is None else audio[:limit]


def _declared_s(container: InputContainer, stream: AudioStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and container.duration > 0:
        return container.duration / 1e6  # AV_TIME_BASE
    return None


class _Frames:
    """Iterates (mono or stereo block, its rate) over the first sound track, and collects warnings on the way."""

    def __init__(self, path: str | os.PathLike[str], notes: list[str], stereo: bool) -> None:
        self._path = Path(path)
        self._notes = notes
        self._stereo = stereo
        self.decoded_s = 0.0
        self._n_damaged = 0
        self._n_bad_numbers = 0
        self._mono_power = 0.0
        self._channel_power = 0.0

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], int]]:
        with open_audio(self._path) as container:
            stream = sound_track(container)
            assert stream is not None  # open_audio saw to it
            declared_s = wav_seconds(self._path) or _declared_s(container, stream)
            for frame in self._decode(container, stream):
                mixed = self._left_right(frame) if self._stereo else self._mono(frame)
                self.decoded_s += mixed.shape[0] / frame.sample_rate
                yield mixed, int(frame.sample_rate)
            if self.decoded_s == 0.0:
                raise undecodable(self._path, stream.codec_context.name, n_damaged=self._n_damaged)
            guessed = container.format.name in _ESTIMATED
            self._summarise(None if guessed else declared_s)

    def _decode(self, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:  # the file ends in the middle of its container
                self._n_damaged += 1
                return
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self._n_damaged += 1
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame) and frame.samples > 0 and frame.sample_rate > 0:
                    yield frame

    def _channels(self, frame: AudioFrame) -> NDArray[np.float32]:
        """What is in a frame, [channels, n]."""
        data = frame.to_ndarray()
        n_channels = frame.layout.nb_channels
        if not frame.format.is_planar:
            data = data.reshape(-1, n_channels).T
        if data.dtype.kind == "f":
            samples = data.astype(np.float32, copy=False)
            if not np.isfinite(samples.sum(dtype=np.float64)):
                self._n_bad_numbers += int(np.count_nonzero(~np.isfinite(samples)))
                samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        else:
            samples = np.ascontiguousarray(data, np.float32)  # a channel in one piece: the sums below are fast then
            if data.dtype == np.uint8:
                samples -= np.float32(128.0)
            samples *= np.float32(1.0 / _INT_SCALE[data.dtype.name])
        return samples

    def _left_right(self, frame: AudioFrame) -> NDArray[np.float32]:
        """[n, 2]: each side is the mean of its own channels and of those in the middle; one channel is both.

        Channels without names, as many WAV files have them, are left and right in turn.
        """
        samples = self._channels(frame)
        names = ["LR"[i % 2] if c.name == "NONE" else c.name for i, c in enumerate(frame.layout.channels)]
        sides = []
        for other in "RL":
            kept = [i for i, name in enumerate(names) if not name.startswith("LFE") and not name.endswith(other)]
            sides.append(samples[kept or slice(None)].mean(axis=0, dtype=np.float32))
        return np.stack(sides, axis=1)

    def _mono(self, frame: AudioFrame) -> NDArray[np.float32]:
        samples = self._channels(frame)
        n_channels = samples.shape[0]
        if n_channels == 1:
            return np.ascontiguousarray(samples[0])
        kept = [i for i, channel in enumerate(frame.layout.channels) if not channel.name.startswith("LFE")]
        if 0 < len(kept) < n_channels:
            samples = samples[kept]
        mono = samples.mean(axis=0, dtype=np.float32)
        self._mono_power += float(np.dot(mono, mono))
        self._channel_power += float(np.einsum("cn,cn->", samples, samples)) / samples.shape[0]
        return mono

    def _summarise(self, declared_s: float | None) -> None:
        name = self._path.name
        if self._n_damaged:
            self._notes.append(
                f"{name}: {self._n_damaged} damaged places were skipped. Listen to it, or copy the file again."
            )
        if declared_s is not None and self.decoded_s < declared_s * 0.95 - 0.5:
            self._notes.append(
                f"{name} is cut off: {self.decoded_s:.1f} s of {declared_s:.1f} s can be read and are used. "
                "Copy or download it again to have all of it."
            )
        if self._n_bad_numbers:
            self._notes.append(f"{name}: {self._n_bad_numbers} samples are not numbers and were taken as silence.")
        if self._channel_power > 0 and self._mono_power < _CANCEL_RATIO * self._channel_power:
            self._notes.append(
                f"{name}: its channels cancel each other when mixed to one. Export one channel alone as mono."
            )
