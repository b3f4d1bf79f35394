"""Training: choose how, see whether it can work, start, watch, stop, resume."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from core.checks import Check
from core.errors import StudioError
from core.training import engines
from ui.controls import (
    Context,
    Part,
    Scene,
    act_of,
    esc,
    heading,
    html_part,
    job_key,
    job_panel,
    need_voice,
    problem_html,
    section,
)
from ui.run_view import preflight_html
from ui.texts import Texts
from ui.training import blind, checkpoints, live, runs
from ui.training.form import Form
from ui.training.runs import diff_rows_html
from ui.training.shown import job_of, run_elsewhere, voice_runs

if TYPE_CHECKING:
    from core.jobs.model import Job

# How long a run goes on and what it keeps says nothing about what a step takes.
NOT_IN_A_TRIAL = ("steps", "seed", "learning_rate", "measures", "probes", "keep", "keep_every_steps", "keep_light",
                  "save_every_steps", "log_every_steps", "probe_every_steps", "init_from")


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.training"))
        stop = gr.Button(t("training.stop"), variant="secondary", elem_id="train-stop", scale=0, min_width=140,
                         interactive=False)
        start = gr.Button(t("training.start"), variant="primary", elem_id="train-start", scale=0, min_width=150)
    shown, cloned = ctx.watch("run", gr.State(None)), ctx.watch("cloned", gr.State(None))
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            origin = html_part(elem_id="train-clone")
            form = Form(ctx)
            gr.HTML(section(t("training.preflight")), apply_default_css=False, js_on_load=None)
            checks = html_part(elem_id="preflight")
        with (gr.Column(scale=1, min_width=400, elem_classes="ts-main"),
              gr.Tabs(elem_id="train-tabs", elem_classes="ts-tabs")):
            with gr.Tab(t("training.live"), id="live"):
                live.build(ctx, shown)
            with gr.Tab(t("training.tensorboard"), id="tensorboard"):
                gr.HTML('<div class="ts-board" data-board></div>', apply_default_css=False, elem_id="tensorboard",
                        js_on_load="TS.board(element.querySelector('[data-board]'))")
            with gr.Tab(t("training.checkpoints"), id="checkpoints"):
                checkpoints.build(ctx)
            with gr.Tab(t("listening.title"), id="listening"):
                blind.build(ctx)
            with gr.Tab(t("training.runs"), id="runs"):
                runs.build(ctx, shown, cloned)
    _wire_actions(ctx, form, (start, stop), checks, shown, cloned)
    _wire_clone(ctx, form, origin, cloned)
    _wire_parts(ctx, form, (start, stop), checks)


def _options(ctx: Context, voice: str, form: Form, cloned: str | None, values: tuple[Any, ...]) -> dict[str, Any]:
    """Studio's options: the form, over those of the cloned run if there is one."""
    chosen = {**form.options(values, whole=bool(cloned)), "voice": voice}
    return ctx.studio.training.clone(cloned, chosen) if cloned else chosen


def _wire_actions(ctx: Context, form: Form, buttons: tuple[gr.Button, gr.Button], checks: gr.HTML,
                  shown: gr.State, cloned: gr.State) -> None:
    t = ctx.t
    start, stop = buttons

    def begin(voice: str | None, to_clone: str | None, *values: Any) -> tuple[None, None]:
        ctx.studio.train(_options(ctx, need_voice(t, voice), form, to_clone, values))
        return None, None

    def on_check(voice: str | None, now: str | None, to_clone: str | None, event: gr.EventData,
                 *values: Any) -> tuple[Any, Any]:
        data = act_of(event)
        if data["act"] == "overrule":
            ctx.studio.train(_options(ctx, need_voice(t, voice), form, to_clone, values), overrule=True)
            return None, None
        if data["act"] == "cancel":
            ctx.studio.cancel(int(data["job"]))
        elif data["act"] == "retry":
            ctx.studio.retry(int(data["job"]))
        else:
            name = need_voice(t, voice)
            ctx.studio.start_job("trial", name, _options(ctx, name, form, to_clone, values))
        return now, to_clone

    def end(voice: str | None, now: str | None) -> None:
        elsewhere = run_elsewhere(now, ctx.studio.runs(voice), ctx.studio.jobs(limit=50)) if voice else None
        if elsewhere is not None:
            ctx.studio.training.stop(elsewhere.name)
            gr.Info(esc(t("training.stop_asked", run=elsewhere.name)), duration=8)
            return
        for job in ctx.studio.jobs(limit=50):
            if job.kind == "train" and job.voice == voice and job.active:
                ctx.studio.cancel(job.id)

    ctx.on(start.click, begin, [ctx.voice, cloned, *form.components], [shown, cloned])
    ctx.on(checks.act, on_check, [ctx.voice, shown, cloned, *form.components], [shown, cloned])
    ctx.on(stop.click, end, [ctx.voice, shown])


