"""Speech as bytes while it is made: one WAV stream, a WAV a chunk, raw samples, or a compressed stream."""

import struct
from abc import ABC, abstractmethod
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Format = Literal["stream", "wav", "pcm", "flac", "mp3", "opus", "aac"]
FORMATS: tuple[str, ...] = get_args(Format)
MEDIA = {
    "stream": "audio/wav", "wav": "audio/wav", "pcm": "audio/pcm", "flac": "audio/flac", "mp3": "audio/mpeg",
    "opus": "audio/ogg", "aac": "audio/aac",
}  # fmt: skip
_CODECS = {
    "flac": ("flac", "flac", "s16"), "mp3": ("mp3", "libmp3lame", "s16p"), "opus": ("ogg", "libopus", "s16"),
    "aac": ("adts", "aac", "fltp"),
}  # fmt: skip
_RATES = {"opus": (48000,), "mp3": (32000, 44100, 48000)}
_UNKNOWN_BYTES = 0x7FFFFFFF - 36  # the largest that readers with signed 32-bit sizes take

Sound = NDArray[np.float32]


def rate_for(fmt: str, wanted_hz: int) -> int:
    """The rate at which a format can carry `wanted_hz`: that itself, or the next higher one it has."""
    rates = _RATES.get(fmt)
    if rates is None or wanted_hz in rates:
        return wanted_hz
    return next((rate for rate in rates if rate >= wanted_hz), rates[-1])


class Encoder(ABC):
    """Takes mono sound [n] at one rate, gives bytes."""

    @abstractmethod
    def feed(self, audio: Sound) -> bytes:
        """Bytes that are ready after these samples; may be empty."""

    def finish(self) -> bytes:
        """The rest."""
        return b""


class _Pcm(Encoder):
    def feed(self, audio: Sound) -> bytes:
        from core.audio.encode import to_int16

        return to_int16(audio).astype("<i2", copy=False).tobytes()


class _WavStream(_Pcm):
    """One header, then samples. The length is not known when the header goes out, so it says "as much as comes"."""

    def __init__(self, rate_hz: int) -> None:
        self._head = wav_head(rate_hz, _UNKNOWN_BYTES)

    def feed(self, audio: Sound) -> bytes:
        head, self._head = self._head, b""
        return head + super().feed(audio)


class _WavChunks(Encoder):
    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz

    def feed(self, audio: Sound) -> bytes:
        from core.audio.encode import wav_bytes

        return wav_bytes(audio, self._rate_hz) if audio.size else b""


class _Compressed(Encoder):
    """A codec and container of PyAV that writes without going back."""

    def __init__(self, fmt: str, rate_hz: int) -> None:
        import av

        container, codec, self._sample_format = _CODECS[fmt]
        self._out = _Sink()
        self._container = av.open(self._out, "w", format=container)
        self._track: Any = self._container.add_stream(codec, rate=rate_hz, layout="mono", format=self._sample_format)
        if fmt != "flac":
            self._track.codec_context.bit_rate = 128_000
        self._rate_hz, self._n_done = rate_hz, 0

    def feed(self, audio: Sound) -> bytes:
        import av

        from core.audio.encode import to_int16

        if audio.size:
            data = audio if self._sample_format == "fltp" else to_int16(audio)
            frame = av.AudioFrame.from_ndarray(data[None], format=self._sample_format, layout="mono")
            frame.sample_rate, frame.pts = self._rate_hz, self._n_done
            self._n_done += audio.size
            for packet in self._track.encode(frame):
                self._container.mux(packet)
        return self._out.take()

    def finish(self) -> bytes:
        for packet in self._track.encode(None):
            self._container.mux(packet)
        self._container.close()
        return self._out.take()


class _Sink:
    """A file that can only be written to, from start to end."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def encoder(fmt: str, rate_hz: int) -> Encoder:
    """An encoder for sound at `rate_hz` (one that `rate_for` gave)."""
    if fmt == "stream":
        return _WavStream(rate_hz)
    if fmt == "wav":
        return _WavChunks(rate_hz)
    return _Pcm() if fmt == "pcm" else _Compressed(fmt, rate_hz)


def wav_head(rate_hz: int, n_bytes: int) -> bytes:
    """What comes before `n_bytes` of 16-bit mono samples in a WAV file."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + n_bytes, b"WAVE", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16, b"data", n_bytes),
    )
