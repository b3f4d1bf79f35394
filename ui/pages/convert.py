"""Convert: a file in, the same in another voice out; heard before and after, and downloaded."""

import shutil
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput, StudioError
from core.paths import safe_name, unique_path
from ui.controls import (
    Context,
    Part,
    Scene,
    act_of,
    esc,
    heading,
    html_part,
    job_actions,
    job_key,
    job_panel,
    need_voice,
    number,
    section,
)
from ui.players import Source, player_html
from ui.result_view import outputs_table, result_html

if TYPE_CHECKING:
    from core.jobs.model import Job


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.convert"))
        convert = gr.Button(t("convert.start"), variant="primary", elem_id="convert", scale=0, min_width=150)
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            source = _build_source(ctx)
            form = _build_form(ctx, source)
        with gr.Column(scale=1, min_width=400, elem_classes="ts-main"):
            job = html_part(elem_id="convert-job")
            job_actions(ctx, job)
            result = gr.HTML("", apply_default_css=False, elem_id="result", js_on_load=None)
            gr.HTML(section(t("convert.recent")), apply_default_css=False, js_on_load=None)
            table = html_part(elem_id="outputs")
    shown = ctx.watch("output", gr.State(None))

    def start(voice: str | None, file: str | None, auto: bool, *values: Any) -> None:
        if not file:
            raise BadInput(t("convert.no_source"), t("convert.no_source_hint"))
        options = {name: value for name, value in zip(form, values, strict=True) if value not in (None, "")}
        if auto:
            options["transpose"] = "auto"
        ctx.studio.convert({"voice": need_voice(t, voice), "source": file, **options})
        return None

    def open_result(event: gr.EventData) -> int:
        return int(act_of(event)["job"])

    ctx.on(convert.click, start, [ctx.voice, source, form.pop("auto"), *form.values()], [shown])
    ctx.on(table.act, open_result, [], [shown])
    _wire_parts(ctx, (job, convert), result, table, form["model"])


def _build_source(ctx: Context) -> gr.State:
    """Drop zone and recorder; returns the state that holds the path of the source."""
    t, studio = ctx.t, ctx.studio
    gr.HTML(section(t("convert.source")), apply_default_css=False, js_on_load=None)
    drop = gr.File(file_count="single", height=76, elem_id="source", elem_classes="ts-drop", show_label=False,
                   label=t("convert.drop"))
    record = gr.Button(t("dataset.record"), size="sm", elem_id="source-record")
    microphone = gr.Audio(sources=["microphone"], type="filepath", format="wav", visible=False, editable=False,
                          label=t("dataset.microphone"), elem_classes="ts-mic")
    preview = gr.HTML("", apply_default_css=False, elem_id="source-player", js_on_load=None)
    source = gr.State(None)
    shown = gr.State(False)
    record.click(lambda now: (not now, gr.update(visible=not now)), [shown], [shown, microphone], queue=False,
                 show_progress="hidden", api_visibility="private")

    def take(file: str | None) -> tuple[Any, Any, str]:
        """Keep the source beside the outputs, so that before and after can be compared later too."""
        if not file:
            return None, gr.skip(), ""
        folder = studio.settings.outputs / "sources"
        folder.mkdir(parents=True, exist_ok=True)
        kept = unique_path(folder / safe_name(Path(file).name, fallback="source"))
        shutil.move(file, kept)
        try:
            player = player_html(t, [Source(kept.name, kept)], height=40)
        except StudioError:
            kept.unlink(missing_ok=True)
            raise
        title = f'<div class="ts-ell ts-file" title="{esc(kept.name)}">{esc(kept.name)}</div>'
        return None, str(kept), title + player

    for event, component in ((drop.upload, drop), (microphone.stop_recording, microphone)):
        ctx.on(event, take, [component], [component, source, preview], show_progress="minimal",
               failed=(None, gr.skip(), gr.skip()))
    return source


