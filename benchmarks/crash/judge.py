"""What a trial must show: the same bits at the end, at most one save interval lost, nothing silent."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.crash.stage import RUN, SAVE_EVERY, STEPS, VOICE, Stage, run_of
from core.engines.sovits.export import load_model
from core.errors import StudioError
from core.training import generations


@dataclass
class Before:
    """A run as its process left it."""

    step: int
    """The last step that was logged."""
    newest_whole: int
    """The newest checkpoint that is whole; 0: none."""
    damaged: list[str]
    """Names of newer checkpoints that are not."""
    sessions: int


@dataclass
class Verdict:
    """The judgement of one trial."""

    problems: list[str] = field(default_factory=list)
    lost: int = 0


def look(workspace: Path) -> Before:
    """What is there before a resume."""
    run = run_of(workspace)
    damaged = []
    newest = 0
    for path in reversed(generations.list_generations(run.checkpoints)):
        try:
            generations.load_manifest(path, verify=True)
            newest = generations.step_of(path)
            break
        except StudioError:
            damaged.append(path.name)
    rows = run.metrics()
    return Before(int(rows[-1]["step"]) if rows else 0, newest, damaged, len(run.read().sessions))


def fingerprint(workspace: Path) -> dict[str, str]:
    """Digests of all that the final checkpoint holds, but for the seconds that it took."""
    end = generations.load_generation(run_of(workspace).checkpoints / generations.generation_name(STEPS))
    found = {}
    for stem, tensors in end.tensors.items():
        digest = hashlib.sha256()
        for name in sorted(tensors):
            digest.update(name.encode() + tensors[name].numpy().tobytes())
        found[stem] = digest.hexdigest()
    state = {key: value for key, value in end.state.items() if key != "trained_s"}
    found["state"] = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
    return found


def judge_resume(workspace: Path, before: Before, verdict: Verdict, damaged_by_us: bool = False) -> None:
    """After a resume: it went on from the newest whole checkpoint, and said what it had to."""
    info = run_of(workspace).read()
    if len(info.sessions) <= before.sessions:
        verdict.problems.append("the resume left no trace")
        return
    start = int(info.sessions[before.sessions]["from_step"])
    if start != before.newest_whole:
        verdict.problems.append(f"went on from step {start}, the newest whole checkpoint was {before.newest_whole}")
    verdict.lost = max(verdict.lost, before.step - start)
    allowed = SAVE_EVERY * (2 if damaged_by_us else 1)
    if before.step - start > allowed:
        verdict.problems.append(f"lost {before.step - start} steps of {SAVE_EVERY} between saves")
    told = "\n".join(info.notes)
    verdict.problems += [f"said nothing about the damaged {name}" for name in before.damaged if name not in told]
    if start == 0 and before.sessions and "first step again" not in told:
        verdict.problems.append("began anew in silence")


def judge_end(stage: Stage, workspace: Path, reference: dict[str, str], verdict: Verdict) -> None:
    """At the end: completed, the same bits, a voice that loads, nothing half-made."""
    info = run_of(workspace).read()
    if info.state != "completed":
        verdict.problems.append(f"ended as {info.state}: {info.error}")
        return
    found = fingerprint(workspace)
    verdict.problems += [
        f"{stem} differs from the uninterrupted run" for stem in reference if found[stem] != reference[stem]
    ]
    try:
        load_model(stage.settings(workspace).voices_dir / VOICE / "models" / RUN)
    except StudioError as err:
        verdict.problems.append(f"the voice does not load: {err.message}")


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts over trials by kind."""
    kinds: dict[str, dict[str, Any]] = {}
    for row in rows:
        kind = kinds.setdefault(row["kind"], {"trials": 0, "survived": 0, "most_steps_lost": 0, "resumes": 0})
        kind["trials"] += 1
        kind["survived"] += not row["problems"]
        kind["most_steps_lost"] = max(kind["most_steps_lost"], row["lost"])
        kind["resumes"] += row["resumes"]
    return kinds
