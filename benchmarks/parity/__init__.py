"""`python -m benchmarks parity DIR [--json]`: our numbers beside those measured on the upstream projects.

Runs every case in DIR and its subfolders (the form is that of `fixtures/sovits` and `fixtures/cosyvoice2`: see each
module). A difference is the largest |ours - theirs|, divided by the largest |theirs| where that is above 1. Exit status
1 if any is above its tolerance or no number, if a case cannot run, if DIR holds a file or a value that nothing here
knows, or if it holds no case; 2 if there is no DIR. Indexes, notes and licences (`INDEX*.json`, `README*`, `*.md`,
`*.txt`, ...) are not cases.

`--json` prints one line, {"about": {...}, "figures": {"folder", "cases", "quantities", "failed", "results"}}; each of
`results` is {"family", "case" (with its subfolder), "passed", "cpu_s", "quantities"}, and each of those {"name",
"difference" (null: none could be made), "tolerance", "passed", "note" (where there is something to say)}.
"""

import argparse
import importlib
import math
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.parity.base import Case, Folder, Quantity

# Modules of this package with `find(folder) -> list[Case]`; each takes the files that it knows, by their contents.
FAMILIES = ("discriminator", "generator", "vocoder", "diffusion", "rmvpe", "signal", "slicing", "cosyvoice2")


def cases_of(path: Path, name: str = "") -> list[Case]:
    """Every case of a folder and of those in it, and one that fails for each file that no family can use."""
    folder = Folder(path)
    found: list[Case] = []
    for family in FAMILIES:
        found += importlib.import_module(f"benchmarks.parity.{family}").find(folder)
    failures = dict.fromkeys(folder.left(), "no family knows this file") | folder.broken
    found += [Case("unknown", left, partial(_failure, failures[left])) for left in sorted(failures)]
    found = [replace(case, name=name + case.name) for case in found]
    for inner in sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "_"))):
        found += cases_of(inner, f"{name}{inner.name}/")
    return found


def _failure(words: str) -> list[Quantity]:
    return [Quantity("case", float("inf"), 0.0, words)]


def run_case(case: Case) -> dict[str, Any]:
    """The figures of one case, as plain data."""
    started = time.process_time()
    try:
        quantities = case.run()
    # Whatever a case breaks is that case's failure, told beside the others.
    except Exception as err:  # noqa: BLE001
        quantities = [Quantity("run", float("inf"), 0.0, f"{type(err).__name__}: {err}")]
    if not quantities:
        quantities = [Quantity("case", float("inf"), 0.0, "nothing in it could be compared")]
    return {
        "family": case.family,
        "case": case.name,
        "passed": all(quantity.passed for quantity in quantities),
        "cpu_s": round(time.process_time() - started, 2),
        "quantities": [
            {
                "name": quantity.name,
                # JSON has no infinity and no NaN: null is a comparison that could not be made.
                "difference": quantity.difference if math.isfinite(quantity.difference) else None,
                "tolerance": quantity.tolerance,
                "passed": quantity.passed,
                **({"note": quantity.note} if quantity.note else {}),
            }
            for quantity in quantities
        ],
    }


def run(arguments: list[str]) -> dict[str, Any]:
    """Run the cases of a folder; `failed` says whether anything did."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m benchmarks parity", description=__doc__, formatter_class=raw)
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder of cases")
    parser.add_argument("--only", metavar="TEXT", default="", help="only cases whose family or name contains TEXT")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        parser.error(f"there is no folder {options.folder}")
    cases = [case for case in cases_of(options.folder) if options.only in f"{case.family} {case.name}"]
    results = [run_case(case) for case in cases]
    return {
        "folder": str(options.folder),
        "cases": len(results),
        "quantities": sum(len(result["quantities"]) for result in results),
        "failed": not results or not all(result["passed"] for result in results),
        "results": results,
    }


def markdown(figures: dict[str, Any]) -> str:
    """The page: one table a case."""
    verdict = "something FAILED" if figures["failed"] else "all passed"
    lines = [f"{figures['cases']} cases, {figures['quantities']} quantities: {verdict}.", ""]
    lines += ["A difference is the largest |ours - theirs|, over the largest |theirs| where that is above 1.", ""]
    for result in figures["results"]:
        head = "passed" if result["passed"] else "FAILED"
        lines += [f"## {result['family']}: {result['case']} ({head}, {result['cpu_s']} s of CPU)", ""]
        lines += ["| quantity | difference | tolerance | |", "| --- | --- | --- | --- |"]
        for q in result["quantities"]:
            note = " ".join(([] if q["passed"] else ["FAILED"]) + ([q["note"]] if "note" in q else []))
            difference = "none" if q["difference"] is None else f"{q['difference']:.2g}"
            lines.append(f"| `{q['name']}` | {difference} | {q['tolerance']:.2g} | {note} |")
        lines.append("")
    return "\n".join(lines)
