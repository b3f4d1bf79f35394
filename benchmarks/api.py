"""The service under load on loopback: concurrent streams, time to the first byte, our own part of it, memory, errors.

    python -m benchmarks api [--streams 50] [--seconds 300] [--model builtin]

A real server process on an empty workspace; every stream asks again as soon as it has ended. `overhead_ms` is what the
server itself says in Server-Timing: first byte less the wait for a turn and less the engine's own time. Meanwhile
/health is asked ten times a second, as a page would.
"""

import argparse
import asyncio
import re
import statistics
import tempfile
import time
from typing import Any

import httpx
import psutil

from benchmarks._serving import serving

TARGET_OVERHEAD_MS = 20.0
_TEXT = "The harbour wakes before the sun, and the first boats slip out past the wall."


def _options(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks api")
    parser.add_argument("--streams", type=int, default=50, metavar="N", help="at once (default: 50)")
    parser.add_argument("--seconds", type=float, default=300.0, metavar="S", help="how long (default: 300)")
    parser.add_argument("--model", default="builtin", metavar="ID", help="of /v1/models (default: builtin)")
    return parser.parse_args(args)


class Load:
    """What the streams met with."""

    def __init__(self) -> None:
        self.first_ms: list[float] = []
        self.overhead_ms: list[float] = []
        self.health_ms: list[float] = []
        self.errors: list[str] = []
        self.audio_s = 0.0

    async def stream(self, client: httpx.AsyncClient, model: str, until: float) -> None:
        """One client that asks again and again."""
        data = {"text": _TEXT, "model": model, "chunk_format": "pcm", "sample_rate": "0"}
        while time.monotonic() < until:
            began = time.monotonic()
            try:
                async with client.stream("POST", "/api/tts/stream", data=data) as answer:
                    if answer.status_code != 200:
                        self.errors.append(f"{answer.status_code} {(await answer.aread())[:200]!r}")
                        continue
                    first, n_bytes = 0.0, 0
                    async for piece in answer.aiter_bytes():
                        first = first or time.monotonic()
                        n_bytes += len(piece)
            except httpx.HTTPError as err:
                self.errors.append(repr(err))
                continue
            self.first_ms.append(1000 * (first - began))
            timing = re.search(r"overhead;dur=([0-9.]+)", answer.headers["server-timing"])
            self.overhead_ms.append(float(timing.group(1)) if timing else float("nan"))
            self.audio_s += n_bytes / 2 / int(answer.headers["x-sample-rate"])

    async def watch(self, client: httpx.AsyncClient, until: float) -> None:
        """What a page feels meanwhile."""
        while time.monotonic() < until:
            began = time.monotonic()
            await client.get("/health")
            self.health_ms.append(1000 * (time.monotonic() - began))
            await asyncio.sleep(0.1)


def run(args: list[str]) -> dict[str, Any]:
    """Start a server, load it, and measure."""
    options = _options(args)
    with (
        tempfile.TemporaryDirectory(prefix="timbre api ") as workspace,
        serving("--api-only", "--workspace", workspace) as (url, pid),
    ):
        return asyncio.run(_measure(url, pid, options))


async def _measure(url: str, pid: int, options: argparse.Namespace) -> dict[str, Any]:
    load, server = Load(), psutil.Process(pid)
    limits = httpx.Limits(max_connections=options.streams + 10)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits) as client:
        for _ in range(600):
            try:
                await client.get("/health")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
        # Imports and the first buffers are no growth: memory is compared from here on.
        await load.stream(client, options.model, time.monotonic() + 1.0)
        warm, load = load, Load()
        before_mb, cpu_s = server.memory_info().rss / 2**20, sum(server.cpu_times()[:2])
        until = time.monotonic() + options.seconds
        await asyncio.gather(load.watch(client, until),
                             *(load.stream(client, options.model, until) for _ in range(options.streams)))  # fmt: skip
        after_mb, cpu_s = server.memory_info().rss / 2**20, sum(server.cpu_times()[:2]) - cpu_s
    return {
        "streams": options.streams,
        "seconds": options.seconds,
        "model": options.model,
        "requests": len(load.first_ms),
        "errors": len(load.errors) + len(warm.errors),
        "first_errors": load.errors[:3],
        "audio_s_per_s": round(load.audio_s / options.seconds, 1),
        "first_byte_ms": _quantiles(load.first_ms),
        "overhead_ms": _quantiles(load.overhead_ms),
        "health_ms": _quantiles(load.health_ms),
        "cpu_ms_per_request": round(1000 * cpu_s / max(1, len(load.first_ms)), 1),
        "rss_mb": [round(before_mb, 1), round(after_mb, 1)],
        "target_overhead_p95_ms": TARGET_OVERHEAD_MS,
        "failed": bool(load.errors) or _quantiles(load.overhead_ms)["p95"] > TARGET_OVERHEAD_MS,
    }


def _quantiles(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"p50": float("inf"), "p95": float("inf"), "max": float("inf")}
    ordered = statistics.quantiles(values, n=100)
    return {"p50": round(ordered[49], 2), "p95": round(ordered[94], 2), "max": round(max(values), 2)}


def markdown(figures: dict[str, Any]) -> str:
    """A table of the figures."""
    rows = [
        "| | p50 | p95 | most |",
        "|---|---|---|---|",
        *(
            f"| {words} | {figures[key]['p50']} | {figures[key]['p95']} | {figures[key]['max']} |"
            for key, words in (
                ("first_byte_ms", "first byte, ms (waiting for a turn included)"),
                ("overhead_ms", "our own part of it, ms"),
                ("health_ms", "/health meanwhile, ms"),
            )
        ),
        "",
        f"{figures['streams']} streams for {figures['seconds']:g} s with `{figures['model']}`: {figures['requests']} "
        f"requests, {figures['errors']} errors, {figures['audio_s_per_s']} s of speech a second, "
        f"{figures['cpu_ms_per_request']} ms of CPU each; memory of the server "
        f"{figures['rss_mb'][0]} MiB before, {figures['rss_mb'][1]} MiB after.",
    ]
    return "\n".join(rows) + "\n"
