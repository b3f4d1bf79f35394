"""Convert: recordings in, the same in another voice out; pitch and speakers drawn before, results heard after."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput, StudioError
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
from ui.convert import batch, pitch, presets, source, speakers
from ui.convert.form import Form, build_form
from ui.model_choice import follow_models
from ui.result_view import SAID, conversion_of, outputs_table, result_html

if TYPE_CHECKING:
    from core.jobs.model import Job

BEFORE = "async (...values) => TS.beforeConvert(values)"


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.convert"))
        convert = gr.Button(t("convert.start"), variant="primary", elem_id="convert", scale=0, min_width=150)
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            chosen = source.build(ctx)
            form = build_form(ctx)
            presets.build(ctx, form)
        with gr.Column(scale=1, min_width=400, elem_classes="ts-main"):
            job = html_part(elem_id="convert-job")
            job_actions(ctx, job)
            ctx.watch("model", form.fields["model"])
            with gr.Tabs(elem_id="convert-tabs", elem_classes="ts-tabs") as tabs:
                with gr.Tab(t("convert.tab_result"), id="result"):
                    result = gr.HTML("", apply_default_css=False, elem_id="result", js_on_load=None)
                    gr.HTML(section(t("convert.recent")), apply_default_css=False, js_on_load=None)
                    table = html_part(elem_id="outputs")
                with gr.Tab(t("convert.tab_pitch"), id="pitch"):
                    pitch.build(ctx, chosen.paths, form.fields)
                with gr.Tab(t("convert.tab_speakers"), id="speakers"):
                    speakers.build(ctx)
                with gr.Tab(t("convert.tab_batch"), id="batch"):
                    batch.build(ctx)
    shown = ctx.watch("output", gr.State(None))
    mix = gr.Textbox("", visible=False)  # filled by the page's script when a conversion starts

    def start(curves: str, voice: str | None, kind: str, files: list[str] | None, place: str,
              *values: Any) -> tuple[None, Any]:
        said, values = dict(zip(chosen.text, values, strict=False)), values[len(chosen.text):]
        options = {"voice": need_voice(t, voice), **form.read(values)}
        if curves:
            options["speaker_mix"] = json.loads(curves)
        if kind == source.TEXT:
            _say(ctx, said, options)
            return None, gr.update(selected="result")
        if place and place.strip():
            _convert_folder(ctx, options, Path(place.strip()))
            return None, gr.update(selected="batch")
        if not files:
            raise BadInput(t("convert.no_source"), t("convert.no_source_hint"))
        items = [_item(ctx, file, form.drawn(values)) for file in files]
        if len(items) > 1:
            ctx.studio.conversion.batch(options, items)
            return None, gr.update(selected="batch")
        ctx.studio.convert({**options, **items[0]})
        return None, gr.update(selected="result")

    def act(event: gr.EventData) -> list[Any]:
        data = act_of(event)
        keep = [gr.skip()] * (1 + len(chosen.text) + len(form.fields))
        if data.get("act") != "settings":
            return [int(data["job"]), *keep]
        job = ctx.studio.job(int(data["job"]))
        what = chosen.put_text(job.params) if job.kind == SAID else [source.SOUND, *keep[: len(chosen.text)]]
        return [gr.skip(), *what, *form.put(conversion_of(job))]

    inputs = [chosen.kind, chosen.paths, chosen.folder, *chosen.text.values(), *form.inputs]
    ctx.on(convert.click, start, [mix, ctx.voice, *inputs], [shown, tabs], js=BEFORE)
    ctx.on(table.act, act, [], [shown, chosen.kind, *chosen.text.values(), *form.inputs])
    # What an engine says lies where it likes: the key is found by itself, until someone wants another.
    assert form.suggest is not None
    assert form.told is not None
    chosen.kind.change(lambda kind: (kind == source.TEXT, gr.update(visible=kind != source.TEXT), ""), [chosen.kind],
                       [form.fields["auto"], form.suggest, form.told], queue=False, show_progress="hidden",
                       api_visibility="private")
    _wire_key(ctx, form, chosen.paths)
    _wire_parts(ctx, (job, convert), result, table)
    _wire_model(ctx, form)


def _say(ctx: Context, said: dict[str, Any], options: dict[str, Any]) -> None:
    voice = options.pop("voice")
    if not str(said.get("text") or "").strip():
        raise BadInput(ctx.t("convert.no_text"), ctx.t("convert.no_text_hint"))
    if not said.get("speaker"):
        raise BadInput(ctx.t("convert.no_speaker"), ctx.t("convert.about_piper"))
    ctx.studio.texts.start({**said, "voice": voice, "convert": options})


def _item(ctx: Context, file: str, use_drawn: bool) -> dict[str, Any]:
    drawn = ctx.studio.conversion.drawn(Path(file).name) if use_drawn else None
    return {"source": file, **({"f0_file": str(drawn)} if drawn else {})}


def _convert_folder(ctx: Context, options: dict[str, Any], folder: Path) -> None:
    from core.engines.sovits.convert_batch import items_of, sounds_below

    ctx.studio.conversion.batch(options, items_of([path.absolute() for path in sounds_below(folder)], [], []))


def _wire_key(ctx: Context, form: Form, source: gr.State) -> None:
    t = ctx.t

    def ask(voice: str | None, files: list[str] | None, model_name: str) -> tuple[Any, str]:
        if not files:
            raise BadInput(t("convert.no_source"), t("convert.no_source_hint"))
        found = ctx.studio.suggest_key(Path(files[0]), need_voice(t, voice), model_name or None)
        words = t("convert.suggested", source=number(found.source_median_hz, 0),
                  target=number(found.target_median_hz, 0))
        return max(-24, min(24, found.semitones)), f'<p class="ts-muted ts-about" role="status">{esc(words)}</p>'

    assert form.suggest is not None
    ctx.on(form.suggest.click, ask, [ctx.voice, source, form.fields["model"]], [form.fields["transpose"], form.told],
           show_progress="minimal")


def _wire_model(ctx: Context, form: Form) -> None:
    """What follows the chosen model: its name, its speakers, and what it lacks for diffusion or the enhancer."""
    studio = ctx.studio
    for name in ("diffusion", "enhance", "blend", "blend_by"):
        ctx.watch(name, form.fields[name])

    def known(scene: Scene) -> list[str]:
        try:
            found = studio.conversion.speakers(scene.voice or "", scene.values["model"] or None)
        except StudioError:  # no model yet, or a damaged one: converting says which
            return []
        return sorted(found, key=lambda name: found[name])

    def speaker_render(scene: Scene) -> list[Any]:
        names = known(scene)
        return [gr.update(choices=names, value=names[0] if len(names) > 1 else None, visible=len(names) > 1)]

    def asked(scene: Scene) -> dict[str, Any]:
        diffusion = scene.values["diffusion"] or "off"
        wanted: dict[str, Any] = {"diffusion": diffusion, "model": scene.values["model"] or None}
        if scene.values["enhance"] and diffusion == "off":
            wanted["enhance"] = True
        return wanted

    def lacking_render(scene: Scene) -> list[Any]:
        wanted = asked(scene)
        needed = scene.voice and (wanted["diffusion"] != "off" or wanted.get("enhance"))
        said = studio.conversion.missing(scene.voice or "", wanted) if needed else ""
        return [f'<div class="ts-problem">{esc(said)}</div>' if said else ""]

    follow_models(ctx, form.fields["model"])
    ctx.parts += [
        Part([form.fields["speaker"]], lambda s: tuple(known(s)), speaker_render, page="convert"),
        Part([form.lacking], lambda s: tuple(asked(s).items()), lacking_render, page="convert"),
    ]


def _wire_parts(ctx: Context, top: tuple[gr.HTML, gr.Button], result: gr.HTML, table: gr.HTML) -> None:
    t, studio = ctx.t, ctx.studio

    def done(scene: Scene) -> "list[Job]":
        return [j for j in scene.jobs if j.kind in ("convert", SAID) and j.voice == scene.voice and j.result]

    def shown(scene: Scene) -> "Job | None":
        jobs = done(scene)
        return next((j for j in jobs if j.id == scene.values["output"]), jobs[0] if jobs else None)

    def newest(scene: Scene) -> "Job | None":
        found = [scene.latest(kind, scene.voice) for kind in ("convert", SAID, batch.KIND)] if scene.voice else []
        return max((one for one in found if one), key=lambda one: one.id, default=None)

    def job_render(scene: Scene) -> list[Any]:
        latest = newest(scene)
        busy = latest is not None and latest.active
        return [job_panel(t, latest), gr.update(interactive=not busy)]

    def result_key(scene: Scene) -> Hashable:
        job = shown(scene)
        return job and job.id

    def table_render(scene: Scene) -> list[Any]:
        job = shown(scene)
        return [outputs_table(t, done(scene)[:50], job.id if job else None)]

    ctx.parts += [
        Part(list(top), lambda s: job_key(newest(s)), job_render, page="convert"),
        Part([result], result_key, lambda s: [result_html(t, studio.settings, shown(s))], page="convert"),
        Part([table], lambda s: (result_key(s), tuple(j.id for j in done(s))), table_render, page="convert"),
    ]
