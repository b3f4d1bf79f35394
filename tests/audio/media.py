"""Real media files for the tests, made with PyAV on the spot."""

from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

KINDS: dict[str, tuple[str, str, str, bool]] = {
    # ending: container, codec, sample format, with a picture
    "wav": ("wav", "pcm_s16le", "s16", False),
    "flac": ("flac", "flac", "s16", False),
    "mp3": ("mp3", "libmp3lame", "s16p", False),
    "m4a": ("mp4", "aac", "fltp", False),
    "ogg": ("ogg", "vorbis", "fltp", False),
    "oga": ("ogg", "libopus", "flt", False),
    "opus": ("ogg", "libopus", "flt", False),
    "mp4": ("mp4", "aac", "fltp", True),
    "mkv": ("matroska", "flac", "s16", True),
    "webm": ("webm", "libopus", "flt", True),
    "aiff": ("aiff", "pcm_s16be", "s16", False),
    "mov": ("mov", "alac", "s16p", False),
    "wma": ("asf", "wmav2", "fltp", False),
}


def tone(seconds: float, rate_hz: int = 44100, hz: float = 220.0, level: float = 0.3) -> np.ndarray:
    """A sine, [n] float32."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def speechlike(seconds: float, rate_hz: int, seed: int = 0, noise: float = 1e-4) -> np.ndarray:
    """Bursts of harmonics with a syllable rhythm and pauses, over a noise floor; [n] float32, peak about 0.5."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    t = np.arange(n) / rate_hz
    f0 = 120 + 30 * np.sin(2 * np.pi * 0.7 * t + seed)
    phase = 2 * np.pi * np.cumsum(f0) / rate_hz
    sound = sum(np.sin(k * phase) / k for k in range(1, 12) if k * 160 < rate_hz / 2)
    gate = np.zeros(n)
    at = 0.4
    while at < seconds:
        length = float(rng.uniform(1.5, 3.5))
        gate[round(at * rate_hz) : round((at + length) * rate_hz)] = 1.0
        at += length + float(rng.uniform(0.5, 1.0))
    gate[max(0, n - round(0.3 * rate_hz)) :] = 0.0
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4.0 * t)
    breath = 0.02 * rng.standard_normal(n)  # what reaches up to half the rate, as an s does
    return (0.25 * (sound + breath) * gate * syllables + noise * rng.standard_normal(n)).astype(np.float32)


def write_media(
    path: Path,
    audio: np.ndarray,
    rate_hz: int = 44100,
    *,
    layout: str = "mono",
    kind: str | None = None,
    codec: str | None = None,
    sample_format: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode `audio` [n] or [channels, n] to `path`; the container follows the name's ending, or `kind`."""
    container_name, default_codec, default_format, picture = KINDS[kind or path.suffix.lstrip(".")]
    data = np.atleast_2d(np.asarray(audio, np.float32))
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(f"file:{path}", "w", format=container_name, options=options or {}) as out:
        video = None
        if picture:
            video = out.add_stream("mpeg4" if container_name != "webm" else "libvpx", rate=5)
            video.width = video.height = 32
            video.pix_fmt = "yuv420p"
        fmt = sample_format or default_format
        track = out.add_stream(codec or default_codec, rate=rate_hz, layout=layout, format=fmt)
        if default_codec in ("wmav2", "libmp3lame"):
            track.codec_context.bit_rate = 256_000  # wmav2 has no default; lame turns the level down below 256k
        if default_codec == "vorbis":
            track.codec_context.options = {"strict": "experimental"}
        if video is not None:
            for number in range(3):
                picture_frame = VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * number, np.uint8), format="rgb24")
                picture_frame.pts = number
                out.mux(video.encode(picture_frame))
            out.mux(video.encode(None))
        for start in range(0, data.shape[1], 1024):
            out.mux(track.encode(_frame(data[:, start : start + 1024], fmt, layout, rate_hz, start)))
        out.mux(track.encode(None))
    return path


def _frame(piece: np.ndarray, fmt: str, layout: str, rate_hz: int, pts: int) -> AudioFrame:
    if fmt.startswith("s16"):
        piece = np.clip(np.rint(piece * 32768), -32768, 32767).astype(np.int16)
    elif fmt.startswith("s32"):
        piece = np.clip(np.rint(piece.astype(np.float64) * 2**31), -(2**31), 2**31 - 1).astype(np.int32)
    elif fmt == "u8":
        piece = np.clip(np.rint(piece * 128 + 128), 0, 255).astype(np.uint8)
    if not fmt.endswith("p"):
        piece = np.ascontiguousarray(piece.T).reshape(1, -1)
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(piece), format=fmt, layout=layout)
    frame.sample_rate = rate_hz
    frame.pts = pts
    return frame


def write_encrypted_mp4(path: Path, seconds: float = 2.0) -> Path:
    """A real CENC-encrypted MP4, as streaming services hand out."""
    key = "0123456789abcdef0123456789abcdef"
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key}
    return write_media(path, tone(seconds), kind="m4a", options=options)
