"""Training: choose how, see whether it can work, start, watch, stop, resume."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import StudioError
from core.summaries import run_of
from ui.controls import Context, Part, Scene, act_of, heading, html_part, job_key, need_voice, problem_html, section
from ui.run_view import plots_html, preflight_html, run_head, runs_table, tail_html

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.studio import RunSummary

PRESETS = ("lite", "tiny", "standard")
PITCH = ("fcpe", "crepe", "harvest", "dio", "pm")


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.training"))
        stop = gr.Button(t("training.stop"), variant="secondary", elem_id="train-stop", scale=0, min_width=140,
                         interactive=False)
        start = gr.Button(t("training.start"), variant="primary", elem_id="train-start", scale=0, min_width=150)
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            form = _build_form(ctx)
            gr.HTML(section(t("training.preflight")), apply_default_css=False, js_on_load=None)
            checks = gr.HTML("", apply_default_css=False, elem_id="preflight", js_on_load=None)
        with gr.Column(scale=1, min_width=400, elem_classes="ts-main"):
            shown = ctx.watch("run", gr.State(None))
            with gr.Tabs(elem_id="train-tabs", elem_classes="ts-tabs"):
                with gr.Tab(t("training.live"), id="live"):
                    head = gr.HTML("", apply_default_css=False, elem_id="run-head", js_on_load=None)
                    plots = gr.HTML("", apply_default_css=False, elem_id="run-plots", js_on_load=None)
                    log = gr.HTML("", apply_default_css=False, elem_id="run-log", js_on_load=None)
                with gr.Tab(t("training.tensorboard"), id="tensorboard"):
                    gr.HTML('<div class="ts-board" data-board></div>', apply_default_css=False, elem_id="tensorboard",
                            js_on_load="TS.board(element.querySelector('[data-board]'))")
                with gr.Tab(t("training.runs"), id="runs"):
                    table = html_part(elem_id="runs")
    _wire_actions(ctx, form, start, stop, table, shown)
    _wire_parts(ctx, form, (start, stop), checks, (head, plots, log), table)


def _build_form(ctx: Context) -> dict[str, Any]:
    """The settings of a run; names are those of TrainOptions."""
    t = ctx.t
    gpu = "gpu" if ctx.studio.status().device.kind == "cuda" else "cpu"
    form: dict[str, Any] = {
        "preset": gr.Radio([(t(f"training.preset_{name}"), name) for name in PRESETS],
                           value="standard" if gpu == "gpu" else "lite", label=t("training.preset"),
                           info=t(f"training.preset_info_{gpu}"), elem_id="preset", elem_classes="ts-radio"),
    }
    about = gr.HTML(_about(ctx, gpu, form["preset"].value), apply_default_css=False, js_on_load=None)
    form["preset"].change(lambda name: _about(ctx, gpu, name), [form["preset"]], [about], queue=False,
                          show_progress="hidden", api_visibility="private")
    form["steps"] = gr.Number(6000, precision=0, minimum=1, step=500, label=t("training.steps"),
                              info=t("training.steps_info"), elem_id="steps")
    with gr.Accordion(t("training.expert"), open=False, elem_id="train-expert"):
        with gr.Row():
            form["batch_size"] = gr.Number(0, precision=0, minimum=0, label=t("training.batch"),
                                           info=t("training.batch_info"), min_width=80, elem_id="batch-size")
            form["learning_rate"] = gr.Number(0, minimum=0, maximum=1, label=t("training.lr"),
                                              info=t("training.lr_info"), min_width=80)
        with gr.Row():
            form["save_every_steps"] = gr.Number(500, precision=0, minimum=1, label=t("training.save_every"),
                                                 info=t("training.save_every_info"), min_width=80, elem_id="save-every")
            form["log_every_steps"] = gr.Number(20, precision=0, minimum=1, label=t("training.log_every"),
                                                info=t("training.log_every_info"), min_width=80, elem_id="log-every")
        with gr.Row():
            form["segment_frames"] = gr.Number(0, precision=0, minimum=0, label=t("training.segment"),
                                               info=t("training.segment_info"), min_width=80, elem_id="segment")
            form["seed"] = gr.Number(1234, precision=0, minimum=0, label=t("training.seed"),
                                     info=t("training.seed_info"), min_width=80)
        form["pitch"] = gr.Dropdown(list(PITCH), value="fcpe", label=t("training.pitch"), info=t("training.pitch_info"))
        form["precision"] = gr.Dropdown([(t("training.precision_auto"), "auto"), "fp32", "fp16", "bf16"], value="auto",
                                        label=t("training.precision"), info=t("training.precision_info"))
    return form


def _about(ctx: Context, device: str, preset: str) -> str:
    return f'<p class="ts-muted ts-about">{ctx.t(f"training.about_{preset}_{device}")}</p>'


def _options(voice: str, form: dict[str, Any], values: tuple[Any, ...]) -> dict[str, Any]:
    """Studio's options of the form; an emptied field means its default."""
    chosen = {name: value for name, value in zip(form, values, strict=True) if value is not None}
    return {"voice": voice, **chosen}


