"""The job that finds the pitch of a recording, for a person to look at and correct before it is converted."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import device as devices
from core.audio.decode import probe, stream
from core.engines.sovits.pitch_track import HOP, RATE_HZ, write_track
from core.errors import BadInput
from core.features import pitch

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_PIECE = 2584 * HOP  # half a minute: memory stays flat, and a cancel is seen
_CONTEXT = 87 * HOP  # a second at each side of it


def run_pitch(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Find the pitch of a recording of any length.

    Args:
        params: "source", "out" (the .npy to write), "pitch" (a predictor's name), "f0_threshold" or None.
        ctx: settings, progress, cancel.

    Returns:
        {"f0_file", "n_frames", "voiced": share of frames, "f0_median": Hz or None}.

    Raises:
        BadInput: no such recording, or no sound in it. Unavailable: the predictor is not here. Cancelled.
    """
    source = Path(str(params["source"]))
    if not source.is_file():
        raise BadInput(f"There is no file {source}.", "Choose an audio file.", where=str(source))
    predictor = pitch.create(
        str(params.get("pitch") or "fcpe"),
        devices.pick(ctx.settings.device),
        threshold=params.get("f0_threshold"),
        settings=ctx.settings,
    )
    predictor.check = ctx.check
    length_s = probe(source).duration_s or 0.0
    found: list[np.ndarray] = []
    held, lead, n_done = np.zeros(0, np.float32), 0, 0
    for block in stream(source, RATE_HZ, max_hours=ctx.settings.max_decode_hours):
        held = np.concatenate([held, block.astype(np.float32)])
        while held.size >= lead + _PIECE + _CONTEXT:
            found.append(_track(predictor, held[: lead + _PIECE + _CONTEXT], lead, _PIECE))
            n_done += _PIECE
            held, lead = held[lead + _PIECE - _CONTEXT :], _CONTEXT
            ctx.progress(min(0.99, n_done / RATE_HZ / length_s) if length_s else 0.5, "finding the pitch")
    if n_done + held.size == 0:
        raise BadInput(f"{source.name} holds no sound.", "Choose another recording.", where=str(source))
    found.append(_track(predictor, held, lead, -(-(held.size - lead) // HOP) * HOP))
    f0 = np.concatenate(found)
    voiced = f0[f0 > 0]
    out = write_track(Path(str(params["out"])), f0)
    return {
        "f0_file": str(out),
        "n_frames": int(f0.size),
        "voiced": float(voiced.size / max(1, f0.size)),
        "f0_median": round(float(np.median(voiced)), 2) if voiced.size else None,
    }


def _track(predictor: pitch.PitchPredictor, audio: np.ndarray, lead: int, wanted: int) -> np.ndarray:
    """Frames of `wanted` samples after `lead`, heard with what is around them."""
    f0 = predictor.predict(audio, RATE_HZ, HOP, (lead + wanted) // HOP)
    return f0[lead // HOP :]
