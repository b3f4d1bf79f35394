"""Pictures of a recording's pitch range for the editor: levels over time and a logarithmic scale of pitch.

A picture holds a minute: uint8 [ROWS, columns], row 0 the lowest, 50 columns a second, 0 is 75 dB below full scale and
255 the loudest. Needs no torch.
"""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import atomic
from core.audio.excerpt import excerpt
from core.audio.resample import resample
from core.errors import BadInput

BLOCK_S = 60.0
COLUMNS_PER_S = 50
ROWS, LOWEST_HZ, HIGHEST_HZ = 144, 55.0, 1760.0  # five octaves
_RATE_HZ, _WINDOW, _N_FFT = 8000, 1024, 4096
_FLOOR_DB, _TOP_DB = -75.0, -5.0


def spectrum_block(path: Path, index: int, cache: Path) -> bytes:
    """The picture of minute `index` (from 0), kept in `cache` for this version of the file; empty past its end.

    Raises BadInput: the file cannot be decoded, or is gone.
    """
    try:
        stat = path.stat()
    except OSError as err:
        raise BadInput(f"{path.name} is no longer there.", "Choose another recording.", where=str(path)) from err
    key = hashlib.sha256(f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{ROWS}".encode("utf-8", "replace"))
    kept = cache / key.hexdigest()[:24] / f"{index}.u8"
    if kept.is_file():
        return kept.read_bytes()
    half_s = _WINDOW / _RATE_HZ / 2
    start_s = max(0.0, index * BLOCK_S - half_s)
    audio, rate_hz = excerpt(path, start_s, (index + 1) * BLOCK_S + half_s)
    lead_s = index * BLOCK_S - start_s
    data = picture(resample(audio, rate_hz, _RATE_HZ), lead_s).tobytes() if audio.size > lead_s * rate_hz else b""
    atomic.write_bytes(kept, data)
    return data


def picture(wav8k: NDArray[np.float32], lead_s: float = 0.0) -> NDArray[np.uint8]:
    """uint8 [ROWS, columns] of wav8k [N] from `lead_s` on, at most a minute."""
    seconds = min(BLOCK_S, wav8k.size / _RATE_HZ - lead_s)
    n_columns = max(0, int(np.ceil(seconds * COLUMNS_PER_S - 1e-6)))
    if n_columns == 0:
        return np.zeros((ROWS, 0), np.uint8)
    hop = _RATE_HZ // COLUMNS_PER_S
    # A column shows the middle of its stretch of time.
    first = round(lead_s * _RATE_HZ) + hop // 2
    padded = np.pad(wav8k, (_WINDOW // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[first::hop][:n_columns]
    window = np.hanning(_WINDOW).astype(np.float32)
    bins = np.geomspace(LOWEST_HZ, HIGHEST_HZ, ROWS) * _N_FFT / _RATE_HZ
    left = np.floor(bins).astype(np.int64)
    share = (bins - left).astype(np.float32)[:, None]
    made = np.zeros((ROWS, n_columns), np.uint8)
    for start in range(0, frames.shape[0], 500):  # 10 s at once: memory stays flat
        spectrum = np.abs(np.fft.rfft(frames[start : start + 500] * window, _N_FFT)).T * (2 / window.sum())
        level = 20 * np.log10((1 - share) * spectrum[left] + share * spectrum[left + 1] + 1e-9)
        scaled = np.clip((level - _FLOOR_DB) / (_TOP_DB - _FLOOR_DB), 0, 1) * 255
        made[:, start : start + scaled.shape[1]] = scaled.round().astype(np.uint8)
    return made
