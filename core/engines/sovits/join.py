"""Cutting a long recording into pieces that can be rendered one by one, and joining the renders without clicks.

Every piece is rendered with context of the recording around it. Neighbouring pieces are mixed over `FADE_S` at their
border with gains that add up to one; next to silence a piece fades in and out over the same time. Both fades use sound
from the context, so nothing of the piece itself is lost.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audio.slicer import Chunk
from core.engines.sovits.forced_clip import fixed_pieces

FADE_S = 0.015
SEARCH_SHARE = 1 / 3
"""A passage that is too long is cut at the quietest moment of the last third of what is allowed."""
LONGEST_LIMIT_S = 60.0
_LIMIT_CONTEXT_S = 0.25
CEILING_DBTP = -0.1


@dataclass(frozen=True)
class Piece:
    """Samples [start, end) of the recording. Silent ones are not rendered.

    `rise`, `fall`: samples of the fades around its two borders (even); None: `FADE_S`.
    """

    start: int
    end: int
    silent: bool
    rise: int | None = None
    fall: int | None = None


def pieces_of(chunks: list[Chunk], rms: NDArray[np.floating], hop_samples: int, longest_samples: int) -> list[Piece]:
    """Pieces that cover the chunks in order; none that sounds is longer than `longest_samples`.

    `rms` is the level every `hop_samples`, as the slicer measured it.
    """
    pieces: list[Piece] = []
    for chunk in chunks:
        at = chunk.start_samples
        if not chunk.silent:
            while chunk.end_samples - at > longest_samples:
                first = int((at + longest_samples * (1 - SEARCH_SHARE)) // hop_samples) + 1
                last = max(first + 1, (at + longest_samples) // hop_samples)
                cut = (first + int(np.argmin(rms[first:last]))) * hop_samples
                pieces.append(Piece(at, cut, False))
                at = cut
        pieces.append(Piece(at, chunk.end_samples, chunk.silent))
    return pieces


def clips_of(chunks: list[Chunk], clip: int, overlap: int, keep: float) -> list[Piece]:
    """so-vits-svc's forced clips as pieces (spec/so_vits_svc.md, section 4, "Inference loop").

    A passage is cut every `clip` samples. Each piece but the first repeats `overlap` samples of the one before it, of
    which the middle `keep` (a share) is faded over and the rest thrown away: so the border lies half an overlap early.
    """
    pieces: list[Piece] = []
    for chunk in chunks:
        if chunk.silent:
            pieces.append(Piece(chunk.start_samples, chunk.end_samples, True))
            continue
        length = chunk.end_samples - chunk.start_samples
        starts = [start for start, _ in fixed_pieces(length, clip)]
        fade = 2 * (int(overlap * keep) // 2) or None
        borders = [0, *(start - overlap // 2 for start in starts[1:]), length]
        for index, (start, end) in enumerate(itertools.pairwise(borders)):
            rise, fall = (fade if index > 0 else None), (fade if index + 2 < len(borders) else None)
            pieces.append(Piece(chunk.start_samples + start, chunk.start_samples + end, False, rise, fall))
    return pieces


def add_piece(
    out: NDArray[np.float32], piece: Piece, rendered: NDArray[np.float32], lead_samples: int, fade_samples: int
) -> None:
    """Mix a render into the result.

    Args:
        out: [n_samples], the whole result.
        piece: where the render belongs.
        rendered: the piece with its context: sample `lead_samples` of it is sample `piece.start`.
        lead_samples: context before the piece, at least half of the fade.
        fade_samples: whole length of a fade (even) where the piece names none; its middle lies on the border.
    """
    rise, fall = ((fade_samples if own is None else own) // 2 for own in (piece.rise, piece.fall))
    first = max(0, piece.start - rise) if piece.start > 0 else 0
    last = min(out.size, piece.end + fall) if piece.end < out.size else out.size
    at = np.arange(first, last)
    # Rise at the start minus rise at the end: over all pieces these add up to one, however short a piece is.
    gain = _rise(at, piece.start, rise) if piece.start > 0 else np.ones(at.size, np.float32)
    if piece.end < out.size:
        gain = gain - _rise(at, piece.end, fall)
    offset = lead_samples + first - piece.start
    out[first:last] += rendered[offset : offset + at.size] * gain


def _rise(at: NDArray[np.int64], border: int, half: int) -> NDArray[np.float32]:
    """0 before the border, 1 after it, a straight line over `half` samples at each side of it."""
    return np.clip((at + 0.5 - border + half) / (2 * half), 0.0, 1.0).astype(np.float32)


def limit_peaks(out: NDArray[np.float32], rate_hz: int) -> bool:
    """Bring true peaks under `CEILING_DBTP` in place, part by part so that memory stays flat. True if any was above."""
    from core.audio.limiter import limit, true_peak

    ceiling = 10.0 ** (CEILING_DBTP / 20.0)
    span, context = round(LONGEST_LIMIT_S * rate_hz), round(_LIMIT_CONTEXT_S * rate_hz)
    held = np.zeros(0, np.float32)  # samples before the part, as they were
    touched = False
    for start in range(0, out.size, span):
        end = min(start + span, out.size)
        part = np.concatenate([held, np.asarray(out[start : end + context])])
        lead = held.size
        held = np.array(out[max(start, end - context) : end])
        if true_peak(part) > ceiling:
            out[start:end] = limit(part, rate_hz, CEILING_DBTP)[lead : lead + end - start]
            touched = True
    return touched


def follow_loudness(out: NDArray[np.float32], source: NDArray[np.float32], rate_hz: int, share: float) -> None:
    """Give the result the source's loudness over time, in place; both [N] at one rate.

    out * rms_source^(1 - share) * max(rms_out, 1e-6)^(share - 1), levels over one second every half second, linear
    between (spec/so_vits_svc.md section 4, "Loudness envelope"). share 1 changes nothing, 0 follows the source wholly.
    """
    if share == 1.0:
        return
    hop = rate_hz // 2
    wanted, given = (levels(x, hop) for x in (source, out))
    block = 60 * rate_hz
    for start in range(0, out.size, block):
        at = np.arange(start, min(start + block, out.size))
        level_in = _between(wanted, at, out.size)
        level_out = np.maximum(_between(given, at, out.size), 1e-6)
        out[at[0] : at[-1] + 1] *= (level_in ** (1.0 - share) * level_out ** (share - 1.0)).astype(np.float32)


def levels(x: NDArray[np.float32], hop: int) -> NDArray[np.float64]:
    """RMS of frames of 2 * hop around every multiple of hop, zeros beyond the ends: [N // hop + 1]."""
    n_hops = x.size // hop + 2
    energy = np.zeros(n_hops + 1)
    for index in range(n_hops):
        part = x[index * hop : (index + 1) * hop].astype(np.float64)
        energy[index + 1] = float(part @ part)
    return np.sqrt((energy[:-1] + energy[1:]) / (2 * hop))[: x.size // hop + 1]


def _between(levels: NDArray[np.float64], at: NDArray[np.int64], n_samples: int) -> NDArray[np.float64]:
    """Levels stretched over n_samples, read at samples `at` (torch's linear interpolation, align_corners false)."""
    position = (at + 0.5) * levels.size / n_samples - 0.5
    return np.interp(position, np.arange(levels.size), levels)
