"""Two stems into one sound, streamed through a file on disk, so that memory does not grow with the song.

Sample 0 of both stems is sample 0 of the mix: nothing here delays, and `offset_ms` alone moves the voice.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.audio.decode import probe, stream
from core.audio.limiter import limit_in_place, true_peak
from core.audio.loudness import LoudnessMeter
from core.errors import BadInput
from core.song.effects import RATE_HZ, Room, Stereo, Track
from core.song.options import MixOptions

if TYPE_CHECKING:
    from core.jobs.context import JobContext

METER_S = 0.5
_FLOOR_DB = -90.0
_MOST_MATCH_DB = 24.0  # more would lift what is left of a voice after a bad separation


@dataclass
class Meter:
    """Loudness and level over time of a bus. `levels_db`: RMS of both sides together every `METER_S`, dBFS.

    `peak_db`: the highest sample of a bus, the true peak of the mix.
    """

    lufs: float | None = None
    peak_db: float | None = None
    levels_db: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Mixed:
    """What was done, and what the meters read: both buses before they were added up, the mix after the limiter."""

    matched_db: float
    limited: bool
    vocals: Meter
    accompaniment: Meter
    mix: Meter


class _Metering:
    """Fills a `Meter` from a stream of blocks whose sizes are whole numbers of `METER_S`, the last one aside."""

    def __init__(self, *, between: bool = False) -> None:
        """`between`: look for peaks between the samples too, which takes longer."""
        self._between = between
        self._loudness = LoudnessMeter(RATE_HZ, channels=2)
        self._levels: list[float] = []
        self._peak = 0.0

    def push(self, block: Stereo) -> None:
        self._loudness.push(block)
        peak = true_peak(block) if self._between else float(np.abs(block).max(initial=0.0))
        self._peak = max(self._peak, peak)
        step = round(METER_S * RATE_HZ)
        for start in range(0, block.shape[0], step):
            power = float(np.mean(np.square(block[start : start + step], dtype=np.float64)))
            self._levels.append(round(max(_FLOOR_DB, 10.0 * math.log10(max(power, 1e-12))), 1))

    def read(self) -> Meter:
        lufs = self._loudness.lufs()
        peak = 20.0 * math.log10(self._peak) if self._peak > 0 else None
        return Meter(
            round(lufs, 2) if math.isfinite(lufs) else None, None if peak is None else round(peak, 2), self._levels
        )


def loudness(path: Path, check: Callable[[], None]) -> float:
    """Integrated loudness of a file heard from both sides, LUFS; -inf: silence. Raises BadInput, what `check` does."""
    meter = LoudnessMeter(RATE_HZ, channels=2)
    for block in stream(path, RATE_HZ, stereo=True):
        meter.push(block)
        check()
    return meter.lufs()


def mix_down(
    vocals: Path,
    accompaniment: Path,
    options: MixOptions,
    scratch: Path,
    ctx: "JobContext",
    *,
    original_vocals: Path | None = None,
) -> tuple[NDArray[np.float32], Mixed]:
    """Mix two files: the sound [n, 2], which lies in `scratch`, and what was done.

    Args:
        vocals, accompaniment: files of any format; what is mono sounds from both sides.
        options: the mix; `match_vocals` needs `original_vocals`.
        scratch: folder that may hold a file of 8 bytes a sample meanwhile.
        ctx: progress, cancel.
        original_vocals: what the loudness of `vocals` is brought to.

    Raises:
        BadInput: a file cannot be decoded or holds no sound.
        Cancelled.
    """
    matched = 0.0
    if options.match_vocals and original_vocals is not None:
        matched = _matching_gain(vocals, original_vocals, ctx.sub(0.0, 0.2))
    sums = _write(vocals, accompaniment, options, matched, scratch, ctx.sub(0.2, 0.8))
    audio = np.memmap(scratch / "mix.f32", np.float32, "r+", shape=(sums.n_samples, 2))
    if options.loudness_lufs is not None and sums.mix.lufs is not None:
        _gain_in_place(audio, options.loudness_lufs - sums.mix.lufs)
    ctx.progress(0.8, "limiting")
    limited = limit_in_place(audio, RATE_HZ, options.ceiling_dbtp)
    ctx.progress(0.9, "measuring")
    final = _Metering(between=True)
    for start in range(0, audio.shape[0], 10 * RATE_HZ):
        final.push(np.asarray(audio[start : start + 10 * RATE_HZ]))
        ctx.check()
    return audio, Mixed(matched, limited, sums.vocals, sums.accompaniment, final.read())


@dataclass(frozen=True)
class _Sums:
    n_samples: int
    vocals: Meter
    accompaniment: Meter
    mix: Meter


def _write(
    vocals: Path, accompaniment: Path, options: MixOptions, matched_db: float, scratch: Path, ctx: "JobContext"
) -> _Sums:
    """Both tracks through their effects and added up, into `scratch/mix.f32`."""
    voice = Track(options.vocals, matched_db)
    music = Track(options.accompaniment)
    room = Room(options) if options.reverb else None
    meters = [_Metering() for _ in range(3)]
    expected = max(1.0, (probe(accompaniment).duration_s or probe(vocals).duration_s or 60.0) * RATE_HZ)
    total = 0
    shifted = _shifted(stream(vocals, RATE_HZ, stereo=True), round(options.offset_ms / 1000.0 * RATE_HZ))
    with open(scratch / "mix.f32", "wb") as file:
        pairs = itertools.zip_longest(_even(shifted), _even(stream(accompaniment, RATE_HZ, stereo=True)))
        for sung, played in pairs:
            sung, played = _as_long(sung, played)
            sung = voice.push(sung)
            if room is not None:
                sung = sung + room.push(sung)
            played = music.push(played)
            both = sung + played
            for meter, block in zip(meters, (sung, played, both), strict=True):
                meter.push(block)
            file.write(both.tobytes())
            total += both.shape[0]
            ctx.progress(min(1.0, total / expected), "mixing")
    if total == 0:
        raise BadInput("There is no sound to mix.", "Choose stems that have sound in them.", where="stems")
    return _Sums(total, *(meter.read() for meter in meters))


def _matching_gain(vocals: Path, original: Path, ctx: "JobContext") -> float:
    wanted, given = loudness(original, ctx.check), loudness(vocals, ctx.check)
    if not (math.isfinite(wanted) and math.isfinite(given)):
        return 0.0
    return max(-_MOST_MATCH_DB, min(_MOST_MATCH_DB, wanted - given))


def _shifted(blocks: Iterator[Stereo], n_samples: int) -> Iterator[Stereo]:
    """Silence before the sound, or the sound without its beginning where `n_samples` is negative."""
    if n_samples > 0:
        yield np.zeros((n_samples, 2), np.float32)
    for block in blocks:
        skipped = min(block.shape[0], max(0, -n_samples))
        n_samples += skipped
        yield block[skipped:]


def _even(blocks: Iterator[Stereo]) -> Iterator[Stereo]:
    """The same sound in blocks of ten seconds, so that two streams go side by side; the last one shorter."""
    size = 10 * RATE_HZ
    held = np.zeros((0, 2), np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while held.shape[0] >= size:
            yield held[:size]
            held = held[size:]
    if held.shape[0]:
        yield held


def _as_long(first: Stereo | None, second: Stereo | None) -> tuple[Stereo, Stereo]:
    """Both filled with silence to the longer of the two; None is no sound at all."""
    empty = np.zeros((0, 2), np.float32)
    pair = [empty if block is None else block for block in (first, second)]
    size = max(block.shape[0] for block in pair)
    one, other = (np.pad(block, ((0, size - block.shape[0]), (0, 0))) for block in pair)
    return one, other


def _gain_in_place(audio: NDArray[np.float32], gain_db: float) -> None:
    gain = np.float32(10.0 ** (gain_db / 20.0))
    for start in range(0, audio.shape[0], 60 * RATE_HZ):
        audio[start : start + 60 * RATE_HZ] *= gain
