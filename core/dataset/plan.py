"""Where to cut a recording into clips, decided on its RMS envelope alone. No audio is held.

Frames are envelope frames (20 ms); a cut is a pair of samples. Steps: spans of sound (from the silence slicer or from
speech detection) -> silence at their ends shortened -> small neighbours joined -> long spans split where it is
quietest -> short spans widened into the silence around them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audio.slicer import SliceParams, slice_envelope
from core.audio.vad import Span
from core.dataset.options import PrepareOptions

HOP_MS = 20.0
_KEPT_MS = 500.0  # silence that the slicer leaves at each side of a cut
_EDGE_S = 0.25  # silence that stays at the ends of a clip
_SENSIBLE_S = 4.0  # neighbours are joined up to this length; longer clips only arise where speech has no pause
_JOIN_GAP_S = 0.7
_RESCUE_GAP_S = 1.5  # a piece that is too short alone is joined over a longer pause
_QUIET_WINDOW_S = 0.14  # longer than the closure of a stop consonant, so that a pause is preferred to one


@dataclass(frozen=True)
class Envelope:
    """RMS per frame [n_frames] of a recording of `n_samples` at `rate_hz`; frame t is centred at `t * hop_samples`."""

    rms: NDArray[np.floating]
    hop_samples: int
    n_samples: int
    rate_hz: int

    @property
    def hop_s(self) -> float:
        """Seconds between frames."""
        return self.hop_samples / self.rate_hz


Frames = tuple[int, int]
"""[start, end) in frames."""


def plan_cuts(
    envelope: Envelope, options: PrepareOptions, threshold_db: float, speech: Sequence[Span] | None = None
) -> list[tuple[int, int]]:
    """Sample ranges [start, end) of the clips: in order, apart from each other, inside the recording.

    `threshold_db`: RMS below which a frame is silent (dBFS of this recording as it is). `speech`: spans that were found
    by voice activity; None lets the silence slicer find them. No range is longer than `max_clip_s`; one is shorter than
    `min_clip_s` only where the sound is.
    """
    if speech is None:
        spans = _sounding(envelope, options, threshold_db)
    else:
        last = envelope.rms.size
        spans = []
        for span in speech:
            start = max(spans[-1][1] if spans else 0, int(span.start_s / envelope.hop_s))
            spans.append((start, min(last, int(np.ceil(span.end_s / envelope.hop_s)))))
    spans = [span for span in spans if span[1] > span[0]]
    hop_s = envelope.hop_s
    longest = max(2, int(options.max_clip_s / hop_s))
    shortest = max(1, round(options.min_clip_s / hop_s))
    spans = _join(spans, shortest, longest, hop_s)
    spans = [piece for span in spans for piece in _split(envelope, span, shortest, longest)]
    spans = _widen(spans, shortest, envelope.n_samples / envelope.hop_samples, hop_s)
    limit = round(options.max_clip_s * envelope.rate_hz)
    cuts = []
    for start, end in spans:
        low = start * envelope.hop_samples
        high = min(end * envelope.hop_samples, envelope.n_samples, low + limit)
        if high > low:
            cuts.append((low, high))
    return cuts


def _sounding(envelope: Envelope, options: PrepareOptions, threshold_db: float) -> list[Frames]:
    """What the slicer calls sounding, with the same silence at each end wherever the pause is long enough for it."""
    params = SliceParams(
        threshold_db=threshold_db,
        min_length_ms=max(options.min_clip_s, options.min_pause_s) * 1000.0,
        min_interval_ms=options.min_pause_s * 1000.0,
        max_silence_kept_ms=_KEPT_MS,
        hop_ms=HOP_MS,
    )
    loud = envelope.rms >= 10.0 ** (threshold_db / 20.0)
    edge = round(_EDGE_S / envelope.hop_s)
    hop = envelope.hop_samples
    chunks = slice_envelope(envelope.rms, envelope.n_samples, envelope.rate_hz, params, keep_empty=True)
    middles = [(c.start_samples + c.end_samples) // 2 // hop if c.silent else None for c in chunks]
    spans: list[Frames] = []
    for index, chunk in enumerate(chunks):
        if chunk.silent:
            continue
        start, end = chunk.start_samples // hop, -(-chunk.end_samples // hop)
        sounding = np.flatnonzero(loud[start : end + 1])
        if sounding.size:
            before = middles[index - 1] if index else None
            after = middles[index + 1] if index + 1 < len(chunks) else None
            first, last = start + int(sounding[0]), min(start + int(sounding[-1]) + 1, end)
            low, high = first - edge, last + edge
            spans.append((max(low, before or 0), min(high, end if after is None else after)))
    return spans


def _join(spans: list[Frames], shortest: int, longest: int, hop_s: float) -> list[Frames]:
    """Join a span to the one before while that is small and the pause short, or one of them too short alone."""
    sensible = min(longest, round(_SENSIBLE_S / hop_s))
    joined: list[Frames] = []
    for span in spans:
        if joined:
            before = joined[-1]
            gap_s = (span[0] - before[1]) * hop_s
            too_short = min(before[1] - before[0], span[1] - span[0]) < shortest
            wanted = gap_s <= (_RESCUE_GAP_S if too_short else _JOIN_GAP_S)
            if wanted and (too_short or before[1] - before[0] < sensible) and span[1] - before[0] <= longest:
                joined[-1] = (before[0], span[1])
                continue
        joined.append(span)
    return joined


def _split(envelope: Envelope, span: Frames, shortest: int, longest: int) -> list[Frames]:
    """Pieces of at most `longest` frames, none below `shortest`, cut at the quietest place in the later half."""
    start, end = span
    if end - start <= longest:
        return [span]
    width = max(1, round(_QUIET_WINDOW_S / envelope.hop_s))
    power = np.square(np.asarray(envelope.rms[start:end], np.float64))
    quiet = np.convolve(np.pad(power, (width // 2, width - 1 - width // 2), mode="edge"), np.ones(width), "valid")
    pieces: list[Frames] = []
    while end - start > longest:
        high = min(start + longest, end - shortest)
        low = min(start + max(shortest, longest // 2), high)
        cut = low + int(np.argmin(quiet[low - span[0] : high - span[0] + 1]))
        pieces.append((start, cut))
        start = cut
    pieces.append((start, end))
    return pieces


def _widen(spans: list[Frames], shortest: int, n_frames: float, hop_s: float) -> list[Frames]:
    """Give a span that is a little too short some of the silence around it, up to the middle of the pause."""
    most = round(_KEPT_MS / 1000.0 / hop_s)
    edges = [0, *itertools.chain.from_iterable(spans), int(n_frames)]
    wide: list[Frames] = []
    for index, (start, end) in enumerate(spans):
        missing = shortest - (end - start)
        if missing <= 0:
            wide.append((start, end))
            continue
        room_before = start - edges[2 * index] if index == 0 else (start - edges[2 * index]) // 2
        last = index == len(spans) - 1
        room_after = edges[2 * index + 3] - end if last else (edges[2 * index + 3] - end) // 2
        room_before, room_after = max(0, min(most, room_before)), max(0, min(most, room_after))
        before = min(room_before, max(missing // 2, missing - room_after))
        after = min(room_after, missing - before)
        wide.append((start - before, end + after))
    return wide