def _build_form(ctx: Context, source: gr.State) -> dict[str, Any]:
    """The settings of a conversion; names are those of ConvertOptions, and ``auto``."""
    t = ctx.t
    gr.HTML(section(t("convert.settings")), apply_default_css=False, js_on_load=None)
    model = gr.Dropdown([(t("convert.newest"), "")], value="", label=t("convert.model"), elem_id="model")
    key = gr.Slider(-24, 24, 0, step=1, label=t("convert.key"), info=t("convert.key_info"), elem_id="key",
                    buttons=["reset"])
    with gr.Row(elem_classes="ts-tight"):
        auto = gr.Checkbox(False, label=t("convert.auto"), elem_id="key-auto", min_width=90, container=False)
        suggest = gr.Button(t("convert.suggest"), size="sm", elem_id="key-suggest", min_width=100)
    told = gr.HTML("", apply_default_css=False, elem_id="key-told", js_on_load=None)

    def ask(voice: str | None, file: str | None, model_name: str) -> tuple[Any, str]:
        if not file:
            raise BadInput(t("convert.no_source"), t("convert.no_source_hint"))
        found = ctx.studio.suggest_key(Path(file), need_voice(t, voice), model_name or None)
        words = t("convert.suggested", source=number(found.source_median_hz, 0),
                  target=number(found.target_median_hz, 0))
        return max(-24, min(24, found.semitones)), f'<p class="ts-muted ts-about" role="status">{esc(words)}</p>'

    ctx.on(suggest.click, ask, [ctx.voice, source, model], [key, told], show_progress="minimal")
    auto.change(lambda on: gr.update(interactive=not on), [auto], [key], queue=False, show_progress="hidden",
                api_visibility="private")
    form: dict[str, Any] = {"auto": auto, "model": model, "transpose": key}
    form["format"] = gr.Radio(["wav", "flac", "mp3"], value="wav", label=t("convert.format"), elem_classes="ts-inline")
    with gr.Accordion(t("convert.options"), open=False, elem_id="convert-options"):
        form["noise_scale"] = gr.Slider(0, 1, 0.4, step=0.05, label=t("convert.noise"), info=t("convert.noise_info"),
                                        buttons=["reset"])
        form["slice_db"] = gr.Slider(-60, -20, -40, step=1, label=t("convert.slice"), info=t("convert.slice_info"),
                                     buttons=["reset"])
        with gr.Row():
            form["pad_s"] = gr.Number(0.5, minimum=0, maximum=2, step=0.1, label=t("convert.pad"),
                                      info=t("convert.pad_info"), min_width=80)
            form["seed"] = gr.Number(52468, precision=0, minimum=0, label=t("convert.seed"),
                                     info=t("convert.seed_info"), min_width=80)
        form["pitch"] = gr.Dropdown(["fcpe", "crepe", "harvest", "dio", "pm"], value="fcpe", label=t("training.pitch"),
                                    info=t("training.pitch_info"))
    return form


def _wire_parts(ctx: Context, top: tuple[gr.HTML, gr.Button], result: gr.HTML, table: gr.HTML,
                model: gr.Dropdown) -> None:
    t, studio = ctx.t, ctx.studio

    def done(scene: Scene) -> "list[Job]":
        return [j for j in scene.jobs if j.kind == "convert" and j.voice == scene.voice and j.result]

    def shown(scene: Scene) -> "Job | None":
        jobs = done(scene)
        return next((j for j in jobs if j.id == scene.values["output"]), jobs[0] if jobs else None)

    def job_render(scene: Scene) -> list[Any]:
        latest = scene.latest("convert", scene.voice) if scene.voice else None
        busy = latest is not None and latest.active
        return [job_panel(t, latest), gr.update(interactive=not busy)]

    def result_key(scene: Scene) -> Hashable:
        job = shown(scene)
        return job and job.id

    def table_render(scene: Scene) -> list[Any]:
        job = shown(scene)
        return [outputs_table(t, done(scene)[:50], job.id if job else None)]

    def models_key(scene: Scene) -> Hashable:
        return tuple((m.name, m.step) for m in studio.voice_models(scene.voice)) if scene.voice else ()

    def models_render(scene: Scene) -> list[Any]:
        models = studio.voice_models(scene.voice) if scene.voice else []
        names = [(t("convert.model_name", name=m.name, step=f"{m.step:,}"), m.name) for m in models]
        first = t("convert.newest") if models else t("convert.no_models")
        return [gr.update(choices=[(first, ""), *names], value="")]

    ctx.parts += [
        Part(list(top), lambda s: job_key(s.latest("convert", s.voice)), job_render, page="convert"),
        Part([result], result_key, lambda s: [result_html(t, studio.settings, shown(s))], page="convert"),
        Part([table], lambda s: (result_key(s), tuple(j.id for j in done(s))), table_render, page="convert"),
        Part([model], models_key, models_render),
    ]
