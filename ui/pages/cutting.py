"""Cutting: a recording and its subtitles in; transcribed, cleaned, corrected cue by cue; clips with text out."""

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput, StudioError
from ui.controls import (
    Context,
    Part,
    Scene,
    esc,
    heading,
    html_part,
    job_actions,
    job_key,
    job_panel,
    need_voice,
    problem_html,
)
from ui.cue_view import desk_html, feed_html, findings_html
from ui.cutting import clean, transcribe
from ui.cutting import cut as cut_tab
from ui.cutting.place import place, recordings

if TYPE_CHECKING:
    from core.cutting.sheet import Sheet

JOBS = ("slice", "transcribe", "clean-subs")
SAVED = "async (...values) => TS.afterSaving(values)"


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.cutting"))
        with gr.Column(scale=1, min_width=240, elem_classes="ts-drop-flat"):
            drop = gr.File(label=t("cut.drop"), file_count="multiple", height=34, elem_id="cut-drop", show_label=False,
                           elem_classes="ts-drop")
            gr.HTML(esc(t("cut.drop")), apply_default_css=False, js_on_load=None, elem_classes="ts-drop-label")
        recording = gr.Dropdown([], value=None, show_label=False, label=t("cut.recording"), elem_id="recording",
                                allow_custom_value=True, scale=0, min_width=260, container=False)
        cut = gr.Button(t("cut.start"), variant="primary", elem_id="cut-start", scale=0, min_width=110)
    jobs = html_part(elem_id="cut-job")
    job_actions(ctx, jobs)
    report = gr.HTML("", apply_default_css=False, elem_id="cut-report", js_on_load=None)
    ctx.watch("recording", recording)
    with gr.Tabs(elem_id="cut-tabs", elem_classes="ts-tabs") as tabs:
        with gr.Tab(t("cut.cues"), id="cues"):
            feed = gr.HTML(feed_html(None, None, 0), apply_default_css=False, elem_id="cue-feed",
                           js_on_load="TS.deskFeed(element, watch)")
            findings = gr.HTML("", apply_default_css=False, elem_id="cue-findings", js_on_load=None)
            gr.HTML(desk_html(t), apply_default_css=False, elem_id="cue-desk", js_on_load="TS.openDesk(element)")
        with gr.Tab(t("transcribe.tab"), id="transcribe"):
            transcribe.build(ctx, recording, SAVED)
        with gr.Tab(t("clean.tab"), id="clean"):
            clean.build(ctx, recording, SAVED)
        with gr.Tab(t("cut.clips_tab"), id="clips"):
            form = cut_tab.build_form(ctx)
            cut_tab.build_report(ctx)

    def start(voice: str | None, name: str | None, *values: Any) -> Any:
        if not name:
            raise BadInput(t("cut.no_recording"), t("cut.no_recording_hint"))
        ctx.studio.cutting.cut(need_voice(t, voice), name, form.read(values))
        return gr.update(selected="clips")

    ctx.on(cut.click, start, [ctx.voice, recording, *form.inputs], [tabs], js=SAVED)
    _wire_import(ctx, drop, recording, report)
    _wire_parts(ctx, recording, (jobs, cut), (feed, findings))


def _wire_import(ctx: Context, drop: gr.File, recording: gr.Dropdown, report: gr.HTML) -> None:
    """Recordings go into the voice, subtitles to the chosen recording; both may be dropped together."""
    from ui.pages.dataset import report_html

    t = ctx.t

    def take(voice: str | None, current: str | None, files: list[str] | None) -> tuple[Any, Any, str]:
        from core.cutting.desk import SUBTITLES

        paths = [Path(file) for file in files or []]
        try:
            if not paths:
                return None, gr.skip(), ""
            name = need_voice(t, voice)
            texts = [path for path in paths if path.suffix.lower() in SUBTITLES]
            sounds = [path for path in paths if path not in texts]
            told, place = "", current
            if sounds:
                before = set(ctx.studio.cutting.recordings(name))
                done = ctx.studio.add_recordings(name, sounds)
                told = report_html(t, len(done.added), done.skipped) if done.skipped else ""
                new = sorted(set(ctx.studio.cutting.recordings(name)) - before)
                place = new[0] if new else current
            if texts and not place:
                raise BadInput(t("cut.no_recording"), t("cut.no_recording_hint"))
            for path in texts[:1]:
                ctx.studio.cutting.import_subtitles(name, str(place), path)
            ctx.bump(name)
            known = ctx.studio.cutting.recordings(name)
            return None, gr.update(choices=known, value=place), told
        finally:
            for path in paths:  # the voice has what it needs, or nothing could be made of it
                path.unlink(missing_ok=True)

    ctx.on(drop.upload, take, [ctx.voice, recording, drop], [drop, recording, report], failed=(None, gr.skip(), ""),
           show_progress="minimal", js=SAVED)


def _wire_parts(
    ctx: Context, recording: gr.Dropdown, top: tuple[gr.HTML, gr.Button], cues: tuple[gr.HTML, gr.HTML]
) -> None:
    t, studio = ctx.t, ctx.studio

    def names_key(scene: Scene) -> Hashable:
        return (tuple(recordings(studio, scene)), place(studio, scene) is not None)

    def names_render(scene: Scene) -> list[Any]:
        known, at = recordings(studio, scene), place(studio, scene)
        return [gr.update(choices=known, value=at[1] if at else (known[0] if known else None))]

    def cues_key(scene: Scene) -> Hashable:
        return (place(studio, scene), scene.revision, scene.finished("transcribe"), scene.finished("slice"))

    def cues_render(scene: Scene) -> list[Any]:
        at = place(studio, scene)
        if at is None:
            return [feed_html(None, None, 0), ""]
        try:
            sheet: Sheet = studio.cutting.sheet(*at)
        except StudioError as error:
            return [feed_html(*at, -1), problem_html(t, error.to_dict())]
        return [feed_html(*at, sheet.origin, scene.finished("slice")), findings_html(t, sheet)]

    def active(scene: Scene) -> list[Any]:
        newest = [scene.latest(kind, scene.voice) for kind in JOBS] if scene.voice else []
        return [job for job in newest if job is not None]

    def job_render(scene: Scene) -> list[Any]:
        busy = any(job.active and job.kind == "slice" for job in active(scene))
        return ["".join(job_panel(t, job) for job in active(scene)), gr.update(interactive=not busy)]

    ctx.parts += [
        Part([recording], names_key, names_render, page="cutting"),
        Part(list(cues), cues_key, cues_render, page="cutting"),
        Part(list(top), lambda scene: tuple(job_key(job) for job in active(scene)), job_render, page="cutting"),
    ]
