"""Dataset: recordings in, clips out; look at each clip, listen, keep or reject."""

import os
import time
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.clip_view import View, clip_detail, clip_table, filtered, summary_html
from ui.controls import (
    Context,
    Part,
    Scene,
    act_of,
    clock,
    esc,
    guarded,
    heading,
    html_part,
    job_actions,
    job_key,
    job_panel,
    need_voice,
    section,
)
from ui.dataset import cleaning, quality

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.studio import RecordingInfo
    from ui.texts import Texts

# Two events, so that judging a clip and moving to the next never wait for each other.
JOBS = ("prep", "qa", "clean")
CLIPS_JS = "TS.clips(element, trigger, watch); /* 'act', 'pick' */"


def recordings_html(t: "Texts", items: "list[RecordingInfo]") -> str:
    """The recordings of a voice with their lengths; what to do first where there are none."""
    if not items:
        return f'<p class="ts-empty ts-about">{esc(t("dataset.no_recordings"))}</p>'
    rows = "".join(
        f'<li><span class="ts-ell" title="{esc(r.name)}">{esc(r.name)}</span>'
        f'<span class="ts-num{" ts-badword" if r.problem else ""}" title="{esc(r.problem)}">'
        f'{esc(t("dataset.unusable")) if r.problem else clock(r.duration_s)}</span></li>' for r in items)
    return f'<ul class="ts-list">{rows}</ul>'


def report_html(t: "Texts", added: int, skipped: list[tuple[str, str]]) -> str:
    """What an import did: how many files came in, and each one that did not with the reason."""
    lines = "".join(f"<li><b>{esc(name)}</b> {esc(reason)}</li>" for name, reason in skipped[:20])
    more = f"<li>{esc(t('dataset.more_skipped', n=len(skipped) - 20))}</li>" if len(skipped) > 20 else ""
    head = t("dataset.imported", n=added)
    if skipped:
        head += " " + t("dataset.skipped", n=len(skipped))
    kind = "ts-problem" if skipped and not added else "ts-note-box"
    return f'<div class="{kind}" role="status"><p>{esc(head)}</p><ul>{lines}{more}</ul></div>'


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.dataset"))
        prepare = gr.Button(t("dataset.prepare"), variant="primary", elem_id="prepare", scale=0, min_width=150)
    job = html_part(elem_id="prep-job")
    job_actions(ctx, job)
    marked = ctx.watch("clips_marked", gr.State(()))  # (title, ids) of the finding whose clips are shown
    choice = ctx.watch("clips_choice", gr.State("all"))
    page = ctx.watch("clips_page", gr.State(0))
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            recordings, report = _build_import(ctx)
            options = _build_options(ctx)
        with (
            gr.Column(scale=1, min_width=400, elem_classes="ts-main"),
            gr.Tabs(elem_id="dataset-tabs", elem_classes="ts-tabs") as tabs,
        ):
            with gr.Tab(t("dataset.clips"), id="clips"):
                summary = html_part(elem_id="clip-summary")
                table = gr.HTML("", js_on_load=CLIPS_JS, apply_default_css=False, elem_id="clips")
                detail = html_part(elem_id="clip-detail")
            with gr.Tab(t("quality.tab"), id="quality"):
                quality.build(ctx, (tabs, choice, page, marked))
            with gr.Tab(t("cleaning.tab"), id="cleaning"):
                cleaning.build(ctx)

    def start(voice: str | None, *values: Any) -> None:
        ctx.studio.prepare(need_voice(t, voice), options.read(values))

    ctx.on(prepare.click, start, [ctx.voice, *options.inputs])
    _wire_clips(ctx, (summary, table, detail), (choice, page, marked))

    def files_render(scene: Scene) -> list[Any]:
        return [recordings_html(t, ctx.studio.recordings(scene.voice) if scene.voice else [])]

    def active(scene: Scene) -> "list[Job]":
        newest = [scene.latest(kind, scene.voice) for kind in JOBS] if scene.voice else []
        return [one for one in newest if one is not None]

    def job_render(scene: Scene) -> list[Any]:
        busy = any(one.active and one.kind == "prep" for one in active(scene))
        return ["".join(job_panel(t, one) for one in active(scene)), gr.update(interactive=not busy)]

    ctx.parts += [
        Part([report], lambda scene: scene.voice, lambda scene: [""]),
        Part([recordings], lambda s: (s.finished("prep"), s.revision), files_render, page="dataset"),
        Part([job, prepare], lambda s: tuple(job_key(one) for one in active(s)), job_render, page="dataset"),
    ]


