"""A live conversion from a voice: load what it needs, take sound at any rate, keep count of how it goes."""

import math
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.audio.resample import StreamResampler
from core.engines.sovits.config import HOP
from core.realtime.blocks import RATE_HZ, BlockConverter, Plan, Render, Samples
from core.realtime.options import RealtimeOptions

if TYPE_CHECKING:
    from core.engines.sovits.convert_options import ConvertOptions
    from core.engines.sovits.convert_tools import Tools
    from core.settings import Settings

_REMEMBERED = 200


@dataclass(frozen=True)
class Standing:
    """How a session goes. Times in milliseconds; `rtf`: seconds of work a second of sound, over the last blocks."""

    blocks: int
    late: int
    """Blocks that took longer than they last: each is a gap in what is heard."""
    rtf: float
    compute_ms: float
    """Of the slowest twentieth of blocks."""
    latency_ms: float
    """What a listener waits: the plan's own latency and the work."""


class LiveSession:
    """One person's stream; give it up to let its memory go."""

    def __init__(self, render: Render, options: RealtimeOptions, rate_hz: int = RATE_HZ) -> None:
        """`rate_hz`: of what is pushed and of what comes back."""
        self.plan = Plan.of(options)
        self._converter = BlockConverter(self.plan, render, options.gate_db)
        self._down = StreamResampler(rate_hz, RATE_HZ)
        self._up = StreamResampler(RATE_HZ, rate_hz)
        self._spent: deque[float] = deque(maxlen=_REMEMBERED)
        self._late = 0

    def push(self, samples: Samples) -> Samples:
        """Sound as it comes in, converted sound as it is ready: [m], m may be 0."""
        out = [np.zeros(0, np.float32)]
        blocks = self._converter.push(self._down.push(samples))
        while True:
            began = time.perf_counter()
            block = next(blocks, None)
            if block is None:
                return np.concatenate(out)
            spent = time.perf_counter() - began
            self._spent.append(spent)
            self._late += spent > self.plan.block / RATE_HZ
            out.append(self._up.push(block))

    @property
    def standing(self) -> Standing:
        """How it goes so far."""
        block_s = self.plan.block / RATE_HZ
        spent = sorted(self._spent) or [0.0]
        slow = spent[min(len(spent) - 1, math.ceil(0.95 * len(spent)) - 1)]
        return Standing(
            blocks=self._converter.n_blocks,
            late=self._late,
            rtf=round(sum(spent) / len(spent) / block_s, 3),
            compute_ms=round(1000 * slow, 1),
            latency_ms=round(1000 * (self.plan.latency_s + slow), 1),
        )


def open_render(options: RealtimeOptions, settings: "Settings") -> Render:
    """Load the voice and what it hears with, and run one window through it, so that no first block is late.

    Raises:
        NotFound: no such voice or model.
        Conflict, ModelFileError, Unavailable, BadInput: see `load_tools`.
    """
    from core.engines.sovits.convert import open_tools
    from core.engines.sovits.convert_options import ConvertOptions
    from core.jobs.context import ForegroundContext

    chosen = ConvertOptions(
        voice=options.voice,
        source="-",
        model=options.model,
        speaker=options.speaker,
        pitch=options.pitch,
        noise_scale=options.noise_scale,
    )
    tools = open_tools(chosen, ForegroundContext(settings))
    render = render_of(chosen, tools, options)
    plan = Plan.of(options)
    warm = 0.01 * np.sin(np.arange(plan.context + plan.block + plan.wait, dtype=np.float32) * 0.03)
    render(warm, (plan.context - plan.warm_up) // HOP, 0)
    return render


def render_of(chosen: "ConvertOptions", tools: "Tools", options: RealtimeOptions) -> Render:
    """The conversion of a recording's piece, as a block converter calls it."""
    from core.engines.sovits.render import render_window

    def render(window: Samples, skip_frames: int, number: int) -> Samples:
        at_s = (np.arange(window.size // HOP) + 0.5) * HOP / RATE_HZ
        made, _, _ = render_window(
            chosen,
            tools,
            np.ascontiguousarray(window),
            options.transpose,
            options.seed + number,
            at_s=at_s,
            duration_s=window.size / RATE_HZ,
            skip_frames=skip_frames,
        )
        return made

    return render
