"""Where long recordings are cut: the silence slicer's plans, and forced clips. Exact."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.parity.base import EXACT, Case, Folder, Quantity, compare, read_json, unknown
from benchmarks.parity.recipe import rng
from core.audio.slicer import slice_silence
from core.engines.sovits.forced_clip import centre_pad, fixed_pieces


def find(folder: Folder) -> list[Case]:
    """JSON files with slicer plans or with pieces of fixed length."""
    found = []
    for name in folder.names(".json"):
        if (folder.path / name).with_suffix(".safetensors").is_file():
            continue  # the description of a pair, another family's
        data = folder.open(name, read_json)
        if not isinstance(data, dict):
            continue
        cases = data.get("cases")
        if isinstance(cases, dict) and cases and all("plan" in case for case in cases.values()):
            found.append(Case("slicer", name.removesuffix(".json"), partial(_plans, data)))
        elif "split_list_by_n" in data:
            found.append(Case("pieces", name.removesuffix(".json"), partial(_pieces, data)))
        else:
            continue
        folder.take(name)
    return found


def plan_audio(plan: list[tuple[str, float]], rate_hz: int) -> NDArray[np.float32]:
    """The recipe's sound: 'v' a swinging tone, 's' faint noise seeded by its place in the plan."""
    parts = []
    for index, (kind, seconds) in enumerate(plan):
        n = int(seconds * rate_hz)
        if kind == "v":
            t = np.arange(n) / rate_hz
            hertz = 200 + 40 * np.sin(2 * np.pi * 3 * t)
            part = 0.4 * np.sin(2 * np.pi * hertz * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 1.3 * t))
        elif kind == "s":
            part = rng(1000 + index).standard_normal(n) * 1e-4
        else:
            raise ValueError(f"a plan knows 'v' and 's', not {kind!r}")
        parts.append(part.astype(np.float32))
    return np.concatenate(parts)


def _plans(data: dict[str, Any]) -> list[Quantity]:
    return [_plan(name, case) for name, case in data["cases"].items()]


def _plan(name: str, case: dict[str, Any]) -> Quantity:
    """The largest distance of a border in samples; infinite where the chunks are others."""
    audio = plan_audio(case["plan"], case["sr"])
    if audio.size != case["n"]:
        return Quantity(name, float("inf"), EXACT, f"the plan gives {audio.size} samples, the case says {case['n']}")
    chunks = slice_silence(audio, case["sr"], case.get("threshold", -40), case.get("min_len", 5000), keep_empty=True)
    ours = [(chunk.silent, chunk.start_samples, chunk.end_samples) for chunk in chunks]
    theirs = [(bool(c["slice"]), *map(int, c["split_time"].split(","))) for c in case["chunks"].values()]
    if [chunk[0] for chunk in ours] != [chunk[0] for chunk in theirs]:
        return Quantity(name, float("inf"), EXACT, f"{len(ours)} chunks instead of {len(theirs)}, or of other kinds")
    gaps = [
        abs(a - b) for mine, other in zip(ours, theirs, strict=True) for a, b in zip(mine[1:], other[1:], strict=True)
    ]
    return Quantity(name, float(max(gaps, default=0)), EXACT, "samples")


def _pieces(data: dict[str, Any]) -> list[Quantity]:
    found = []
    for name, case in data["split_list_by_n"].items():
        ours = fixed_pieces(case["L"], case["n"], case["pre"])
        found.append(compare(f"split_list_by_n.{name}", ours, [tuple(piece) for piece in case["pieces"]], EXACT))
    if "pad_array" in data:
        case = data["pad_array"]
        padded = centre_pad(np.ones(case["in_len"], np.float32), case["target"])
        expected = np.pad(np.ones(case["in_len"], np.float32), (case["left"], case["right"]))
        found.append(compare("pad_array", padded, expected, EXACT))
    return found + [unknown(name) for name in sorted(data.keys() - {"split_list_by_n", "pad_array"})]