def _wire_clips(ctx: Context, parts: tuple[gr.HTML, gr.HTML, gr.HTML], view: tuple[Any, Any, Any]) -> None:
    """The table of clips: which are shown, verdicts one by one and in bulk, undo; one clip in detail."""
    t, studio = ctx.t, ctx.studio
    summary, table, detail = parts
    chosen, turned, marked = view

    def act(voice: str | None, shown: str, ids: tuple[Any, ...], event: gr.EventData) -> tuple[Any, Any]:
        data, name = act_of(event), need_voice(t, voice)
        kind = data.get("act", "judge")
        if kind == "filter":
            return data["choice"], 0
        if kind == "page":
            return gr.skip(), int(data["pageTo"])
        if kind == "undo":
            studio.undo(name)
        elif kind == "redo":
            studio.redo(name)
        elif kind == "all":
            clips = filtered(studio.clips(name), shown, ids[1] if ids else ())
            studio.set_verdict(name, [clip.id for clip in clips], data["verdict"])
        else:
            studio.set_verdict(name, data["ids"].split("\n"), data["verdict"])
        ctx.bump(name)
        return gr.skip(), gr.skip()

    def pick(voice: str | None, event: gr.EventData) -> str:
        name, wanted = need_voice(t, voice), act_of(event)["id"]
        clip = next((c for c in studio.clips(name) if c.id == wanted), None)
        return clip_detail(t, studio, name, clip)

    ctx.on(table.act, act, [ctx.voice, chosen, marked], [chosen, turned], trigger_mode="multiple")
    table.pick(guarded(t, pick), [ctx.voice], [detail], show_progress="hidden", trigger_mode="always_last",
               api_visibility="private")

    def key(scene: Scene) -> Hashable:
        return (*(scene.finished(kind) for kind in ("prep", "slice", "qa")), scene.revision)

    def summary_render(scene: Scene) -> list[Any]:
        return [summary_html(t, studio.clips(scene.voice) if scene.voice else [])]

    def table_render(scene: Scene) -> list[Any]:
        if not scene.voice:
            return [clip_table(t, [], View())]
        undo, redo = studio.dataset.steps(scene.voice)
        title, ids = scene.values["clips_marked"] or ("", ())
        choice, page = scene.values["clips_choice"], scene.values["clips_page"]
        shown = View(choice, page, frozenset(ids), title, len(undo), len(redo))
        return [clip_table(t, studio.clips(scene.voice), shown)]

    def view_key(scene: Scene) -> Hashable:
        return (key(scene), *(scene.values[name] for name in ("clips_choice", "clips_page", "clips_marked")))

    ctx.parts += [
        Part([summary], key, summary_render, page="dataset"),
        Part([table], view_key, table_render, page="dataset"),
        Part([detail], lambda scene: scene.voice, lambda scene: [clip_detail(t, studio, "", None)]),
    ]


