"""The tab Checkpoints: figures of the probes over the steps, what to try first and why; each to be heard, named, kept,
and exported."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.training import choosing, exporting
from ui.controls import (
    Context,
    Part,
    Scene,
    act_of,
    badge,
    esc,
    html_part,
    job_actions,
    job_key,
    job_panel,
    need_voice,
    number,
)
from ui.run_view import PROBE_PLOTS, plots_html
from ui.sentences import said
from ui.texts import Texts
from ui.training.live import rows_of
from ui.training.routes import RECORDING, exported_url, probe_url
from ui.training.runs import megabytes
from ui.training.shown import over_runs, shown_run

if TYPE_CHECKING:
    from pathlib import Path

    from core.jobs.model import Job
    from core.training.checkpoints import Checkpoint, DiskUse
    from core.training.choosing import Suggestion

# (figure, its head, decimals): the columns of the table, as far as the run has them.
FIGURES = (("mel_distance", "training.figure_mel", 3), ("speaker_similarity", "training.figure_similarity", 3),
           ("wer", "training.figure_wer", 2), ("cer", "training.figure_cer", 2),
           ("dnsmos", "training.figure_dnsmos", 2),
           ("pitch_error_cents", "training.figure_pitch", 1), ("level_db", "training.figure_level", 1))  # fmt: skip


def build(ctx: Context) -> None:
    """Draw the tab and wire it."""
    t, desk = ctx.t, ctx.studio.training
    told = html_part(elem_id="suggestion")
    export = html_part(elem_id="export-job")
    job_actions(ctx, export)
    table = html_part(elem_id="checkpoints")
    plots = html_part(elem_id="probe-plots")

    def act(voice: str | None, event: gr.EventData) -> None:
        data = act_of(event)
        run, step = data["run"], int(data["step"])
        if data["act"] == "export":
            ctx.studio.start_job("export", need_voice(t, voice), {"run": run, "step": step})
        else:
            desk.star(run, step, data["act"] != "unstar", data.get("value", ""))
        ctx.bump(voice)

    ctx.on(table.act, act, [ctx.voice])

    def key(scene: Scene) -> Hashable:
        run = shown_run(ctx, scene)
        others = tuple((r.name, r.saved_step) for r in over_runs(ctx, scene))
        return (run and (run.name, run.state, run.saved_step, run.best_step), others, scene.revision,
                scene.finished("export"))

    def render(scene: Scene) -> list[Any]:
        run = shown_run(ctx, scene)
        if run is None:
            return [f'<p class="ts-empty">{esc(t("training.no_runs"))}</p>', "", ""]
        curves = rows_of(ctx, [run, *over_runs(ctx, scene)])
        suggestion, found = desk.suggest_best(run.name), desk.checkpoints(run.name)
        figures = choosing.probe_rows(curves[0][1]) if curves else {}
        return [suggestion_html(t, suggestion),
                checkpoints_html(t, run.name, found, figures, desk.disk_use(run.name), suggestion,
                                 desk.exported(run.name), exporting.can_export(run)),
                plots_html(t, curves, PROBE_PLOTS) if figures else ""]

    def job_of_export(scene: Scene) -> "Job | None":
        return scene.latest("export", scene.voice) if scene.voice else None

    ctx.parts += [
        Part([told, table, plots], key, render, page="training"),
        Part([export], lambda scene: job_key(job_of_export(scene)),
             lambda scene: [job_panel(t, job_of_export(scene))], page="training"),
    ]


def suggestion_html(t: Texts, suggestion: "Suggestion | None") -> str:
    """Which checkpoint to try first, why, and how sure that is."""
    if suggestion is None:
        return f'<p class="ts-empty">{esc(t("training.no_suggestion"))}</p>'
    sure = t("training.suggest_sure") if suggestion.sure else t("training.suggest_unsure")
    reasons = "".join(f"<li>{esc(said(t, reason))}</li>" for reason in suggestion.reasons)
    return (f'<div class="ts-note-box"><p><b>{esc(t("training.suggest", step=f"{suggestion.step:,}"))}</b> '
            f"{esc(sure)}</p><ul>{reasons}</ul></div>")


def checkpoints_html(t: Texts, run: str, found: "Sequence[Checkpoint]", figures: Mapping[int, Mapping[str, float]],
                     use: "DiskUse", suggestion: "Suggestion | None", exported: "Sequence[Path]" = (),
                     can_export: bool = False) -> str:
    """Disk use in all, one player, and a row a checkpoint, newest first; above them the recordings to compare with;
    below them what was exported."""
    if not found:
        return f'<p class="ts-empty">{esc(t("training.no_checkpoints"))}</p>'
    columns = [one for one in FIGURES if any(one[0] in row for row in figures.values())]
    names = sorted({path.name for one in found for path in one.probes})
    heads = [("training.checkpoint", ""), ("training.kind", ""), ("training.size", " class=ts-num"),
             *((key, " class=ts-num") for _, key, _ in columns), ("training.listen", "")]
    head = "".join(f'<th scope="col"{kind}>{esc(t(key))}</th>' for key, kind in heads)
    rows = ""
    if names:
        what = t("training.recordings")
        rows += (f'<tr><td colspan="{3 + len(columns)}" class="ts-muted">{esc(what)}</td>'
                 f"<td>{_hear(t, run, RECORDING, names, what)}</td><td></td></tr>")
    for one in found:
        values = figures.get(one.step, {})
        cells = "".join(f'<td class="ts-num">{number(values.get(name), digits)}</td>' for name, _, digits in columns)
        rows += (f'<tr data-step="{one.step}"><td>{one.step:,} {_badges(t, one, suggestion)}'
                 f"{f' <i>{esc(one.label)}</i>' if one.label else ''}</td>"
                 f"<td>{esc(_kind(t, one))}</td>"
                 f'<td class="ts-num">{megabytes(one.n_bytes)}</td>{cells}'
                 f"<td>{_hear(t, run, one.step, [path.name for path in one.probes], f'{one.step:,}')}</td>"
                 f'<td class="ts-num">{_export(t, run, one) if can_export else ""} {_star(t, run, one)}</td></tr>')
    return (f'<div class="ts-table-head"><span class="ts-grow ts-muted">{esc(use_text(t, use))}</span>'
            f'<audio class="ts-hear" controls preload="none" aria-label="{esc(t("training.listen"))}"></audio></div>'
            f'<div class="ts-table-box"><table class="ts-table ts-steps"><thead><tr>{head}'
            f'<th scope="col"><span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>{exported_html(t, run, exported)}")


def exported_html(t: Texts, run: str, files: "Sequence[Path]") -> str:
    """Links to what was exported; nothing where nothing was."""
    links = " ".join(f'<a class="ts-link" href="{esc(exported_url(run, path.name))}" download>{esc(path.name)}</a>'
                     for path in files)
    return f'<p class="ts-muted">{esc(t("training.exported"))} {links}</p>' if links else ""


def use_text(t: Texts, use: "DiskUse") -> str:
    """What the run takes on the disk, in all and by what it is for."""
    text = t("training.disk_use", total=megabytes(use.total), n_full=use.n_full, full=megabytes(use.full),
             n_light=use.n_light, light=megabytes(use.light), probes=megabytes(use.probes))
    return text + (" " + t("training.disk_damaged", size=megabytes(use.damaged)) if use.damaged else "")


def _badges(t: Texts, one: "Checkpoint", suggestion: "Suggestion | None") -> str:
    found = badge(t("training.is_suggested"), "run") if suggestion and suggestion.step == one.step else ""
    return found + (" " + badge(t("training.is_best"), "ok") if one.best else "")


def _kind(t: Texts, one: "Checkpoint") -> str:
    kinds = [t("training.full")] if one.full else []
    return " + ".join(kinds + ([t("training.light")] if one.light else []))


def _hear(t: Texts, run: str, of: str | int, names: Sequence[str], what: str) -> str:
    return " ".join(
        f'<button type="button" class="ts-btn" data-hear="{esc(probe_url(run, of, name))}" '
        f'aria-label="{esc(t("training.listen_to", n=i + 1, what=what))}">▶ {i + 1}</button>'
        for i, name in enumerate(names))


def _export(t: Texts, run: str, one: "Checkpoint") -> str:
    if one.full is None:
        return ""
    return (f'<button type="button" class="ts-btn" data-act="export" data-run="{esc(run)}" data-step="{one.step}" '
            f'title="{esc(t("training.export_hint"))}">{esc(t("training.export"))}</button>')


def _star(t: Texts, run: str, one: "Checkpoint") -> str:
    where = f'data-run="{esc(run)}" data-step="{one.step}"'
    if not one.starred:
        return (f'<button type="button" class="ts-btn" data-act="star" {where} aria-pressed="false" '
                f'aria-label="{esc(t("training.star"))}" title="{esc(t("training.star_hint"))}">☆</button>')
    named = (f'<button type="button" class="ts-btn" data-act="label" {where} data-voice="{esc(one.label)}" '
             f'data-prompt="{esc(t("training.label_ask"))}" title="{esc(t("training.label_hint"))}">'
             f'{esc(t("training.label"))}</button>')
    return (f'{named} <button type="button" class="ts-btn" data-act="unstar" {where} aria-pressed="true" '
            f'aria-label="{esc(t("training.starred"))}" title="{esc(t("training.star_hint"))}">★</button>')
