"""Song: a song in, the same song in another voice out; mixed at the desk, heard part by part."""

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput
from ui.controls import (
    Context,
    Part,
    Scene,
    act_of,
    heading,
    html_part,
    job_actions,
    job_key,
    job_panel,
    need_voice,
    section,
)
from ui.model_choice import follow_models
from ui.song.desk import build_desk, mix_of
from ui.song.result import song_html, songs_table
from ui.song.source import WHOLE, build_source

if TYPE_CHECKING:
    from core.jobs.model import Job


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.song"))
        make = gr.Button(t("song.start"), variant="primary", elem_id="make-song", scale=0, min_width=150)
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            kind, paths = build_source(ctx)
            form = _build_form(ctx)
        with gr.Column(scale=1, min_width=400, elem_classes="ts-main"):
            job = html_part(elem_id="song-job")
            job_actions(ctx, job)
            result = gr.HTML("", apply_default_css=False, elem_id="song-result", js_on_load=None)
            desk = build_desk(ctx)
            table = html_part(elem_id="songs")
    shown = ctx.watch("song", gr.State(None))

    def start(voice: str | None, chosen: str, source: str | None, vocals: str | None, rest: str | None,
              *values: Any) -> None:
        stems = {"source": source} if chosen == WHOLE else {"vocals": vocals, "accompaniment": rest}
        if not all(stems.values()):
            raise BadInput(t("song.no_source"), t("song.no_source_hint"))
        model, key, fmt = values[: len(form)]
        convert = {"transpose": "auto" if key == "auto" else float(key), **({"model": model} if model else {})}
        mix = mix_of(desk, values[len(form):])
        ctx.studio.songs.start({"voice": need_voice(t, voice), **stems, "convert": convert, "mix": mix, "format": fmt})
        return None

    def open_song(event: gr.EventData) -> int:
        return int(act_of(event)["job"])

    ctx.on(make.click, start, [ctx.voice, kind, *paths.values(), *form.values(), *desk.values()], [shown])
    ctx.on(table.act, open_song, [], [shown])
    _wire_parts(ctx, (job, make), result, table, form["model"])


def _build_form(ctx: Context) -> dict[str, Any]:
    """What is asked of the conversion; the desk has the rest."""
    t = ctx.t
    gr.HTML(section(t("song.voice")), apply_default_css=False, js_on_load=None)
    octaves = [(t("song.octave_down"), "-12"), (t("song.as_sung"), "0"), (t("song.octave_up"), "12"),
               (t("song.octave_auto"), "auto")]
    return {
        "model": gr.Dropdown([(t("convert.newest"), "")], value="", label=t("convert.model"), elem_id="song-model"),
        "key": gr.Radio(octaves, value="0", label=t("song.octave"), info=t("song.octave_info"), elem_id="song-octave",
                        elem_classes="ts-inline"),
        "format": gr.Radio(["wav", "flac", "mp3"], value="wav", label=t("convert.format"), elem_classes="ts-inline",
                           elem_id="song-format"),
    }


def _wire_parts(ctx: Context, top: tuple[gr.HTML, gr.Button], result: gr.HTML, table: gr.HTML,
                model: gr.Dropdown) -> None:
    t, studio = ctx.t, ctx.studio

    def done(scene: Scene) -> "list[Job]":
        return [j for j in scene.jobs if j.kind == "song" and j.voice == scene.voice and j.result]

    def shown(scene: Scene) -> "Job | None":
        jobs = done(scene)
        return next((j for j in jobs if j.id == scene.values["song"]), jobs[0] if jobs else None)

    def job_render(scene: Scene) -> list[Any]:
        latest = scene.latest("song", scene.voice) if scene.voice else None
        return [job_panel(t, latest), gr.update(interactive=latest is None or not latest.active)]

    def result_key(scene: Scene) -> Hashable:
        job = shown(scene)
        return job and job.id

    def result_render(scene: Scene) -> list[Any]:
        job = shown(scene)
        meters = studio.songs.meters(Path(str(job.result["sidecar"]))) if job and job.result else {}
        return [song_html(t, studio.settings, job, meters)]

    def table_render(scene: Scene) -> list[Any]:
        job = shown(scene)
        return [songs_table(t, done(scene)[:50], job.id if job else None)]

    ctx.parts += [
        Part(list(top), lambda s: job_key(s.latest("song", s.voice)), job_render, page="song"),
        Part([result], result_key, result_render, page="song"),
        Part([table], lambda s: (result_key(s), tuple(j.id for j in done(s))), table_render, page="song"),
    ]
    follow_models(ctx, model)
