"""Write mono or stereo as WAV (16-bit), FLAC (16-bit) or MP3, atomically, the same bytes for the same samples."""

import os
import struct
import wave
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from core import atomic
from core.audio.decode import probe, stream
from core.audio.resample import resample_blocks
from core.errors import BadInput

AudioFormat = Literal["wav", "flac", "mp3"]
FORMATS: tuple[AudioFormat, ...] = ("wav", "flac", "mp3")

_WAV_LIMIT_BYTES = 2**32 - 2**20
_MP3_RATES = (32000, 44100, 48000)  # lame also knows lower ones, but turns the level down by 0.4 dB there
_MP3_BIT_RATE = 256_000
_FRAME_SAMPLES = 4096
_BLOCK_SAMPLES = 256 * _FRAME_SAMPLES  # what is in memory at a time: samples may lie in a file much larger than it
# RIFF INFO identifiers of the tags that have one; others go to the comment.
_INFO = {"title": b"INAM", "artist": b"IART", "album": b"IPRD", "date": b"ICRD", "comment": b"ICMT", "encoder": b"ISFT"}


def to_int16(audio: NDArray[np.floating]) -> NDArray[np.int16]:
    """Samples at full scale 1.0 as 16-bit integers: nearest step of 1/32768, clipped, no dither (repeatable).

    Values that are not finite become 0, so that one bad sample cannot become a full-scale click.
    """
    scaled = np.rint(np.asarray(audio, np.float32) * np.float32(32768.0))
    finite = np.isfinite(scaled)
    if not finite.all():
        scaled[~finite] = 0.0
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def wav_bytes(audio: NDArray[np.floating], rate_hz: int, tags: Mapping[str, str] | None = None) -> bytes:
    """A complete 16-bit WAV file. `audio` [n] or [n, 2]. Raises BadInput above the format's 4 GB."""
    return _wav_head(audio.shape, rate_hz, tags or {}) + _little_endian(audio)


def _wav_head(shape: tuple[int, ...], rate_hz: int, tags: Mapping[str, str]) -> bytes:
    """All of a WAV file before its samples (16 bit each, so no padding byte follows them)."""
    channels = shape[1] if len(shape) == 2 else 1
    n_bytes = 2 * channels * shape[0]
    if n_bytes > _WAV_LIMIT_BYTES:
        raise BadInput("The result is too long for a WAV file (4 GB).", "Choose FLAC instead.")
    head = _chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * 2 * channels, 2 * channels, 16))
    if tags:
        head += _chunk(b"LIST", b"INFO" + b"".join(_chunk(key, text) for key, text in _info_tags(tags).items()))
    head = b"WAVE" + head + struct.pack("<4sI", b"data", n_bytes)
    return struct.pack("<4sI", b"RIFF", len(head) + n_bytes) + head


def _little_endian(audio: NDArray[np.floating]) -> bytes:
    return to_int16(audio).astype("<i2", copy=False).tobytes()


