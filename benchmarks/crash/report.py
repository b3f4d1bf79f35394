"""The page of the crash trials."""

from typing import Any


def markdown(figures: dict[str, Any]) -> str:
    """docs/results/crash.md from the figures of a series."""
    writes = figures["writes_of_a_run"]
    kinds = "".join(
        f"| {name} | {row['trials']} | {row['survived']} | {row['most_steps_lost']} | {row['resumes']} |\n"
        for name, row in figures["kinds"].items()
    )
    by_kind = ", ".join(f"{count} {name}" for name, count in writes.items() if name != "all" and count)
    rows = figures["failures"]
    failures = "".join(f"- {row['kind']}, {row['what']}: {'; '.join(row['problems'])}\n" for row in rows)
    steps, every, seconds = figures["steps"], figures["save_every_steps"], figures["seconds"]
    return f"""**{figures["survived"]} of {figures["trials"]} trials survived.** A trial survives if the run, resumed
until it ends, is *completed*; its final checkpoint (weights, both optimisers, generators, sampler position, best so
far) is bit-equal to that of a run that was left in peace; no resume lost more than one save interval ({every} steps),
or one more where we spoiled the newest checkpoint ourselves; and no restart or fallback was silent. Each trial is the
whole training job of a small `lite` model on a CPU, {steps} steps, features to exported voice.

| how the run was ended | trials | survived | most steps lost | resumes |
|---|---|---|---|---|
{kinds}
An uninterrupted run makes {writes["all"]} calls that change files ({by_kind}); `kill -9 before a write` counts upward
through them until a run survives its kill. "In the middle" leaves half of the bytes of that call written. A full disk
is a limit on the size of a file that is set after the first step and lifted once the run says that it waits.
Most steps lost anywhere: {figures["most_steps_lost"]}. {seconds:.0f} s in all, {figures["seconds_a_run"]} s a run.

{"## What did not survive" if failures else ""}
{failures}"""
