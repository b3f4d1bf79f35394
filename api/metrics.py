"""Counters in Prometheus' text form, without a package for it.

Several server processes each keep a copy of theirs in a folder (`Metrics.keep`), and whichever is asked adds all up.
"""

import json
import threading
from bisect import bisect_left
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import atomic
from core.errors import StudioError

_BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_COPY_S = 1.0
_HELP = {
    "timbre_http_requests_total": "Requests answered, by method, route and status.",
    "timbre_http_request_seconds": "Seconds from request to the end of the answer.",
    "timbre_speech_requests_total": "Texts asked for.",
    "timbre_speech_disconnects_total": "Texts whose client went away before the first sound.",
    "timbre_speech_first_chunk_seconds": "Seconds from request to the first sound, waiting included.",
    "timbre_speech_audio_seconds_total": "Seconds of speech sent.",
    "timbre_speech_active": "Texts being spoken.",
    "timbre_speech_queued": "Texts waiting.",
    "timbre_jobs": "Jobs by state.",
    "timbre_model_bytes": "Memory of loaded speech models.",
    "timbre_disk_free_bytes": "Free bytes where the workspace lies.",
}


class Metrics:
    """Counters and histograms. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], float] = {}
        self._seen: dict[str, list[float]] = {}
        self._copy: Path | None = None

    def keep(self, copy: Path) -> None:
        """From now on keep a copy in this file, beside those of other processes, after each second with news.

        What a former process left there is counted on, so that no sum ever falls.
        """
        self._copy = copy
        self._merge(_read(copy))
        threading.Thread(target=self._copying, name="metrics", daemon=True).start()

    def _copying(self) -> None:
        pause, told = threading.Event(), ""
        while not pause.wait(_COPY_S):
            told = self._write(told)

    def _write(self, told: str) -> str:
        assert self._copy is not None
        with self._lock:
            counts = [[*key, value] for key, value in self._counts.items()]
            text = json.dumps({"counts": counts, "seen": self._seen})
        if text != told:
            try:
                atomic.write_text(self._copy, text)
            except StudioError:
                return told  # a full disk: the next second tries again
        return text

    def _merge(self, kept: Mapping[str, Any]) -> None:
        for name, labels, value in kept.get("counts", ()):
            with self._lock:
                self._counts[name, labels] = self._counts.get((name, labels), 0.0) + value
        for name, row in kept.get("seen", {}).items():
            with self._lock:
                mine = self._seen.setdefault(name, [0.0] * len(row))
                self._seen[name] = [one + other for one, other in zip(mine, row, strict=True)]

    def _of_all(self) -> "Metrics":
        """These and the kept ones of the other processes, added up."""
        together = Metrics()
        with self._lock:
            together._counts, together._seen = dict(self._counts), {name: list(row) for name, row in self._seen.items()}
        if self._copy is not None:
            for path in self._copy.parent.glob("*.json"):
                if path != self._copy:
                    together._merge(_read(path))
        return together

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Count up."""
        key = (name, _labels(labels))
        with self._lock:
            self._counts[key] = self._counts.get(key, 0.0) + amount

    def observe(self, name: str, seconds: float) -> None:
        """Note a duration."""
        with self._lock:
            row = self._seen.setdefault(name, [0.0] * (len(_BUCKETS_S) + 2))
            row[bisect_left(_BUCKETS_S, seconds)] += 1
            row[-1] += seconds

    def text(self, now: Mapping[tuple[str, str], float]) -> str:
        """Everything in Prometheus' text form; `now` holds values that are read at this moment."""
        together = self._of_all()
        counts, seen = together._counts, together._seen
        lines: list[str] = []
        for kind, table in (("counter", counts), ("gauge", dict(now))):
            for name in dict.fromkeys(name for name, _ in table):
                lines += [f"# HELP {name} {_HELP.get(name, name)}", f"# TYPE {name} {kind}"]
                lines += [f"{name}{labels} {value:g}" for (one, labels), value in table.items() if one == name]
        for name, row in seen.items():
            lines += [f"# HELP {name} {_HELP.get(name, name)}", f"# TYPE {name} histogram"]
            total = 0.0
            for limit, count in zip((*_BUCKETS_S, None), row[:-1], strict=True):
                total += count
                lines.append(f'{name}_bucket{{le="{"+Inf" if limit is None else f"{limit:g}"}"}} {total:g}')
            lines += [f"{name}_sum {row[-1]:g}", f"{name}_count {total:g}"]
        return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return kept


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return "{" + ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items()) + "}" if labels else ""


METRICS = Metrics()
