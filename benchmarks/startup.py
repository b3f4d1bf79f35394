"""How long from `app.py serve` to the first answers: /health, the page's document, and the page's own data.

    python -m benchmarks startup [--repeats N]

Each repeat is a fresh process on an empty workspace. `cpu_s` is what the process computed until then: on a busy
machine it tells more than the clock.
"""

import argparse
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from typing import Any

import psutil

from benchmarks._serving import serving

TARGET_S = 5.0
_GIVE_UP_S = 300.0


def _options(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks startup")
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="fresh starts to time (default: 3)")
    return parser.parse_args(args)


def wait_for(url: str, started: float) -> float:
    """Seconds from `started` until `url` answers 200. Raises RuntimeError where it never does."""
    while time.perf_counter() - started < _GIVE_UP_S:
        try:
            with urllib.request.urlopen(url, timeout=_GIVE_UP_S) as answer:
                answer.read()
                return time.perf_counter() - started
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)
    raise RuntimeError(f"{url} did not answer within {_GIVE_UP_S:.0f} s")


def once() -> dict[str, float]:
    """One start: seconds until each answer, CPU seconds and resident MiB once the page is there."""
    with tempfile.TemporaryDirectory(prefix="timbre startup ") as workspace:
        started = time.perf_counter()
        with serving("--workspace", workspace) as (url, pid):
            answers = {"health_s": wait_for(f"{url}/health", started), "page_s": wait_for(f"{url}/", started)}
            seen = psutil.Process(pid)
            times, memory = seen.cpu_times(), seen.memory_info()
            return {**answers, "cpu_s": times.user + times.system, "rss_mb": memory.rss / 2**20}


def run(args: list[str]) -> dict[str, Any]:
    """Median of the repeats, the repeats themselves, and whether the page came within the promised five seconds."""
    options = _options(args)
    runs = [once() for _ in range(options.repeats)]
    median = {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
    return {
        **median,
        "target_s": TARGET_S,
        "within_target": median["page_s"] <= TARGET_S,
        "load_before": round(psutil.getloadavg()[0], 1),
        "n_cpus": psutil.cpu_count(),
        "runs": runs,
    }
