"""What the Training page shows of a run: head line, live plots, log tail; and the pre-flight list."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui.controls import bar, esc, eta_text, number, problem_html, state_badge
from ui.plots import Series, lines_svg
from ui.sentences import said
from ui.texts import Texts

if TYPE_CHECKING:
    from core.checks import Check
    from core.jobs.model import Job
    from core.studio import RunSummary

# The scalars worth watching while it trains, and the figures of the probes; a run shows those that it has.
PLOTS: tuple[tuple[str, str], ...] = (
    ("loss/g/mel", "training.plot_mel"),
    ("loss/g/total", "training.plot_total"),
    ("loss/total", "training.plot_loss"),
    ("grad_norm/g", "training.plot_grad"),
    ("grad_norm", "training.plot_grad"),
    ("lr", "training.plot_lr"),
    ("steps_per_s", "training.plot_speed"),
    ("probe/mel_distance", "training.plot_probe"),
    ("gpu_use", "training.plot_gpu_use"),
    ("gpu_memory_mb", "training.plot_gpu_memory"),
    ("loss/d/total", "training.plot_d"),
)
PROBE_PLOTS: tuple[tuple[str, str], ...] = (
    ("probe/mel_distance", "training.plot_probe"),
    ("probe/speaker_similarity", "training.plot_similarity"),
    ("probe/wer", "training.plot_wer"),
    ("probe/cer", "training.plot_cer"),
    ("probe/dnsmos", "training.plot_dnsmos"),
    ("probe/pitch_error_cents", "training.plot_pitch"),
    ("probe/level_db", "training.plot_level"),
)
PLOT_SIZE = (264, 118)  # three beside one another
RESUMABLE = ("stopped", "interrupted", "failed")
Rows = Sequence[Mapping[str, Any]]


def preflight_html(t: Texts, checks: "Sequence[Check]") -> str:
    """One line per check: verdict, what was found, what to do."""
    lines = "".join(
        f'<li>{state_badge(t, c.verdict)}<div><b>{esc(t.of("check", c.name))}</b> {esc(said(t, c.detail))}'
        + (f'<div class="ts-muted">{esc(said(t, c.fix))}</div>' if c.fix else "") + "</div></li>"
        for c in checks)
    return f'<ul class="ts-checks">{lines}</ul>'


def run_head(t: Texts, run: "RunSummary | None", job: "Job | None") -> str:
    """Name, state, step, time left of the run that is shown; why it waits, what it can go on with, one click away."""
    if run is None:
        return (f'<div class="ts-empty ts-empty-box"><p>{esc(t("training.no_run"))}</p>'
                f'<p class="ts-muted">{esc(t("training.no_run_hint"))}</p></div>')
    live = job is not None and job.active
    fraction = run.step / run.steps if run.steps else 0.0
    left = eta_text(t, job.eta_now_s()) if live and job else ""
    step = t("training.step", step=f"{run.step:,}", steps=f"{run.steps:,}")
    now = said(t, job.message) if live and job else ""
    told = [now or step, left, best_text(t, run), stop_text(t, run) if live else ""]
    line = " · ".join(esc(x) for x in told if x)
    notes = "".join(f"<li>{esc(said(t, n))}</li>" for n in run.notes)
    again = resume_button(t, run) if run.state in RESUMABLE and not live else ""
    return (f'<div class="ts-job"><div class="ts-job-line">{state_badge(t, run.state)}'
            f'<b class="ts-ell" title="{esc(run.name)}">{esc(run.name)}</b>'
            f'<span class="ts-grow ts-muted" title="{line}">{line}</span>{again}</div>'
            f'{bar(fraction, run.name)}{f"<ul class=ts-notes>{notes}</ul>" if notes else ""}'
            f"{paused_html(t, run)}{error_html(t, run)}{'' if live else offer_html(t, run)}</div>")


def resume_button(t: Texts, run: "RunSummary") -> str:
    """Go on from the last checkpoint."""
    return (f'<button type="button" class="ts-btn" data-act="resume" data-run="{esc(run.name)}">'
            f'{esc(t("run.resume") if run.sessions or run.step else t("training.start"))}</button>')


def paused_html(t: Texts, run: "RunSummary") -> str:
    """Why a run that goes on computes nothing at the moment."""
    if not run.paused:
        return ""
    return (f'<div class="ts-problem" role="alert"><p><b>{esc(t("training.paused"))}</b> {esc(said(t, run.paused))}</p>'
            f'<p class="ts-muted">{esc(t("training.paused_hint"))}</p></div>')


def error_html(t: Texts, run: "RunSummary") -> str:
    """Why the run failed and what to do."""
    return problem_html(t, run.error and {**run.error, "message": said(t, run.error.get("message", "")),
                                          "hint": said(t, run.error.get("hint", ""))})


def offer_html(t: Texts, run: "RunSummary") -> str:
    """What a run that ran out of memory can go on with."""
    if not run.offer or run.state not in RESUMABLE:
        return ""
    told = ", ".join(f"{setting_name(t, name)} {value}" for name, value in run.offer.items())
    return (f'<div class="ts-note-box ts-banner"><span class="ts-grow">{esc(t("training.offer", settings=told))}</span>'
            f'<button type="button" class="ts-btn ts-first" data-act="offer" data-run="{esc(run.name)}">'
            f'{esc(t("training.offer_take"))}</button></div>')


def setting_name(t: Texts, name: str) -> str:
    """An option of a run in the words of the form; one that has none is said by its name."""
    key = f"training.opt_{name}"
    return t(key) if t.has(key) else said(t, name.replace("_", " "))


def plots_html(t: Texts, runs: Sequence[tuple[str, Rows]], plots: Sequence[tuple[str, str]] = PLOTS,
               most: int = 9) -> str:
    """The course of the figures over the steps: of the first run, with the others drawn over it, each named below."""
    names = {name for row in (runs[0][1] if runs else ()) for name, value in row.items() if value is not None}
    shown = [(name, t(key)) for name, key in plots if name in names]
    if plots is PLOTS and len(shown) < 6:  # room for an engine's own losses, which have no words of their own
        shown += [(name, name) for name in sorted(names) if name.startswith("loss/") and name not in dict(plots)]
    if not shown:
        return f'<p class="ts-empty">{esc(t("training.no_figures"))}</p>'
    width, height = PLOT_SIZE

    def lines(name: str) -> list[Series]:
        return [Series(run if len(runs) > 1 else "", points_of(rows, name), i) for i, (run, rows) in enumerate(runs)]

    figures = "".join(lines_svg(lines(name), title, t("training.axis_step"), width, height)
                      for name, title in shown[:most])
    return f'{legend_html([run for run, _ in runs])}<div class="ts-plots ts-three">{figures}</div>'


def points_of(rows: Rows, name: str) -> list[tuple[float, float]]:
    """(step, value) of one scalar."""
    return [(float(row["step"]), float(row[name])) for row in rows if row.get(name) is not None]


def legend_html(runs: Sequence[str]) -> str:
    """Which line is which run; nothing for one."""
    if len(runs) < 2:
        return ""
    lines = "".join(f'<li><svg viewBox="0 0 22 8" aria-hidden="true"><line class="ts-line-{i}" x1="0" x2="22" y1="4" '
                    f'y2="4"/></svg>{esc(run)}</li>' for i, run in enumerate(runs))
    return f'<ul class="ts-legend">{lines}</ul>'


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


def stop_text(t: Texts, run: "RunSummary") -> str:
    """How long a stop takes: a step and a save; nothing before the first save."""
    if not run.step_s or not run.save_s:
        return ""
    return t("training.stop_takes", n=max(1, math.ceil(run.step_s + run.save_s)))


def best_text(t: Texts, run: "RunSummary") -> str:
    """The best checkpoint so far in words, or nothing."""
    if run.best_step is None:
        return ""
    return t("training.best", step=f"{run.best_step:,}", value=number(run.best_value, 3))
