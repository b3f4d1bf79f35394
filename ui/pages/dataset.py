"""Dataset: recordings in, clips out; look at each clip, listen, keep or reject."""

import os
import time
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.clip_view import clip_detail, clip_table, summary_html
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

if TYPE_CHECKING:
    from core.studio import RecordingInfo
    from ui.texts import Texts

# Two events, so that judging a clip and moving to the next never wait for each other.
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
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            recordings, report = _build_import(ctx)
            options = _build_options(ctx)
        with gr.Column(scale=1, min_width=400, elem_classes="ts-main"):
            summary = html_part(elem_id="clip-summary")
            table = gr.HTML("", js_on_load=CLIPS_JS, apply_default_css=False, elem_id="clips")
            detail = html_part(elem_id="clip-detail")

    def start(voice: str | None, *values: Any) -> None:
        ctx.studio.prepare(need_voice(t, voice), options.read(values))

    ctx.on(prepare.click, start, [ctx.voice, *options.inputs])

    def judge(voice: str | None, event: gr.EventData) -> None:
        data = act_of(event)
        name = need_voice(t, voice)
        ctx.studio.set_verdict(name, data["ids"].split("\n"), data["verdict"])
        ctx.bump(name)

    def pick(voice: str | None, event: gr.EventData) -> str:
        name, wanted = need_voice(t, voice), act_of(event)["id"]
        clip = next((c for c in ctx.studio.clips(name) if c.id == wanted), None)
        return clip_detail(t, ctx.studio, name, clip)

    ctx.on(table.act, judge, [ctx.voice], trigger_mode="multiple")
    table.pick(guarded(t, pick), [ctx.voice], [detail], show_progress="hidden", trigger_mode="always_last",
               api_visibility="private")

    def clips_key(scene: Scene) -> Hashable:
        return (scene.finished("prep"), scene.revision)

    def clips_render(scene: Scene) -> list[Any]:
        clips = ctx.studio.clips(scene.voice) if scene.voice else []
        return [summary_html(t, clips), clip_table(t, clips)]

    def files_render(scene: Scene) -> list[Any]:
        return [recordings_html(t, ctx.studio.recordings(scene.voice) if scene.voice else [])]

    def job_render(scene: Scene) -> list[Any]:
        latest = scene.latest("prep", scene.voice) if scene.voice else None
        busy = latest is not None and latest.active
        return [job_panel(t, latest), gr.update(interactive=not busy)]

    ctx.parts += [
        Part([summary, table], clips_key, clips_render, page="dataset"),
        Part([detail, report], lambda scene: scene.voice, lambda scene: [clip_detail(t, ctx.studio, "", None), ""]),
        Part([recordings], clips_key, files_render, page="dataset"),
        Part([job, prepare], lambda scene: job_key(scene.latest("prep", scene.voice)), job_render, page="dataset"),
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
