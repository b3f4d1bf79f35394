"""Hundreds of requests to one loaded model: is its memory flat, and does each request leave the next one unchanged?

    python -m benchmarks sessions [--count 500] [--engines voxcpm cosyvoice2]

Tiny models of random weights in the real files. Of every five requests two are heard to the end, one is left after its
first chunk, one is cancelled, and one fails (there is nothing to say). Resident memory and the number of tensors are
noted along the way; the same request is said first and last and must sound the same.
"""

import argparse
import contextlib
import gc
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from core.errors import Cancelled, StudioError

_TEXT = "The harbour wakes before the sun."
_WARM = 50  # requests until every cache of the libraries is there
# Seeds differ, and so do lengths: memory rises to what the longest requests need and stays. A leak shows in the second
# half of the requests as much as in the first, so the highest of each are compared.
_GROWTH_MB = 8.0
_MORE_TENSORS = 20


def run(args: list[str]) -> dict[str, Any]:
    """Figures by engine; "failed" where memory grows or a sound changes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks sessions")
    parser.add_argument("--count", type=int, default=500, metavar="N", help="requests (default: 500)")
    parser.add_argument("--engines", nargs="+", default=["voxcpm", "cosyvoice2"], metavar="NAME")
    options = parser.parse_args(args)
    rows = {}
    for name in options.engines:
        with tempfile.TemporaryDirectory() as folder, _loaded(name, Path(folder) / "tiny") as engine:
            rows[name] = _measure(engine, options.count)
    return {"count": options.count, "engines": rows, "failed": any(row["failed"] for row in rows.values())}


@contextlib.contextmanager
def _loaded(name: str, folder: Path) -> Iterator[Any]:
    from core.speech import registry

    if name == "voxcpm":
        from tests.engines.voxcpm.tiny import build

        build(folder, "voxcpm", max_length=96)
    else:
        from tests.engines.cosyvoice2 import tiny_folder

        tiny_folder.write(folder)
    engine = registry.load_engine(name, folder, "cpu")
    try:
        yield engine
    finally:
        engine.unload()


def _measure(engine: Any, count: int) -> dict[str, Any]:
    process, noted = psutil.Process(), []
    options = engine.options.model_validate({"seed": 11})
    first = engine.speak(_TEXT, options).audio
    failures = 0
    for number in range(count):
        failures += _request(engine, number)
        if number + 1 == _WARM or ((number + 1) % max(1, count // 20) == 0 and number + 1 > _WARM):
            noted.append((number + 1, round(process.memory_info().rss / 2**20, 1), _tensors()))
    last = engine.speak(_TEXT, options).audio
    early = max(rss for at, rss, _ in noted if at <= max(_WARM, count // 2))
    late = max(rss for at, rss, _ in noted if at > count // 2)
    growth_mb, more = late - early, noted[-1][2] - noted[0][2]
    same = bool(first.shape == last.shape and np.array_equal(first, last))
    return {
        "noted": noted,
        "growth_mb": round(growth_mb, 1),
        "more_tensors": more,
        "refused": failures,
        "same_sound_first_and_last": same,
        "failed": growth_mb > _GROWTH_MB or more > _MORE_TENSORS or not same or engine.sessions.memory_bytes > 0,
    }


def _request(engine: Any, number: int) -> int:
    """One request of its kind; 1 if it was refused, as one of five must be."""
    session = engine.session(engine.options.model_validate({"seed": number}))
    kind = number % 5
    if kind == 4:
        try:
            session.speak(" … ")
        except StudioError:
            return 1
        raise RuntimeError("a text without words was spoken")
    chunks = session.stream(_TEXT if kind else [_TEXT[:12], _TEXT[12:]])
    if kind < 2:
        for _ in chunks:
            pass
        return 0
    next(chunks)
    if kind == 2:
        chunks.close()
        return 0
    session.cancel()
    with contextlib.suppress(Cancelled):
        for _ in chunks:
            pass
    return 0


def _tensors() -> int:
    import torch

    gc.collect()
    return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())


def markdown(figures: dict[str, Any]) -> str:
    """A table for each engine."""
    lines = [f"{figures['count']} requests to one loaded tiny model: 2 of 5 heard to the end, 1 left after its first "
             "chunk, 1 cancelled, 1 refused."]  # fmt: skip
    for name, row in figures["engines"].items():
        lines += ["", f"## {name}", "", "| requests | resident, MiB | tensors |", "|---|---|---|"]
        lines += [f"| {number} | {rss} | {tensors} |" for number, rss, tensors in row["noted"]]
        same = "yes" if row["same_sound_first_and_last"] else "no"
        lines += ["", f"Highest in the second half less highest in the first: {row['growth_mb']} MiB. "
                      f"{row['more_tensors']} tensors more than at request {row['noted'][0][0]}; {row['refused']} "
                      f"refused; the same request before and after sounds the same: {same}."]  # fmt: skip
    return "\n".join(lines) + "\n"
