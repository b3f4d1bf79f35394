"""How long a run still takes, by the wall clock: saves and probes count, since they take their time too."""

import time
from collections.abc import Callable

OLD_SHARE = 0.7
"""Weight of the last estimate beside the new one, so that one slow save does not shake the figure."""


class Pace:
    """Asked at every log step."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at = clock()
        self._step = 0
        self._left_s: float | None = None

    def begin(self, step: int) -> None:
        """Training starts or goes on at this step."""
        self._at, self._step, self._left_s = self._clock(), step, None

    def left_s(self, step: int, steps: int) -> float:
        """Seconds until step `steps`, at `step`; never negative."""
        now = self._clock()
        n_done = step - self._step
        pace_s = (now - self._at) / max(n_done, 1)
        fresh = (steps - step) * pace_s
        if self._left_s is None:
            self._left_s = fresh
        else:
            self._left_s = OLD_SHARE * (self._left_s - n_done * pace_s) + (1 - OLD_SHARE) * fresh
        self._at, self._step = now, step
        return max(0.0, self._left_s) if step < steps else 0.0
