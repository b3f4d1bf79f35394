"""The second pass over a recording: clips are cut out while it streams, measured, levelled and written."""

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.audio.decode import stream
from core.audio.encode import wav_bytes
from core.audio.limiter import limit
from core.audio.loudness import normalize
from core.audio.quality import Quality, measure
from core.dataset.clips import SILENCE_DB, SILENCE_LUFS, Clip
from core.dataset.importing import file_sha256
from core.dataset.options import PrepareOptions
from core.dataset.survey import BLOCK_S, Survey
from core.dataset.verdict import judge
from core.paths import safe_name

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.jobs.context import JobContext

ID_CHARS = 16
_STEM_CHARS = 40


@dataclass(frozen=True)
class Made:
    """A clip, its highest frequency, and whether its file is new on the disk."""

    clip: Clip
    bandwidth_hz: float
    is_new: bool


def cut_clips(
    voice: "Voice", path: Path, source: str, plan: Survey, options: PrepareOptions, ctx: "JobContext"
) -> Iterator[Made]:
    """Write the planned clips of one recording into `voice.sliced`, one after another; memory holds one of them.

    A file is named by its content, so an unchanged clip is not written again and nothing existing is overwritten.
    Raises BadInput, NoSpace, Cancelled.
    """
    stem = safe_name(Path(source).stem[:_STEM_CHARS], "clip")
    for (start, end), audio in _ranges(path, plan.cuts, options, ctx):
        quality = measure(audio, options.rate_hz, plan.noise_db)
        data = wav_bytes(_levelled(audio, quality, plan, options), options.rate_hz)
        digest = hashlib.sha256(data).hexdigest()
        target = voice.sliced / f"{stem}_{digest[:ID_CHARS]}.wav"
        is_new = not (target.is_file() and file_sha256(target) == digest)
        if is_new:
            _write(target, data)
        verdict, reasons = judge(quality, options)
        yield Made(
            Clip(
                id=digest[:ID_CHARS],
                audio=target.relative_to(voice.path).as_posix(),
                source=source,
                start_s=round(start / options.rate_hz, 4),
                end_s=round(end / options.rate_hz, 4),
                duration_s=round((end - start) / options.rate_hz, 4),
                lufs=round(max(SILENCE_LUFS, quality.lufs), 2),
                peak_db=round(max(SILENCE_DB, quality.peak_db), 2),
                snr_db=round(quality.snr_db, 1),
                clipped_fraction=round(quality.clipped_fraction, 6),
                sha256=digest,
                verdict=verdict,
                reasons=reasons,
            ),
            quality.bandwidth_hz,
            is_new,
        )


def _write(target: Path, data: bytes) -> None:
    """Put a clip at its place whole, but not yet surely on the disk: thousands of clips are synced together later."""
    temp = target.with_name(f".tmp-{os.getpid()}-{target.stem[-ID_CHARS:]}{target.suffix}")
    try:
        temp.write_bytes(data)
        temp.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temp.unlink(missing_ok=True)
        raise


def _ranges(
    path: Path, cuts: list[tuple[int, int]], options: PrepareOptions, ctx: "JobContext"
) -> Iterator[tuple[tuple[int, int], NDArray[np.float32]]]:
    """((start, end), samples) of every range, from one run through the file; `cuts` are sorted and do not overlap."""
    if not cuts:
        return
    waiting = iter(cuts)
    current: tuple[int, int] | None = next(waiting)
    held = np.zeros(0, np.float32)
    held_from = 0
    for block in stream(path, options.rate_hz, BLOCK_S, max_hours=ctx.settings.max_decode_hours):
        held = np.concatenate([held, block])
        held_to = held_from + held.size
        while current is not None and current[1] <= held_to:
            ctx.progress(current[1] / cuts[-1][1])
            yield current, held[current[0] - held_from : current[1] - held_from]
            current = next(waiting, None)
        if current is None:
            return
        keep_from = min(max(held_from, current[0]), held_to)
        held, held_from = held[keep_from - held_from :].copy(), keep_from
        ctx.check()


def _levelled(
    audio: NDArray[np.float32], quality: Quality, plan: Survey, options: PrepareOptions
) -> NDArray[np.float32]:
    if options.loudness == "none" or quality.peak_db < -80.0:
        return audio
    if options.loudness == "recording" and math.isfinite(plan.lufs):
        gained = audio * np.float32(10.0 ** ((options.target_lufs - plan.lufs) / 20.0))
        return limit(np.asarray(gained, np.float32), options.rate_hz, options.true_peak_dbtp)
    known = quality.lufs if math.isfinite(quality.lufs) else None
    return normalize(audio, options.rate_hz, options.target_lufs, options.true_peak_dbtp, loudness=known)
