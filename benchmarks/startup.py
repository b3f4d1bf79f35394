"""How long from `app.py serve` until a person can work, and what an open page costs while nobody touches it.

    python -m benchmarks startup [--repeats N] [--no-browser]

Each repeat is a fresh process on an empty workspace: the first answer of /health, then the page's document, then (in
headless Chromium, 1280 x 800) the page Training drawn. `server CPU` is what the server computed until its document was
out; `browser CPU` is the busy time of the page's thread until the page stood, and, as a share of the clock, while it
lay idle for ten seconds. On a loaded machine these tell more than the clock.
"""

import argparse
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any

import psutil

from benchmarks._serving import chromium, serving

TARGET_S = 5.0
_GIVE_UP_S = 300.0
_IDLE_S = 10.0
_TITLES = {
    "health_s": "/health, s",
    "page_s": "document, s",
    "cpu_s": "server CPU, s",
    "rss_mb": "server memory, MB",
    "drawn_s": "drawn, s after opening",
    "browser_cpu_s": "browser CPU, s",
    "idle_percent": "browser CPU idle, %",
    "document_kb": "document, KB",
}


def _options(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks startup")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="fresh starts to time (default: 3)")
    parser.add_argument("--no-browser", action="store_true", help="only the server; needs no Chromium")
    return parser.parse_args(args)


def wait_for(url: str, started: float) -> tuple[float, int]:
    """Seconds from `started` until `url` answers 200, and the bytes of its answer. RuntimeError where it never does."""
    while time.perf_counter() - started < _GIVE_UP_S:
        try:
            with urllib.request.urlopen(url, timeout=_GIVE_UP_S) as answer:
                return time.perf_counter() - started, len(answer.read())
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise RuntimeError(f"{url} did not answer within {_GIVE_UP_S:.0f} s")


def once(browser: Any = None) -> dict[str, float]:
    """One start, by the names of `_TITLES`; `browser` is playwright's, None leaves its figures out."""
    with tempfile.TemporaryDirectory(prefix="timbre startup ") as workspace:
        started = time.perf_counter()
        with serving("--workspace", workspace) as (url, pid):
            health_s, _ = wait_for(f"{url}/health", started)
            page_s, size = wait_for(f"{url}/", started)
            seen = psutil.Process(pid)
            times, memory = seen.cpu_times(), seen.memory_info()
            figures = {"health_s": health_s, "page_s": page_s, "cpu_s": times.user + times.system}
            figures |= {"rss_mb": memory.rss / 2**20, "document_kb": size / 1e3}
            return figures | (opened(browser, f"{url}/en/#training") if browser else {})


def opened(browser: Any, address: str) -> dict[str, float]:
    """What opening the page costs a browser that has never seen it, and what it costs then, untouched."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    clock = page.context.new_cdp_session(page)
    clock.send("Performance.enable")

    def busy_s() -> float:
        metrics = {one["name"]: one["value"] for one in clock.send("Performance.getMetrics")["metrics"]}
        return float(metrics["TaskDuration"])

    started = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("#page-training.ts-open h1", timeout=_GIVE_UP_S * 1000)
    drawn_s, busy = time.perf_counter() - started, busy_s()
    page.wait_for_timeout(5000)  # what it loads behind the drawn page is neither the opening nor rest
    before = busy_s()
    page.wait_for_timeout(_IDLE_S * 1000)
    idle = (busy_s() - before) / _IDLE_S
    page.close()
    return {"drawn_s": drawn_s, "browser_cpu_s": busy, "idle_percent": 100 * idle}


def run(args: list[str]) -> dict[str, Any]:
    """Median of the repeats, the repeats themselves, and whether the page came within the promised five seconds."""
    options = _options(args)
    if options.no_browser:
        runs = [once() for _ in range(options.repeats)]
    else:
        with chromium() as browser:
            runs = [once(browser) for _ in range(options.repeats)]
    median = {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
    return {**median, "target_s": TARGET_S, "within_target": median["page_s"] <= TARGET_S, "runs": runs}


def markdown(figures: dict[str, Any]) -> str:
    """A row a start, and the medians."""
    keys = [key for key in _TITLES if key in figures]
    rows = [["**median**", *(f"{figures[key]:.4g}" for key in keys)]]
    rows += [[str(n), *(f"{run[key]:.4g}" for key in keys)] for n, run in enumerate(figures["runs"], start=1)]
    lines = [f"| start | {' | '.join(_TITLES[key] for key in keys)} |", "|---" * (len(keys) + 1) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    verdict = "kept" if figures["within_target"] else "NOT kept"
    return "\n".join([*lines, "", f"The promise of a document within {figures['target_s']:g} s is {verdict}."]) + "\n"
