"""The tab Runs: all runs of the voice; go on, clone, compare settings, delete; keep a manifest, repeat one."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import StudioError
from core.training.engines import engine_of
from ui.controls import Context, Part, Scene, act_of, esc, html_part, problem_html, section, state_badge, when
from ui.run_view import RESUMABLE, resume_button, setting_name
from ui.texts import Texts
from ui.training.form import engine_name
from ui.training.live import resume
from ui.training.routes import manifest_url
from ui.training.shown import shown_run, voice_runs

if TYPE_CHECKING:
    from core.studio import RunSummary


def build(ctx: Context, shown: gr.State, cloned: gr.State) -> None:
    """Draw the tab and wire it. ``shown``: holds the run to show; ``cloned``: the one whose settings the form has."""
    t, studio = ctx.t, ctx.studio
    table = html_part(elem_id="runs")
    diff = html_part(elem_id="run-diff")
    with gr.Row(elem_classes="ts-tight"):
        manifest = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="run-manifest")
        upload = gr.UploadButton(t("run.recreate"), file_types=[".json"], elem_id="run-recreate", scale=0,
                                 min_width=200)
    other = ctx.watch("diff", gr.State(None))

    def act(now: str | None, to_clone: str | None, compared: str | None, voice: str | None,
            event: gr.EventData) -> tuple[str | None, str | None, str | None]:
        data = act_of(event)
        run = data["run"]
        if data["act"] == "clone":
            return now, run, compared
        if data["act"] == "diff":
            return now, to_clone, run
        if data["act"] == "delete":
            studio.training.delete(run)
            ctx.bump(voice)
            now, to_clone, compared = (None if name == run else name for name in (now, to_clone, compared))
            return now, to_clone, compared
        if data["act"] == "resume":
            resume(ctx, run)
        return run, to_clone, compared

    ctx.on(table.act, act, [shown, cloned, other, ctx.voice], [shown, cloned, other])
    ctx.on(diff.act, lambda: None, [], [other])

    def recreate(now: str | None, voice: str | None, file: str | None) -> str | None:
        if not file:
            return now
        run, _ = studio.training.recreate(Path(file))
        ctx.bump(voice)
        gr.Info(esc(t("run.recreated", run=run)), duration=8)
        return run

    ctx.on(upload.upload, recreate, [shown, ctx.voice, upload], [shown])

    def key(scene: Scene) -> Hashable:
        return (tuple((r.name, r.state, r.step, r.saved_step) for r in voice_runs(ctx, scene)), scene.values["run"],
                scene.values["diff"], scene.revision)

    def render(scene: Scene) -> list[Any]:
        run, runs = shown_run(ctx, scene), voice_runs(ctx, scene)
        sizes = {r.name: studio.training.disk_use(r.name).total for r in runs}
        return [runs_table(t, runs, run.name if run else None, sizes),
                diff_part(ctx, run.name if run else None, scene.values["diff"]), manifest_html(t, run)]

    ctx.parts.append(Part([table, diff, manifest], key, render, page="training"))


def runs_table(t: Texts, runs: "Sequence[RunSummary]", shown: str | None, sizes: dict[str, int]) -> str:
    """All runs, newest first: state, progress, when, bytes on the disk, and what can be done with each."""
    if not runs:
        return f'<p class="ts-empty">{esc(t("training.no_runs"))}</p>'
    head = "".join(f'<th scope="col">{esc(t(f"run.{k}"))}</th>'
                   for k in ("name", "engine", "state", "step", "started", "disk"))
    rows = ""
    for run in runs:
        size = megabytes(sizes.get(run.name, 0))
        acts = [_button(t, "open", run.name, t("run.open"))]
        acts += [resume_button(t, run)] if run.state in RESUMABLE else []
        acts += [_button(t, "clone", run.name, t("run.clone"), t("run.clone_hint"))]
        acts += [_button(t, "diff", run.name, t("run.diff"), t("run.diff_hint"))] if run.name != shown else []
        if run.state not in ("running", "preparing"):
            acts.append(f'<button type="button" class="ts-btn ts-danger" data-act="delete" data-run="{esc(run.name)}" '
                        f'data-confirm="{esc(t("run.delete_sure", run=run.name, size=size))}">'
                        f'{esc(t("run.delete"))}</button>')
        rows += (
            f'<tr aria-selected="{"true" if run.name == shown else "false"}">'
            f'<td class="ts-ell" title="{esc(run.name)}">{esc(run.name)}</td>'
            f'<td class="ts-ell" title="{esc(engine_name(t, engine_of(run)))}">{esc(engine_of(run))} '
            f'<span class="ts-muted">{esc(run.preset)}</span></td><td>{state_badge(t, run.state)}</td>'
            f"<td>{run.step:,} / {run.steps:,}</td><td>{when(t, run.started_at)}</td><td>{size}</td>"
            f'<td class="ts-num">{" ".join(acts)}</td></tr>')
    return (f'<div class="ts-table-box"><table class="ts-table ts-runs"><thead><tr>{head}'
            f'<th scope="col"><span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def manifest_html(t: Texts, run: "RunSummary | None") -> str:
    """A link to the manifest of the run that is shown, and what a manifest is for."""
    if run is None:
        return ""
    link = (f'<a class="ts-link" href="{esc(manifest_url(run.name))}" download>{esc(t("run.manifest", run=run.name))}'
            "</a> " if run.sessions else "")
    return f'<p class="ts-muted">{link}{esc(t("run.manifest_hint"))}</p>'


def _button(t: Texts, act: str, run: str, label: str, hint: str = "") -> str:
    title = f' title="{esc(hint)}"' if hint else ""
    return (f'<button type="button" class="ts-btn" data-act="{act}" data-run="{esc(run)}"{title}>{esc(label)}</button>')


def megabytes(n_bytes: float) -> str:
    """``34 MB`` or ``1.2 GB``, in powers of 1024."""
    size = n_bytes / 1024**2
    return f"{size / 1024:.1f} GB" if size >= 1000 else f"{size:.0f} MB" if size >= 10 else f"{size:.1f} MB"


def diff_part(ctx: Context, shown: str | None, other: str | None) -> str:
    """The settings in which two runs differ; nothing where no second one is chosen."""
    if not shown or not other or shown == other:
        return ""
    try:
        rows = ctx.studio.training.diff(shown, other)
    except StudioError as error:
        return problem_html(ctx.t, error.to_dict())
    return diff_html(ctx.t, shown, other, rows)


def diff_html(t: Texts, one: str, other: str, rows: Sequence[tuple[str, Any, Any]]) -> str:
    """Settings of two runs beside each other, those that differ."""
    head = (f'<div class="ts-table-head">{section(t("run.diff_title"))}<button type="button" class="ts-btn" '
            f'data-act="close">{esc(t("run.diff_close"))}</button></div>')
    if not rows:
        return f'{head}<p class="ts-empty">{esc(t("run.diff_none"))}</p>'
    return (f'{head}<div class="ts-table-box"><table class="ts-table"><thead><tr><th scope="col">'
            f'{esc(t("run.setting"))}</th><th scope="col">{esc(one)}</th><th scope="col">{esc(other)}</th></tr>'
            f"</thead><tbody>{_rows(t, rows)}</tbody></table></div>")


def diff_rows_html(t: Texts, rows: Sequence[tuple[str, Any, Any]]) -> str:
    """Settings before and after as a small table without heads."""
    return f'<table class="ts-table ts-changes"><tbody>{_rows(t, rows)}</tbody></table>'


def _rows(t: Texts, rows: Sequence[tuple[str, Any, Any]]) -> str:
    return "".join(f'<tr><th scope="row">{esc(setting_name(t, name))}</th><td>{esc(value_text(t, a))}</td>'
                   f"<td>{esc(value_text(t, b))}</td></tr>" for name, a, b in rows)


def value_text(t: Texts, value: Any) -> str:
    """A setting's value in words."""
    if isinstance(value, bool):
        return t("run.on") if value else t("run.off")
    if value is None or value == "" or value == []:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