def _wire_actions(ctx: Context, form: dict[str, Any], start: gr.Button, stop: gr.Button, table: gr.HTML,
                  shown: gr.State) -> None:
    t = ctx.t

    def begin(voice: str | None, *values: Any) -> None:
        ctx.studio.train(_options(need_voice(t, voice), form, values))
        return None

    def end(voice: str | None) -> None:
        for job in ctx.studio.jobs(limit=50):
            if job.kind == "train" and job.voice == voice and job.active:
                ctx.studio.cancel(job.id)

    def act(event: gr.EventData) -> str | None:
        data = act_of(event)
        if data["act"] == "resume":
            ctx.studio.resume(data["run"])
        return data["run"]

    ctx.on(start.click, begin, [ctx.voice, *form.values()], [shown])
    ctx.on(stop.click, end, [ctx.voice])
    ctx.on(table.act, act, [], [shown])
    for name, component in form.items():
        ctx.watch(f"train.{name}", component)


def _wire_parts(ctx: Context, form: dict[str, Any], buttons: tuple[gr.Button, gr.Button], checks: gr.HTML,
                live: tuple[gr.HTML, gr.HTML, gr.HTML], table: gr.HTML) -> None:
    t, studio = ctx.t, ctx.studio

    def values(scene: Scene) -> tuple[Any, ...]:
        return tuple(scene.values[f"train.{name}"] for name in form)

    def checks_render(scene: Scene) -> list[Any]:
        if not scene.voice:
            return [f'<p class="ts-empty">{t("notice.no_voice_hint")}</p>']
        try:
            return [preflight_html(t, studio.preflight(_options(scene.voice, form, values(scene))))]
        except StudioError as error:
            return [problem_html(t, error.to_dict())]

    def job_of(scene: Scene) -> "Job | None":
        return scene.latest("train", scene.voice) if scene.voice else None

    def shown_run(scene: Scene) -> "RunSummary | None":
        runs = studio.runs(scene.voice) if scene.voice else []
        return next((r for r in runs if r.name == scene.values["run"]), runs[0] if runs else None)

    def live_key(scene: Scene) -> Hashable:
        run = shown_run(scene)
        return (job_key(job_of(scene)), run and (run.name, run.state, run.step, run.updated_at))

    def live_render(scene: Scene) -> list[Any]:
        run, job = shown_run(scene), job_of(scene)
        mine = job if job and run and run_of(job, [run]) is run else None
        failed = problem_html(t, job.error) if job and job.state == "failed" and not mine else ""
        rows = studio.metrics(run.name) if run else []
        figures = plots_html(t, rows) if run else ""
        return [failed + run_head(t, run, mine), figures, tail_html(t, mine.log) if mine else ""]

    def is_busy(scene: Scene) -> bool:
        job = job_of(scene)
        return job is not None and job.active

    def buttons_render(scene: Scene) -> list[Any]:
        busy = is_busy(scene)
        return [gr.update(interactive=not busy), gr.update(interactive=busy)]

    def table_key(scene: Scene) -> Hashable:
        runs = studio.runs(scene.voice) if scene.voice else []
        return (tuple((r.name, r.state, r.step) for r in runs), scene.values["run"])

    def table_render(scene: Scene) -> list[Any]:
        run = shown_run(scene)
        return [runs_table(t, studio.runs(scene.voice) if scene.voice else [], run.name if run else None)]

    ctx.parts += [
        Part([checks], lambda s: (values(s), s.revision, s.finished("prep"), is_busy(s)), checks_render,
             page="training"),
        Part(list(live), live_key, live_render, page="training"),
        Part(list(buttons), is_busy, buttons_render),
        Part([table], table_key, table_render, page="training"),
    ]

