"""The tab Pitch: the source's pitch over its spectrogram, to be looked at and corrected before it is converted."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import BadInput, StudioError
from ui.controls import Context, Part, Scene, esc, file_url, html_part, job_actions, job_key, job_panel, need_voice
from ui.texts import Texts

# (what it does, label, its line of help, key that does the same)
_ACTS = (
    ("up", "pitch.up", "pitch.up_info", "↑"), ("down", "pitch.down", "pitch.down_info", "↓"),
    ("fix", "pitch.fix", "pitch.fix_info", "O"), ("smooth", "pitch.smooth", "pitch.smooth_info", "M"),
    ("unvoice", "pitch.unvoice", "pitch.unvoice_info", "Del"), ("undo", "pitch.undo", "pitch.undo_info", "Ctrl+Z"),
    ("redo", "pitch.redo", "pitch.redo_info", "Ctrl+Y"),
)  # fmt: skip
_ZOOMS = (("out", "cue.zoom_out", "−"), ("in", "cue.zoom_in", "+"), ("whole", "cue.zoom_whole", "⤢"))


def build(ctx: Context, source: gr.State, form: dict[str, Any]) -> None:
    """Draw the tab and wire it. `source`: paths of the kept sources; the first is shown."""
    t, studio = ctx.t, ctx.studio
    with gr.Row(elem_classes="ts-tight"):
        find = gr.Button(t("pitch.find"), size="sm", elem_id="pitch-find", scale=0, min_width=120)
        forget = gr.Button(t("pitch.forget"), size="sm", elem_id="pitch-forget", scale=0, min_width=120)
        load = gr.UploadButton(t("pitch.import"), file_types=[".npy"], size="sm", elem_id="pitch-import", scale=0,
                               min_width=120)
        gr.HTML(f'<p class="ts-muted ts-about">{esc(t("pitch.about"))}</p>', apply_default_css=False, js_on_load=None)
    job = html_part(elem_id="pitch-job")
    job_actions(ctx, job)
    empty = gr.HTML("", apply_default_css=False, elem_id="pitch-empty", js_on_load=None)
    feed = gr.HTML(feed_html(t, None, ""), apply_default_css=False, elem_id="pitch-feed",
                   js_on_load="TS.pitchFeed(element, watch)")
    gr.HTML(editor_html(t), apply_default_css=False, elem_id="pitch-editor", js_on_load="TS.openPitch(element)")

    def name_of(paths: list[str] | None) -> str:
        if not paths:
            raise BadInput(t("convert.no_source"), t("convert.no_source_hint"))
        return Path(paths[0]).name

    def look_for(voice: str | None, paths: list[str] | None, predictor: str, threshold: float | None) -> None:
        studio.conversion.find_pitch(name_of(paths), need_voice(t, voice), predictor, threshold or None)

    def put_back(paths: list[str] | None) -> None:
        studio.conversion.forget(name_of(paths))

    def take(paths: list[str] | None, file: str | None) -> None:
        if not file:
            return
        try:
            studio.conversion.import_pitch(name_of(paths), Path(file))
        finally:
            Path(file).unlink(missing_ok=True)

    saved = "async (...values) => { await TS.pitch?.flush(); return values; }"
    ctx.on(find.click, look_for, [ctx.voice, source, form["pitch"], form["f0_threshold"]], [], js=saved)
    ctx.on(forget.click, put_back, [source], [], js=saved)
    ctx.on(load.upload, take, [source, load], [], js=saved)

    def stamp(scene: Scene) -> tuple[Path | None, str]:
        paths = scene.values.get("sources") or []
        if not paths:
            return None, ""
        try:
            return Path(paths[0]), studio.conversion.stamp(Path(paths[0]).name)
        except StudioError:  # the source was removed from the outputs
            return None, ""

    def running(scene: Scene) -> Any:
        latest = scene.latest("pitch", scene.voice) if scene.voice else None
        return latest

    def job_render(scene: Scene) -> list[Any]:
        latest = running(scene)
        busy = latest is not None and latest.active
        return [job_panel(t, latest), gr.update(interactive=not busy)]

    def feed_render(scene: Scene) -> list[Any]:
        path, version = stamp(scene)
        hint = "" if version else f'<p class="ts-empty">{esc(t("pitch.empty" if path else "pitch.no_source"))}</p>'
        box = f'<div class="ts-empty-box">{hint}</div>' if hint else ""
        return [feed_html(t, path, version), box]

    def feed_key(scene: Scene) -> Hashable:
        latest = running(scene)
        return (stamp(scene), latest.active if latest else False)

    ctx.parts += [
        Part([job, find], lambda scene: job_key(running(scene)), job_render, page="convert"),
        Part([feed, empty], feed_key, feed_render, page="convert"),
    ]


def feed_html(t: Texts, source: Path | None, stamp: str) -> str:
    """Tells the editor what to show; it asks for the pitch when any of this changed."""
    name, sound = (source.name, file_url(t.lang, source)) if source else ("", "")
    return f'<i hidden data-source="{esc(name)}" data-stamp="{esc(stamp)}" data-sound="{esc(sound)}"></i>'


def editor_html(t: Texts) -> str:
    """The editor without content; ``TS.openPitch`` brings it to life."""
    acts = "".join(_button(t, *one) for one in _ACTS)
    tools = "".join(
        f'<button type="button" class="ts-seg" data-do="{name}" aria-pressed="false" title="{esc(t(key))} ({hotkey})" '
        f'disabled>{esc(t(key))}</button>'
        for name, key, hotkey in (("draw", "pitch.draw", "D"), ("select", "pitch.select", "S"))
    )
    zooms = "".join(
        f'<button type="button" class="ts-btn" data-do="{name}" aria-label="{esc(t(key))}" title="{esc(t(key))}" '
        f'disabled>{sign}</button>' for name, key, sign in _ZOOMS
    )
    return (
        '<div class="ts-pitch ts-none">'
        f'<div class="ts-desk-line"><div class="ts-segs" role="group" aria-label="{esc(t("pitch.tool"))}">{tools}</div>'
        f'{acts}<span class="ts-grow"></span>{zooms}</div>'
        f'<canvas class="ts-pitch-view" data-pitch="view" tabindex="0" role="img" aria-label="{esc(t("pitch.view"))}">'
        "</canvas>"
        f'<canvas class="ts-pitch-all" data-pitch="all" role="img" aria-label="{esc(t("pitch.overview"))}"></canvas>'
        f'<div class="ts-desk-line">{_button(t, "play", "pitch.play", "pitch.play_info", "Space")}'
        f'<button type="button" class="ts-btn" data-do="tone" aria-pressed="false" title="{esc(t("pitch.tone_info"))}" '
        f'disabled>{esc(t("pitch.tone"))}</button><audio data-pitch="audio" preload="none"></audio>'
        '<span class="ts-grow ts-muted ts-ell" data-pitch="state" role="status"></span>'
        f'<a class="ts-btn" data-pitch="file" href="#" download>{esc(t("pitch.download"))}</a></div>'
        f'<p class="ts-muted ts-about">{esc(t("pitch.keys"))}</p></div>'
    )


def _button(t: Texts, name: str, key: str, info: str, hotkey: str) -> str:
    return (f'<button type="button" class="ts-btn" data-do="{name}" title="{esc(t(info))} ({esc(hotkey)})" '
            f'disabled>{esc(t(key))}</button>')
