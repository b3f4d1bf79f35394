"""The block converter: samples in as they come, as many out, later by a stated time.

Block k of B samples is converted once its lookahead has been heard: a window from `context` before it to `crossfade +
search + lookahead` after it goes through the same steps as a piece of a recording (`render_window`), and what comes out
is laid onto the end of the block before by synchronised overlap-add (Roucos and Wilgus, "High quality time-scale
modification for speech", ICASSP 1985): it is moved by up to `search` to where the waves agree best, then faded over
`crossfade`. A move is of this block alone, so moves do not add up.

Latency: the first sample of a block waits for the rest of it, for crossfade, search and lookahead, and for the work:
`latency_s` + the time that a block takes to compute.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.engines.sovits.config import HOP, SAMPLE_RATE_HZ
from core.realtime.options import RealtimeOptions

RATE_HZ = SAMPLE_RATE_HZ
Samples = NDArray[np.float32]
Render = Callable[[Samples, int, int], Samples]
"""(window [T * HOP], frames at its beginning that need not be rendered, number of the block) -> [(T - skip) * HOP]."""
_TINY = 1e-9


@dataclass(frozen=True)
class Plan:
    """The sizes of a conversion in samples; `block`, `context` and `warm_up` are whole frames."""

    block: int
    context: int
    warm_up: int
    crossfade: int
    search: int
    lookahead: int

    @classmethod
    def of(cls, options: RealtimeOptions) -> "Plan":
        """The options rounded to the grid."""

        def frames(seconds: float) -> int:
            return max(1, round(seconds * RATE_HZ / HOP)) * HOP

        context = frames(options.context_s)
        block = frames(options.block_s)
        crossfade = min(round(options.crossfade_s * RATE_HZ), block)
        search, lookahead = (round(x * RATE_HZ) for x in (options.search_s, options.lookahead_s))
        return cls(block, context, min(context, frames(options.warm_up_s)), crossfade, search, lookahead)

    @property
    def wait(self) -> int:
        """Samples after a block that must be there before it is converted."""
        after = self.crossfade + self.search + self.lookahead
        return after + -(self.block + after) % HOP  # a window is whole frames

    @property
    def latency_s(self) -> float:
        """From a sound to the same sound converted, computing apart."""
        return (self.block + self.wait) / RATE_HZ


class BlockConverter:
    """One stream. Joined, what it gives is as long as what it got, the last `latency_s` aside."""

    def __init__(self, plan: Plan, render: Render, gate_db: float) -> None:
        self.plan, self._render = plan, render
        self._gate = 10.0 ** (gate_db / 20.0)
        self._held = np.zeros(plan.context, np.float32)  # context, then what has not been converted
        self._tail = np.zeros(plan.crossfade, np.float32)
        self._was_open = False
        self.n_blocks = 0
        ramp = (np.arange(plan.crossfade, dtype=np.float32) + 0.5) / plan.crossfade
        # Two renders of the same sound agree in phase after the search, so gains that add up to one keep the level.
        self._rise = 0.5 - 0.5 * np.cos(np.pi * ramp)

    def push(self, samples: Samples) -> Iterator[Samples]:
        """Take samples [n] at 44.1 kHz; gives blocks [B] as they are ready: none, one or several."""
        self._held = np.concatenate([self._held, np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)])
        plan = self.plan
        size = plan.context + plan.block + plan.wait
        while self._held.size >= size:
            yield self._convert(self._held[:size])
            self._held = self._held[plan.block :]

    def _convert(self, window: Samples) -> Samples:
        plan = self.plan
        number, self.n_blocks = self.n_blocks, self.n_blocks + 1
        heard = window[plan.context :]
        is_open = float(np.sqrt(np.mean(np.square(heard, dtype=np.float64)))) >= self._gate
        # One block more after the gate falls: the end of a word is softer than the word.
        if not (is_open or self._was_open):
            return self._join(np.zeros(plan.block + plan.crossfade + plan.search, np.float32))
        self._was_open = is_open
        skipped = plan.context - plan.warm_up
        made = self._render(window, skipped // HOP, number)
        start = plan.warm_up
        return self._join(np.nan_to_num(made[start : start + plan.block + plan.crossfade + plan.search]))

    def _join(self, made: Samples) -> Samples:
        """Lay a segment [B + crossfade + search] onto the tail of the one before; gives [B]."""
        plan = self.plan
        shift = best_shift(self._tail, made[: plan.crossfade + plan.search])
        moved = made[shift : shift + plan.block + plan.crossfade]
        out = np.array(moved[: plan.block])
        out[: plan.crossfade] = self._tail * (1.0 - self._rise) + out[: plan.crossfade] * self._rise
        self._tail = np.array(moved[plan.block :])
        return out


def best_shift(tail: Samples, made: Samples) -> int:
    """Where in `made` [C + S] the C samples lie that are most like `tail` [C]: 0..S, by normalised correlation."""
    n_shifts = made.size - tail.size + 1
    if n_shifts < 2 or not tail.any() or not made.any():
        return 0
    windows = np.lib.stride_tricks.sliding_window_view(made, tail.size)
    energy = np.sqrt(np.einsum("ij,ij->i", windows, windows)) + _TINY
    return int(np.argmax((windows @ tail) / energy))
