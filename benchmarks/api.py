"""The service under load on loopback: concurrent streams, time to the first byte, our own part of it, memory, errors.

    python -m benchmarks api [--streams 50] [--seconds 300] [--model builtin]

A real server process, page included, on an empty workspace; every stream asks again as soon as it has ended.
`overhead_ms` is what the server itself says in Server-Timing: first byte less the wait for a turn and less the engine's
own time. Meanwhile the page is used as a browser does: its clock asks what is new, and an event goes through Gradio's
queue and comes back, each four times a second. Memory is flat if the second half of the time adds under a twentieth.
"""

import argparse
import asyncio
import json
import re
import statistics
import tempfile
import time
from typing import Any

import httpx
import psutil

from benchmarks._serving import serving

TARGET_OVERHEAD_MS = 20.0
TARGET_EVENT_MS = 1000.0
_GROWTH = 0.05
_EVERY_S = 0.25
_PAGE = "/en"
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
        self.beat_ms: list[float] = []
        self.event_ms: list[float] = []
        self.half_mb = 0.0
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

    async def watch(self, client: httpx.AsyncClient, event: int, until: float) -> None:
        """What someone at the page feels meanwhile. `event`: number of the event that is sent."""
        while time.monotonic() < until:
            clock = {"lang": "en", "who": "benchmark", "page": "jobs"}
            for times, work in (
                (self.health_ms, client.get("/health")),
                (self.beat_ms, client.get("/ui-data/beat", params=clock)),
                (self.event_ms, _page_event(client, event)),
            ):
                began = time.monotonic()
                try:
                    (await work).raise_for_status()
                except httpx.HTTPError as err:
                    self.errors.append(f"page: {err!r}")
                times.append(1000 * (time.monotonic() - began))
            await asyncio.sleep(_EVERY_S)

    async def weigh(self, server: psutil.Process, at: float) -> None:
        """Note the server's memory at a moment."""
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        self.half_mb = _mb(server)


def _mb(server: psutil.Process) -> float:
    return float(server.memory_info().rss) / 2**20


async def _page_event(client: httpx.AsyncClient, event: int) -> httpx.Response:
    """One event of the page, from the browser's request to its end, as Gradio's own client sends it."""
    session = "benchmark"  # one open page
    asked: dict[str, Any] = {"data": [], "fn_index": event, "trigger_id": None, "session_hash": session}
    (await client.post(f"{_PAGE}/gradio_api/queue/join", json=asked)).raise_for_status()
    async with client.stream("GET", f"{_PAGE}/gradio_api/queue/data", params={"session_hash": session}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data:") and (told := json.loads(line[5:]))["msg"] == "process_completed":
                if not told["success"]:
                    raise httpx.HTTPError(f"the page's event failed: {told}")
                break
        return answer


async def _event(client: httpx.AsyncClient) -> int:
    """Number of an event of the page that takes nothing and only notes something for the page that sent it."""
    await client.get(f"{_PAGE}/", timeout=300)  # the page is built when it is first asked for
    config = (await client.get(f"{_PAGE}/config")).json()
    return next(
        int(one["id"])
        for one in config["dependencies"]
        if one["backend_fn"]
        and one["queue"]
        and not one["inputs"]
        and [kind for _, kind in one["targets"]] == ["input"]
    )


def run(args: list[str]) -> dict[str, Any]:
    """Start a server, load it, and measure."""
    options = _options(args)
    with (
        tempfile.TemporaryDirectory(prefix="timbre api ") as workspace,
        serving("--workspace", workspace) as (url, pid),
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
        event = await _event(client)
        # Imports and the first buffers are no growth: memory is compared from here on.
        await load.stream(client, options.model, time.monotonic() + 1.0)
        await load.watch(client, event, time.monotonic() + 1.0)
        warm, load = load, Load()
        before_mb, cpu_s = _mb(server), sum(server.cpu_times()[:2])
        until = time.monotonic() + options.seconds
        await asyncio.gather(load.watch(client, event, until), load.weigh(server, until - options.seconds / 2),
                             *(load.stream(client, options.model, until) for _ in range(options.streams)))  # fmt: skip
        after_mb, cpu_s = _mb(server), sum(server.cpu_times()[:2]) - cpu_s
    missed = {
        "errors": bool(load.errors or warm.errors),
        "overhead": _quantiles(load.overhead_ms)["p95"] > TARGET_OVERHEAD_MS,
        "page": _quantiles(load.event_ms)["p95"] > TARGET_EVENT_MS,
        "memory": after_mb > (1 + _GROWTH) * load.half_mb,
    }
    return {
        "streams": options.streams,
        "seconds": options.seconds,
        "model": options.model,
        "requests": len(load.first_ms),
        "errors": len(load.errors) + len(warm.errors),
        "first_errors": [*warm.errors, *load.errors][:3],
        "audio_s_per_s": round(load.audio_s / options.seconds, 1),
        "first_byte_ms": _quantiles(load.first_ms),
        "overhead_ms": _quantiles(load.overhead_ms),
        "health_ms": _quantiles(load.health_ms),
        "beat_ms": _quantiles(load.beat_ms),
        "event_ms": _quantiles(load.event_ms),
        "cpu_ms_per_request": round(1000 * cpu_s / max(1, len(load.first_ms)), 1),
        "rss_mb": [round(before_mb, 1), round(load.half_mb, 1), round(after_mb, 1)],
        "target_overhead_p95_ms": TARGET_OVERHEAD_MS,
        "target_event_p95_ms": TARGET_EVENT_MS,
        "missed": [name for name, is_so in missed.items() if is_so],
        "failed": any(missed.values()),
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
                ("beat_ms", "the page's clock meanwhile, ms"),
                ("event_ms", "an event of the page meanwhile, through Gradio's queue and back, ms"),
            )
        ),
        "",
        f"{figures['streams']} streams for {figures['seconds']:g} s with `{figures['model']}`: {figures['requests']} "
        f"requests, {figures['errors']} errors, {figures['audio_s_per_s']} s of speech a second, "
        f"{figures['cpu_ms_per_request']} ms of CPU each; memory of the server "
        f"{figures['rss_mb'][0]} MiB before, {figures['rss_mb'][1]} MiB at half, {figures['rss_mb'][2]} MiB after.",
    ]
    return "\n".join(rows) + "\n"