def _wire_clone(ctx: Context, form: Form, origin: gr.HTML, cloned: gr.State) -> None:
    """A clone: the form takes the run's settings, and above it stands what has been changed since."""

    def fill(run: str | None) -> list[Any]:
        if not run:
            return [gr.skip()] * len(outputs)
        options = ctx.studio.training.clone(run)
        return form.filled(str(options["engine"]), options)

    outputs = [*form.components, form.about]
    ctx.on(cloned.change, fill, [cloned], outputs)
    ctx.on(origin.act, lambda: None, [], [cloned])
    ctx.on(form.engine.input, lambda: None, [], [cloned])

    def render(scene: Scene) -> list[Any]:
        run = scene.values["cloned"]
        if not run:
            return [""]
        try:
            before = ctx.studio.training.clone(run)
        except StudioError as error:
            return [problem_html(ctx.t, error.to_dict())]
        now = form.options(form.values(scene), whole=True)
        return [clone_html(ctx.t, run, [(n, before.get(n), v) for n, v in now.items() if v != before.get(n)])]

    ctx.parts.append(Part([origin], lambda s: (s.values["cloned"], form.values(s)), render, page="training"))


def clone_html(t: Texts, run: str, changes: list[tuple[str, Any, Any]]) -> str:
    """Whose settings the form holds and what differs from them, with a way out."""
    told = diff_rows_html(t, changes) if changes else f'<p class="ts-muted">{esc(t("training.clone_same"))}</p>'
    return (f'<div class="ts-note-box"><div class="ts-banner"><b class="ts-grow ts-ell">'
            f'{esc(t("training.clone_of", run=run))}</b><button type="button" class="ts-btn" data-act="drop">'
            f'{esc(t("training.clone_drop"))}</button></div>{told}</div>')


def overrule_html(t: Texts, failed: list[str]) -> str:
    """The way past a failing pre-flight: it says what will fail, and asks once more."""
    if not failed:
        return ""
    sure = t("training.overrule_sure", checks=", ".join(failed))
    return (f'<button type="button" class="ts-btn ts-danger" data-act="overrule" data-confirm="{esc(sure)}">'
            f'{esc(t("training.overrule"))}</button>')


def with_trial(checks: list[Check], options: dict[str, Any], trial: "Job | None") -> list[Check]:
    """The checks, the memory line as it was measured if the last trial was of these options."""
    measured = (trial.result or {}).get("check") if trial else None
    if trial is None or not measured:
        return checks
    same = all(trial.params.get(name) == options.get(name) for name in {*options, *trial.params}
               if name not in NOT_IN_A_TRIAL)
    return [Check(**measured) if same and check.name == measured["name"] else check for check in checks]


def trial_html(t: Texts, trial: "Job | None", may_try: bool) -> str:
    """A way to measure what the settings take, or how far that is."""
    if trial is not None and (trial.active or trial.state == "failed"):
        return job_panel(t, trial)
    return (f'<p class="ts-about"><button type="button" class="ts-btn" data-act="trial" '
            f'title="{esc(t("training.trial_hint"))}">{esc(t("training.trial"))}</button></p>') if may_try else ""


def _wire_parts(ctx: Context, form: Form, buttons: tuple[gr.Button, gr.Button], checks: gr.HTML) -> None:
    t, studio = ctx.t, ctx.studio

    def is_busy(scene: Scene) -> bool:
        job = job_of(scene)
        return job is not None and job.active

    def trial_of(scene: Scene) -> "Job | None":
        return scene.latest("trial", scene.voice) if scene.voice else None

    def checks_render(scene: Scene) -> list[Any]:
        if not scene.voice:
            return [f'<p class="ts-empty">{t("notice.no_voice_hint")}</p>']
        try:
            options = _options(ctx, scene.voice, form, scene.values["cloned"], form.values(scene))
            found = with_trial(studio.preflight(options), options, trial_of(scene))
        except StudioError as error:
            return [problem_html(t, error.to_dict())]
        failed = [] if is_busy(scene) else [t.of("check", c.name) for c in found if c.verdict == "fail"]
        may_try = not is_busy(scene) and bool(engines.find(options["engine"]).trial)
        return [preflight_html(t, found) + trial_html(t, trial_of(scene), may_try) + overrule_html(t, failed)]

    def goes_on(scene: Scene) -> tuple[bool, bool]:
        """Whether a job of this voice trains here, and whether there is anything to stop."""
        elsewhere = run_elsewhere(scene.values["run"], voice_runs(ctx, scene), scene.jobs)
        return is_busy(scene), is_busy(scene) or elsewhere is not None

    def buttons_render(scene: Scene) -> list[Any]:
        busy, stoppable = goes_on(scene)
        return [gr.update(interactive=not busy), gr.update(interactive=stoppable)]

    ctx.parts += [
        Part([checks], lambda s: (form.values(s), s.values["cloned"], s.revision, s.finished("prep"), is_busy(s),
                                  job_key(trial_of(s))),
             checks_render, page="training"),
        Part(list(buttons), goes_on, buttons_render, page="training"),
    ]
