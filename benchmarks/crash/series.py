"""All trials, one after another, in a process that has torch imported and the shim loaded."""

import contextlib
import importlib
import json
import math
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.crash.child import Child, Ended
from benchmarks.crash.judge import Before, Verdict, fingerprint, judge_end, judge_resume, look, summary
from benchmarks.crash.stage import SAVE_EVERY, STEPS, Stage, run_of
from core.training import generations, saving

TRIES = 4
"""A run that is not completed after so many resumes has not survived."""
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Trial:
    """One way to end a run. `hurt` returns how the process ended."""

    kind: str
    what: str
    hurt: Callable[[Path], Ended | None]
    damages: bool = False
    """It spoils files, so that one more save interval may be lost."""


class Series:
    """Makes trials and judges them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.stage = Stage(folder)
        self.random = random.Random(seed)
        self.rows: list[dict[str, Any]] = []
        self._children = 0
        whole = self.stage.fresh()
        first = self._child(whole).wait()  # makes the features, so that trials find them
        for name in first.answer.get("modules", []):  # what is imported here need not be in each trial
            with contextlib.suppress(ImportError, AttributeError, RuntimeError):
                importlib.import_module(name)
        self.stage.keep_features(whole)
        again = self.stage.fresh()
        quiet = self._child(again).wait()
        if quiet.code != 0:
            raise SystemExit(f"the uninterrupted run failed: {quiet.answer} {quiet.log[-2000:]}")
        self.reference = fingerprint(again)
        self.writes: dict[str, int] = quiet.answer["writes"]
        self.seconds = quiet.seconds
        if fingerprint(whole) != self.reference:
            raise SystemExit("two uninterrupted runs differ: nothing can be compared here")
        shutil.rmtree(whole)
        shutil.rmtree(again)

    def trial(self, trial: Trial) -> None:
        """Make one, and note how it went."""
        workspace = self.stage.fresh()
        verdict = Verdict()
        resumes = 0
        ended = trial.hurt(workspace)
        if ended is not None:
            self._check_answer(ended, verdict)
        while resumes < TRIES and run_of(workspace).read().state != "completed":
            before = look(workspace)
            done = self._child(workspace).wait()
            resumes += 1
            self._check_answer(done, verdict)
            judge_resume(workspace, before, verdict, trial.damages)
        judge_end(self.stage, workspace, self.reference, verdict)
        row = {"kind": trial.kind, "what": trial.what, "problems": verdict.problems, "lost": verdict.lost}
        self.rows.append({**row, "resumes": resumes})
        if verdict.problems:
            sys.stderr.write(f"{trial.kind} {trial.what}: {verdict.problems}\n")
        shutil.rmtree(workspace)

    def _check_answer(self, ended: Ended, verdict: Verdict) -> None:
        if ended.signal == 0 and ended.code != 0:
            said = ended.answer.get("error") or ended.answer.get("bug", "nothing")
            verdict.problems.append(f"ended with code {ended.code}: {said}")

    def _child(self, workspace: Path, **more: Any) -> Child:
        self._children += 1
        out = self.stage.folder / f"out-{self._children:05d}.json"
        return Child(self.stage.settings(workspace), out, **more)

    # ---- ways to end a run

    def at_write(self, number: int, torn: bool) -> Trial:
        """kill -9 at the n-th call that changes a file."""
        kind = "kill -9 in the middle of a write" if torn else "kill -9 before a write"
        return Trial(kind, f"call {number}", lambda w: self._child(w, kill_at=number, torn=torn).wait())

    def at_two_writes(self) -> Trial:
        """kill -9 at a write, and again at a write of the resumed run."""
        first, second = (self.random.randint(1, self.writes["all"]) for _ in range(2))

        def hurt(workspace: Path) -> Ended:
            self._child(workspace, kill_at=first).wait()
            return self._child(workspace, kill_at=second, torn=True).wait()

        return Trial("kill -9 twice", f"calls {first} and {second}", hurt)

    def at_moment(self, number: int, kind: str) -> Trial:
        """A signal at a random moment."""
        delay = self.random.uniform(0.0, 1.05 * self.seconds)

        def hurt(workspace: Path) -> Ended:
            child = self._child(workspace)
            deadline = time.monotonic() + delay
            while time.monotonic() < deadline and not child.ended():
                time.sleep(0.002)
            child.kill(number)
            return child.wait()

        return Trial(kind, f"after {delay:.2f} s", hurt)

    def stopped_well(self) -> Trial:
        """SIGTERM: the step is finished and saved, exit code 0, nothing lost."""
        inner = self.at_moment(signal.SIGTERM, "")

        def hurt(workspace: Path) -> Ended:
            ended = inner.hurt(workspace)
            assert ended is not None
            before: Before = look(workspace)
            # Before the handler was set, or while features are looked at, there is nothing to save.
            if ended.signal == 0 and ended.code == 0 and before.newest_whole != before.step:
                raise AssertionError(f"stopped at step {before.step}, saved {before.newest_whole}")
            return ended if ended.code != 3 else Ended(0, 0, {}, ended.log, ended.seconds)

        return Trial("SIGTERM at a random moment", inner.what, hurt)

    def spoiled(self, name: str, how: str) -> Trial:
        """The newest generation of a stopped run, one file cut short or with one bit flipped."""

        def hurt(workspace: Path) -> None:
            # Ends between the second save and the third, so that two generations are there.
            child = self._child(workspace)
            run = run_of(workspace)
            wanted = run.checkpoints / generations.generation_name(STEPS - SAVE_EVERY)
            while not wanted.exists() and not child.ended():
                time.sleep(0.001)
            child.kill()
            child.wait()
            file = generations.list_generations(run.checkpoints)[-1] / name
            data = bytearray(file.read_bytes())
            place = self.random.randrange(len(data))
            if how == "cut short":
                del data[place:]
            else:
                data[place] ^= 1 << self.random.randrange(8)
            file.write_bytes(bytes(data))

        kind = "a file cut short" if how == "cut short" else "a flipped bit"
        return Trial(kind, f"{name}", hurt, damages=True)

    def full_disk(self, limit: int, kill: bool) -> Trial:
        """No file may be larger than so much: the run waits; then there is room again, or it is killed."""

        def hurt(workspace: Path) -> Ended:
            child = self._child(workspace, limit=limit)
            deadline = time.monotonic() + PATIENCE_S
            while not child.ended() and time.monotonic() < deadline and "paused:" not in child.said:
                time.sleep(0.01)
            time.sleep(0.05)
            if kill:
                child.kill()
            else:
                child.lift_limit()
            return child.wait()

        kind = "a full disk, then kill -9" if kill else "a full disk, then room again"
        return Trial(kind, f"{limit} bytes a file", hurt)


STRIDE_SHARE = 2 / 3
"""So much of all trials goes to the calls one by one."""


def plan(series: Series, trials: int, only: str = "all") -> Iterator[Trial]:
    """The trials, one at a write and one of the others in turn, so that a series cut short has something of each.

    Every write in both ways, or every so many of them if there are more than two thirds of all trials.
    """
    writes = series.writes["all"]
    share = {"all": STRIDE_SHARE, "writes": 1.0}.get(only, 0.0)
    stride = max(1, math.ceil(2 * writes / max(1.0, share * trials)))
    at_writes = [(n, torn) for torn in (False, True) for n in range(1, writes + 1 + stride, stride)]
    if only == "others":
        at_writes = []
    rest = max(1, trials - len(at_writes)) if only != "writes" else 0
    files = ["manifest.json", "state.json", "rng.safetensors"]
    files += [f"{stem}.safetensors" for stem in ("generator", "discriminator", "optimisers")]
    others: list[Callable[[int], Trial]] = [
        lambda i: series.at_moment(signal.SIGKILL, "kill -9 at a random moment"),
        lambda i: series.stopped_well(),
        lambda i: series.spoiled(files[i % len(files)], "cut short"),
        lambda i: series.spoiled(files[i % len(files)], "flipped"),
        lambda i: series.at_two_writes(),
        lambda i: series.at_moment(signal.SIGKILL, "kill -9 at a random moment"),
        lambda i: series.full_disk(series.random.choice((0, 300, 3000, 30_000, 100_000, 300_000)), kill=i % 3 == 2),
    ]
    for index in range(max(len(at_writes), rest)):
        if index < len(at_writes):
            yield series.at_write(*at_writes[index])
        if index < rest:
            yield others[index % len(others)](index // len(others))


def main(arguments: list[str]) -> int:
    """Make the series; prints one JSON line."""
    given = json.loads(arguments[0])
    torch.set_num_threads(1)
    saving.RETRY_S = 0.05
    began = time.monotonic()
    series = Series(Path(given["folder"]), given["seed"])
    for number, trial in enumerate(plan(series, given["trials"], given["only"]), 1):
        if time.monotonic() - began > given["seconds"]:
            break
        series.trial(trial)
        if number % 25 == 0:
            bad = sum(bool(row["problems"]) for row in series.rows)
            sys.stderr.write(f"{number} trials, {bad} bad, {time.monotonic() - began:.0f} s\n")
    rows = series.rows
    failures = [row for row in rows if row["problems"]]
    figures = {
        "trials": len(rows),
        "survived": len(rows) - len(failures),
        "most_steps_lost": max(row["lost"] for row in rows),
        "save_every_steps": SAVE_EVERY,
        "steps": STEPS,
        "writes_of_a_run": series.writes,
        "kinds": summary(rows),
        "failures": failures[:20],
        "seconds": round(time.monotonic() - began, 1),
        "seconds_a_run": round(series.seconds, 2),
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