def _chunk(key: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", key, len(content)) + content + b"\0" * (len(content) % 2)


def _info_tags(tags: Mapping[str, str]) -> dict[bytes, bytes]:
    known: dict[bytes, bytes] = {}
    other: list[str] = []
    for key, value in tags.items():
        if key.lower() in _INFO:
            known[_INFO[key.lower()]] = value.encode("utf-8") + b"\0"
        else:
            other.append(f"{key}={value}")
    if other:
        before = known.get(b"ICMT", b"").rstrip(b"\0").decode("utf-8")
        known[b"ICMT"] = "; ".join(([before] if before else []) + other).encode("utf-8") + b"\0"
    return known


def write_audio(
    path: str | os.PathLike[str],
    audio: NDArray[np.floating],
    rate_hz: int,
    fmt: AudioFormat | None = None,
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Put `audio` [n] or [n, 2] (full scale 1.0) at `path`; `fmt` defaults to the name's ending. Returns the path.

    Works block by block: an array that lies in a file (`numpy.memmap`) never comes into memory whole.
    What was there stays until the new file is whole. MP3 is written at 32, 44.1 or 48 kHz: other rates are
    resampled to the next of these. Raises BadInput (unknown format, no samples, too long for WAV), NoSpace.
    """
    target = Path(path)
    chosen = (fmt or target.suffix.lstrip(".")).lower()
    if chosen not in FORMATS:
        raise BadInput(f"{chosen or 'No format'!r} cannot be written.", f"Choose one of {', '.join(FORMATS)}.")
    sound = np.asarray(audio)
    if sound.ndim != 1 and sound.shape[1:] != (2,):
        raise ValueError(f"write_audio wants [n] or [n, 2], got shape {sound.shape}")
    if sound.size == 0:
        raise BadInput(f"There is no sound to write to {target.name}.", "Choose a recording that has sound in it.")
    with atomic.file(target) as temp:
        if chosen == "wav":
            with open(temp, "wb") as handle:
                handle.write(_wav_head(sound.shape, rate_hz, tags or {}))
                for start in range(0, sound.shape[0], _BLOCK_SAMPLES):
                    handle.write(_little_endian(sound[start : start + _BLOCK_SAMPLES]))
        else:
            _encode(temp, sound, rate_hz, chosen, tags or {})
    return target


def _encode(path: Path, audio: NDArray[np.floating], rate_hz: int, fmt: str, tags: Mapping[str, str]) -> None:
    blocks: Iterable[NDArray[np.floating]]
    blocks = (audio[start : start + _BLOCK_SAMPLES] for start in range(0, audio.shape[0], _BLOCK_SAMPLES))
    layout = "stereo" if audio.ndim == 2 else "mono"
    if fmt == "mp3" and rate_hz not in _MP3_RATES:
        wanted = next((known for known in _MP3_RATES if known >= rate_hz), _MP3_RATES[-1])
        blocks, rate_hz = resample_blocks(blocks, rate_hz, wanted, 2 if audio.ndim == 2 else 1), wanted
    # bitexact keeps the library's version out of the file, so that equal samples give equal bytes.
    with av.open(f"file:{path}", "w", format=fmt, options={"fflags": "+bitexact"}) as container:
        container.metadata.update({key: value for key, value in tags.items() if value})
        codec, sample_format = ("flac", "s16") if fmt == "flac" else ("libmp3lame", "s16p")
        track = container.add_stream(codec, rate=rate_hz, layout=layout, format=sample_format)
        assert isinstance(track, AudioStream)
        track.codec_context.options = {"flags": "+bitexact"}
        if fmt == "mp3":
            track.codec_context.bit_rate = _MP3_BIT_RATE
        n_done = 0
        for piece in _frames(blocks):
            # Planes for the MP3 encoder, samples of both sides in turn for FLAC.
            planes = piece.reshape(1, -1) if fmt == "flac" else np.ascontiguousarray(np.atleast_2d(piece.T))
            frame = AudioFrame.from_ndarray(planes, format=sample_format, layout=layout)
            frame.sample_rate = rate_hz
            frame.pts = n_done
            n_done += piece.shape[0]
            container.mux(track.encode(frame))
        container.mux(track.encode(None))


def _frames(blocks: Iterable[NDArray[np.floating]]) -> Iterator[NDArray[np.int16]]:
    """Blocks of any length as 16-bit frames of `_FRAME_SAMPLES`; only the last one is shorter."""
    rest: NDArray[np.int16] | None = None
    for block in blocks:
        samples = to_int16(block)
        samples = samples if rest is None else np.concatenate([rest, samples])
        n_whole = samples.shape[0] // _FRAME_SAMPLES * _FRAME_SAMPLES
        for start in range(0, n_whole, _FRAME_SAMPLES):
            yield samples[start : start + _FRAME_SAMPLES]
        rest = samples[n_whole:]
    if rest is not None and rest.size:
        yield rest


def read_wav(path: str | os.PathLike[str]) -> tuple[NDArray[np.float32], int]:
    """A WAV file's sound as mono float32 [n] and its rate; 16-bit mono reads without the decoder. Raises BadInput."""
    try:
        with wave.open(os.fspath(path), "rb") as handle:
            if handle.getsampwidth() == 2 and handle.getnchannels() == 1:
                data = handle.readframes(handle.getnframes())
                whole = np.frombuffer(data[: len(data) // 2 * 2], "<i2")
                return whole.astype(np.float32) / 32768.0, handle.getframerate()
    except (wave.Error, EOFError, OSError):
        pass  # another kind of WAV, or no file at all: the decoder reads it or says what is wrong
    info = probe(path)
    return np.concatenate(list(stream(path, info.rate_hz))), info.rate_hz