def _build_import(ctx: Context) -> tuple[gr.HTML, gr.HTML]:
    """Drop zone, folder button, recorder, list of recordings. Returns the list and the report of the last import."""
    t = ctx.t
    gr.HTML(section(t("dataset.recordings")), apply_default_css=False, js_on_load=None)
    drop = gr.File(label=t("dataset.drop"), file_count="multiple", height=76, elem_id="drop", show_label=False,
                   elem_classes="ts-drop")
    with gr.Row(elem_classes="ts-tight"):
        folder = gr.UploadButton(t("dataset.folder"), file_count="directory", size="sm", elem_id="folder",
                                 min_width=90)
        record = gr.Button(t("dataset.record"), size="sm", elem_id="record", min_width=90)
    microphone = gr.Audio(sources=["microphone"], type="filepath", format="wav", visible=False, editable=False,
                          label=t("dataset.microphone"), elem_id="microphone", elem_classes="ts-mic")
    report = gr.HTML("", apply_default_css=False, elem_id="import-report", js_on_load=None)
    recordings = gr.HTML("", apply_default_css=False, elem_id="recordings", js_on_load=None)

    def take(voice: str | None, files: list[str] | str | None) -> tuple[Any, str]:
        paths = [Path(f) for f in ([files] if isinstance(files, str) else files or [])]
        try:
            if not paths:
                return None, ""
            name = need_voice(t, voice)
            limit = ctx.studio.settings.max_upload_files
            extra = [(p.name, t("dataset.too_many", n=limit)) for p in paths[limit:]]
            done = ctx.studio.add_recordings(name, paths[:limit])
            ctx.bump(name)
            return None, report_html(t, len(done.added), [*done.skipped, *extra])
        finally:
            for path in paths:  # the voice has its own copy now, or nothing could be made of it
                path.unlink(missing_ok=True)

    def take_recorded(voice: str | None, file: str | None) -> tuple[Any, str]:
        if not file:
            return None, ""
        named = Path(file).with_name(time.strftime("recording-%Y%m%d-%H%M%S.wav"))
        os.replace(file, named)
        return take(voice, str(named))

    for event, component, fn in ((drop.upload, drop, take), (folder.upload, folder, take),
                                 (microphone.stop_recording, microphone, take_recorded)):
        ctx.on(event, fn, [ctx.voice, component], [component, report], failed=(None, ""), show_progress="minimal")
    shown = gr.State(False)
    record.click(lambda now: (not now, gr.update(visible=not now)), [shown], [shown, microphone], queue=False,
                 show_progress="hidden", api_visibility="private")
    return recordings, report


class _Options:
    """The folded settings of preparation: their components in order, and the options that their values make."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.inputs: list[Any] = []

    def add(self, name: str, component: Any) -> None:
        self.names.append(name)
        self.inputs.append(component)

    def read(self, values: tuple[Any, ...]) -> dict[str, Any]:
        return {name: value for name, value in zip(self.names, values, strict=True) if value is not None}


def _build_options(ctx: Context) -> _Options:
    t = ctx.t
    options = _Options()
    with gr.Accordion(t("dataset.options"), open=False, elem_id="prep-options"):
        options.add("slicer", gr.Dropdown(
            [(t("dataset.slicer_silence"), "silence"), (t("dataset.slicer_vad"), "vad"),
             (t("dataset.slicer_none"), "none")],
            value="silence", label=t("dataset.slicer"), info=t("dataset.slicer_info")))
        options.add("threshold_db", gr.Slider(-60, -20, -40, step=1, label=t("dataset.threshold"),
                                              info=t("dataset.threshold_info"), buttons=["reset"]))
        with gr.Row():
            options.add("min_clip_s", gr.Number(1.0, minimum=0.3, maximum=10, step=0.1, label=t("dataset.min_clip"),
                                                info=t("dataset.min_clip_info"), min_width=80))
            options.add("max_clip_s", gr.Number(12.0, minimum=2, maximum=30, step=0.5, label=t("dataset.max_clip"),
                                                info=t("dataset.max_clip_info"), min_width=80))
        options.add("loudness", gr.Dropdown(
            [(t("dataset.loudness_clip"), "clip"), (t("dataset.loudness_recording"), "recording"),
             (t("dataset.loudness_none"), "none")],
            value="clip", label=t("dataset.loudness"), info=t("dataset.loudness_info")))
        options.add("target_lufs", gr.Slider(-30, -14, -20, step=0.5, label=t("dataset.lufs"),
                                             info=t("dataset.lufs_info"), buttons=["reset"]))
        options.add("min_snr_db", gr.Slider(0, 40, 12, step=1, label=t("dataset.snr"), info=t("dataset.snr_info"),
                                            buttons=["reset"]))
    return options
