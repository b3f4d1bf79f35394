"""The tab Live: state of the run, its curves with those of other runs over them, its log."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import NotFound
from ui.controls import Context, Part, Scene, act_of, html_part, job_key, problem_html
from ui.run_view import Rows, plots_html, run_head, tail_html
from ui.training.shown import job_of, job_of_run, over_runs, shown_run, voice_runs

if TYPE_CHECKING:
    from core.studio import RunSummary


def build(ctx: Context, shown: gr.State) -> None:
    """Draw the tab and wire it. ``shown``: holds the name of the run to show."""
    t = ctx.t
    head = html_part(elem_id="run-head")
    # Values of the browser may be those of runs that were just deleted: Gradio must not refuse them, the parts do.
    over = ctx.watch("over", gr.Dropdown([], value=[], multiselect=True, allow_custom_value=True, elem_id="over",
                                         label=t("training.over"), visible=False))
    plots = gr.HTML("", apply_default_css=False, elem_id="run-plots", js_on_load=None)
    log = gr.HTML("", apply_default_css=False, elem_id="run-log", js_on_load=None)

    def act(event: gr.EventData) -> str:
        data = act_of(event)
        resume(ctx, data["run"], with_offer=data["act"] == "offer")
        return data["run"]

    ctx.on(head.act, act, [], [shown])

    def key(scene: Scene) -> Hashable:
        runs = [shown_run(ctx, scene), *over_runs(ctx, scene)]
        return (job_key(job_of(scene)), tuple(r and (r.name, r.state, r.step, r.updated_at, r.paused) for r in runs))

    def render(scene: Scene) -> list[Any]:
        run, job = shown_run(ctx, scene), job_of(scene)
        mine = job_of_run(scene, run)
        failed = problem_html(t, job.error) if job and job.state == "failed" and not mine else ""
        curves = plots_html(t, rows_of(ctx, [run, *over_runs(ctx, scene)])) if run else ""
        return [failed + run_head(t, run, mine), curves, tail_html(t, mine.log) if mine else ""]

    def others(scene: Scene) -> list[str]:
        run = shown_run(ctx, scene)
        return [r.name for r in voice_runs(ctx, scene) if run and r.name != run.name]

    def others_render(scene: Scene) -> list[Any]:
        names = others(scene)
        kept = [name for name in scene.values["over"] or [] if name in names]
        return [gr.update(choices=names, value=kept, visible=bool(names))]

    ctx.parts += [
        Part([over], lambda scene: tuple(others(scene)), others_render, page="training"),
        Part([head, plots, log], key, render, page="training"),
    ]


def resume(ctx: Context, run: str, with_offer: bool = False) -> None:
    """Go on with a run from its last checkpoint, with the settings that it offers if so wished."""
    info = next((r for r in ctx.studio.runs() if r.name == run), None)
    ctx.studio.resume(run, **(info.offer or {} if info and with_offer else {}))


def rows_of(ctx: Context, runs: "list[RunSummary] | list[RunSummary | None]") -> list[tuple[str, Rows]]:
    """Figures of runs by name; one that was deleted meanwhile is left out."""
    found: list[tuple[str, Rows]] = []
    for run in runs:
        if run is not None:
            try:
                found.append((run.name, ctx.studio.metrics(run.name)))
            except NotFound:
                continue
    return found
