"""How long a job will still take."""

from collections import deque

_WINDOW_S = 60.0
_SOONEST_S = 1.0
_LEAST_PROGRESS = 0.002


class Eta:
    """Estimates the seconds left from the pace of the last minute.

    The pace of the recent past, not of the whole: a job that finds half of its work in the cache would
    otherwise promise the rest in no time.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()

    def update(self, now_s: float, fraction: float) -> float | None:
        """Note that `fraction` (0..1) was done at `now_s` (any steady clock); seconds left, or None while unknown."""
        if self._seen and fraction < self._seen[-1][1]:
            self._seen.clear()  # a handler that starts over
        self._seen.append((now_s, fraction))
        # Keep one point older than the window, so that slow jobs still have two to compare.
        while len(self._seen) > 2 and now_s - self._seen[1][0] > _WINDOW_S:
            self._seen.popleft()
        start_s, start = self._seen[0]
        spent_s, done = now_s - start_s, fraction - start
        if fraction >= 1.0:
            return 0.0
        if spent_s < _SOONEST_S or done < _LEAST_PROGRESS:
            return None
        return (1.0 - fraction) * spent_s / done
