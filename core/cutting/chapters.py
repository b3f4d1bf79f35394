"""A recording in one pass, as chapters of about a minute with their cues. Memory holds a few of them at a time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.cutting.plan import HOP_SAMPLES, MARGIN_S
from core.cutting.speech import RATE_HZ, Floats

if TYPE_CHECKING:
    from core.jobs.context import JobContext

CHAPTER_S = 60.0
_BLOCK_S = 10.0


@dataclass(frozen=True)
class Chapter:
    """Some cues and the sound around them.

    `wanted`: positions of its cues. `sound` at `rate_hz` begins at sample `sound_from` of the recording, `speech` (the
    same at 16 kHz) at `speech_from`. `heard_s`: the stretch between the chapters before and after, for which this one
    says where speech is. `duration_s`: of the recording; infinite as long as it is not known.
    """

    wanted: range
    sound: Floats
    sound_from: int
    rate_hz: int
    speech: Floats
    speech_from: int
    heard_s: tuple[float, float]
    duration_s: float


@dataclass(frozen=True)
class _Group:
    wanted: range
    low_s: float
    high_s: float
    heard_to_s: float


class _Tail:
    """The last part of a stream of samples."""

    def __init__(self) -> None:
        self._parts: list[Floats] = []
        self.start = 0
        self.end = 0

    def push(self, block: Floats) -> None:
        self._parts.append(block)
        self.end += block.size

    def take(self, low: int, high: int) -> Floats:
        """A copy of the samples [low, high), as far as they are there."""
        at, kept = self.start, []
        for block in self._parts:
            if at + block.size > low and at < high:
                kept.append(block[max(0, low - at) : high - at])
            at += block.size
        return np.concatenate(kept) if kept else np.zeros(0, np.float32)

    def drop(self, before: int) -> None:
        """Forget whole blocks that lie before a sample."""
        while self._parts and self.start + self._parts[0].size <= before:
            self.start += self._parts.pop(0).size


@dataclass
class Recording:
    """Reads `path` once. `times` [n, 2] are its cues in seconds, sorted by start; none of them longer than a minute.

    `warnings` and `duration_s` are complete once `chapters` is exhausted.
    """

    path: Path
    times: NDArray[np.float64]
    buffer_s: float
    duration_s: float = 0.0
    warnings: list[str] = field(default_factory=list)

    def chapters(self, ctx: "JobContext") -> Iterator[Chapter]:
        """The chapters in order. Raises BadInput (unreadable, too long), Cancelled."""
        from core.audio.decode import probe, stream
        from core.audio.resample import StreamResampler

        info = probe(self.path)
        sound, speech = _Tail(), _Tail()
        reader = _Reader(info.rate_hz, sound, speech, _groups(self.times, self.buffer_s))
        to_speech = StreamResampler(info.rate_hz, RATE_HZ)
        blocks = stream(
            self.path, info.rate_hz, _BLOCK_S, max_hours=ctx.settings.max_decode_hours, warnings=self.warnings
        )
        for block in blocks:
            sound.push(block)
            speech.push(to_speech.push(block))
            ctx.progress(min(1.0, sound.end / info.rate_hz / (info.duration_s or 3600.0)))
            yield from reader.ready(math.inf)
        speech.push(to_speech.finish())
        self.duration_s = sound.end / info.rate_hz
        yield from reader.ready(self.duration_s)


class _Reader:
    """Hands out chapters as soon as their sound is there."""

    def __init__(self, rate_hz: int, sound: _Tail, speech: _Tail, groups: list[_Group]) -> None:
        self._rate_hz, self._sound, self._speech = rate_hz, sound, speech
        self._groups = groups
        self._heard_s = 0.0

    def ready(self, duration_s: float) -> Iterator[Chapter]:
        """Chapters that can be made now; all that are left once the duration is known."""
        ended = math.isfinite(duration_s)
        while True:
            group = self._next(duration_s)
            if group is None or not (ended or self._speech.end >= group.high_s * RATE_HZ):
                return
            if self._groups and group is self._groups[0]:
                self._groups.pop(0)
            yield self._chapter(group, duration_s)

    def _next(self, duration_s: float) -> _Group | None:
        """The next group of cues, or a stretch without any before it or after the last."""
        until = self._groups[0].low_s if self._groups else duration_s
        until = min(until, duration_s)
        if until - self._heard_s > CHAPTER_S or (not self._groups and until > self._heard_s):
            end = min(until, self._heard_s + CHAPTER_S)
            return _Group(range(0), self._heard_s, end, end)
        return self._groups[0] if self._groups else None

    def _chapter(self, group: _Group, duration_s: float) -> Chapter:
        low_s = max(0.0, min(group.low_s, self._heard_s))
        speech_from = int(low_s * RATE_HZ) // HOP_SAMPLES * HOP_SAMPLES
        sound_from = int(low_s * self._rate_hz)
        heard = (self._heard_s, min(max(self._heard_s, group.heard_to_s), duration_s))
        chapter = Chapter(
            group.wanted,
            self._sound.take(sound_from, math.ceil(group.high_s * self._rate_hz)),
            sound_from,
            self._rate_hz,
            self._speech.take(speech_from, math.ceil(group.high_s * RATE_HZ)),
            speech_from,
            heard,
            duration_s,
        )
        self._heard_s = heard[1]
        keep_s = min([self._heard_s, *(g.low_s for g in self._groups[:1])])
        self._sound.drop(int(max(0.0, keep_s) * self._rate_hz))
        self._speech.drop(int(max(0.0, keep_s) * RATE_HZ) - HOP_SAMPLES)
        return chapter


def _groups(times: NDArray[np.float64], buffer_s: float) -> list[_Group]:
    """Neighbouring cues whose starts lie within a minute."""
    groups: list[_Group] = []
    begin = 0
    for index in range(1, len(times) + 1):
        if index == len(times) or times[index, 0] - times[begin, 0] > CHAPTER_S:
            high = float(times[begin:index, 1].max()) + buffer_s
            low = float(times[begin, 0]) - buffer_s - MARGIN_S
            groups.append(_Group(range(begin, index), low, high + MARGIN_S, high))
            begin = index
    return groups
