"""What the Training page shows of runs: head line, live plots, log tail, list of runs, pre-flight list."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui.controls import bar, esc, eta_text, number, problem_html, state_badge, when
from ui.plots import line_svg
from ui.texts import Texts

if TYPE_CHECKING:
    from core.checks import Check
    from core.jobs.model import Job
    from core.studio import RunSummary

# The scalars worth watching, in order; a run shows the first four that it has.
PLOTS: tuple[tuple[str, str], ...] = (
    ("loss/g/mel", "training.plot_mel"),
    ("probe/mel_distance", "training.plot_probe"),
    ("loss/g/total", "training.plot_total"),
    ("loss/d/total", "training.plot_d"),
    ("steps_per_s", "training.plot_speed"),
    ("lr", "training.plot_lr"),
)
N_PLOTS = 4


def preflight_html(t: Texts, checks: "Sequence[Check]") -> str:
    """One line per check: verdict, what was found, what to do."""
    lines = "".join(
        f'<li>{state_badge(t, c.verdict)}<div><b>{esc(t.of("check", c.name))}</b> {esc(c.detail)}'
        + (f'<div class="ts-muted">{esc(c.fix)}</div>' if c.fix else "") + "</div></li>"
        for c in checks)
    return f'<ul class="ts-checks">{lines}</ul>'


def run_head(t: Texts, run: "RunSummary | None", job: "Job | None") -> str:
    """Name, state, step, time left of the run that is shown."""
    if run is None:
        return (f'<div class="ts-empty ts-empty-box"><p>{esc(t("training.no_run"))}</p>'
                f'<p class="ts-muted">{esc(t("training.no_run_hint"))}</p></div>')
    live = job is not None and job.active
    fraction = run.step / run.steps if run.steps else 0.0
    left = eta_text(t, job.eta_now_s()) if live and job else ""
    step = t("training.step", step=f"{run.step:,}", steps=f"{run.steps:,}")
    told = [(job.message if live and job else "") or step, left, best_text(t, run)]
    line = " · ".join(esc(x) for x in told if x)
    notes = "".join(f"<li>{esc(n)}</li>" for n in run.notes)
    return (f'<div class="ts-job"><div class="ts-job-line">{state_badge(t, run.state)}'
            f'<b class="ts-ell">{esc(run.name)}</b><span class="ts-grow ts-muted">{line}</span></div>'
            f'{bar(fraction, run.name)}{f"<ul class=ts-notes>{notes}</ul>" if notes else ""}'
            f"{problem_html(t, run.error)}</div>")


def plots_html(t: Texts, rows: Sequence[dict[str, Any]]) -> str:
    """The newest figures and their course over the steps."""
    names = {name for row in rows for name, value in row.items() if value is not None}
    shown = [(name, key) for name, key in PLOTS if name in names][:N_PLOTS]
    if not shown:
        return f'<p class="ts-empty">{esc(t("training.no_figures"))}</p>'
    figures = "".join(
        line_svg([(float(r["step"]), float(r[name])) for r in rows if r.get(name) is not None], t(key),
                 t("training.axis_step")) for name, key in shown)
    return f'<div class="ts-plots">{figures}</div>'


def tail_html(t: Texts, path: str | Path | None, n_lines: int = 12) -> str:
    """The last lines of a log file."""
    text = read_tail(Path(path), n_lines) if path else ""
    return (f'<details class="ts-log" open><summary>{esc(t("training.log"))}</summary>'
            f"<pre tabindex=0>{esc(text) or '–'}</pre></details>")


def read_tail(path: Path, n_lines: int, max_bytes: int = 16384) -> str:
    """The last lines of a text file, reading no more than its last ``max_bytes``; empty if there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - max_bytes))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-n_lines:])


def runs_table(t: Texts, runs: "Sequence[RunSummary]", shown: str | None) -> str:
    """All runs, newest first: state, progress, when, and what can be done with each."""
    if not runs:
        return f'<p class="ts-empty">{esc(t("training.no_runs"))}</p>'
    head = "".join(f'<th scope="col">{esc(t(f"run.{k}"))}</th>' for k in ("name", "state", "preset", "step", "started"))
    rows = ""
    for run in runs:
        resume = (f'<button type="button" class="ts-btn" data-act="resume" data-run="{esc(run.name)}">'
                  f'{esc(t("run.resume"))}</button>' if run.state in ("stopped", "interrupted", "failed") else "")
        rows += (
            f'<tr aria-selected="{"true" if run.name == shown else "false"}">'
            f'<td class="ts-ell" title="{esc(run.name)}">{esc(run.name)}</td>'
            f"<td>{state_badge(t, run.state)}</td><td>{esc(run.preset)}</td>"
            f"<td>{run.step:,} / {run.steps:,}</td><td>{when(t, run.started_at)}</td>"
            f'<td class="ts-num"><button type="button" class="ts-btn" data-act="open" data-run="{esc(run.name)}">'
            f'{esc(t("run.open"))}</button> {resume}</td></tr>')
    return (f'<div class="ts-table-box"><table class="ts-table ts-runs"><thead><tr>{head}'
            f'<th scope="col"><span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def best_text(t: Texts, run: "RunSummary") -> str:
    """The best checkpoint so far in words, or nothing."""
    if run.best_step is None:
        return ""
    return t("training.best", step=f"{run.best_step:,}", value=number(run.best_value, 3))
