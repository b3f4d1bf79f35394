"""The tab Speakers: how much of each speaker of the model is heard, level or as curves over the waveform."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import BadInput, StudioError
from ui.controls import Context, Part, Scene, esc
from ui.players import file_peaks
from ui.plots import waveform_svg
from ui.texts import Texts


def build(ctx: Context) -> None:
    """Draw the tab and wire it. The curves live in the page; ``TS.beforeConvert`` hands them to a conversion."""
    t, studio = ctx.t, ctx.studio
    given = ctx.watch("mix_given", gr.State(None))
    empty = gr.HTML("", apply_default_css=False, elem_id="mix-empty", js_on_load=None)
    feed = gr.HTML(feed_html([], None, None), apply_default_css=False, elem_id="mix-feed",
                   js_on_load="TS.mixFeed(element, watch)")
    gr.HTML(editor_html(t), apply_default_css=False, elem_id="mix-editor", js_on_load="TS.openMix(element)")
    load = gr.UploadButton(t("mix.import"), file_types=[".json", ".py"], size="sm", elem_id="mix-import", scale=0,
                           min_width=140)

    def names(scene: Scene) -> list[str]:
        if not scene.voice:
            return []
        try:
            found = studio.conversion.speakers(scene.voice, scene.values.get("model") or None)
        except StudioError:  # no model yet, or one that is damaged: converting says which
            return []
        return sorted(found, key=lambda name: found[name])

    def take(voice: str | None, model: str | None, file: str | None, old: Any) -> Any:
        if not file:
            return gr.skip()
        try:
            if not voice:
                raise BadInput(t("notice.no_voice"), t("notice.no_voice_hint"))
            known = studio.conversion.speakers(voice, model or None)
            return ((old or (0, ""))[0] + 1, json.dumps(studio.conversion.read_mix(Path(file), known)))
        finally:
            Path(file).unlink(missing_ok=True)

    ctx.on(load.upload, take, [ctx.voice, ctx.watched["model"], load, given], [given])

    def key(scene: Scene) -> Hashable:
        paths = scene.values.get("sources") or []
        return (tuple(names(scene)), paths[0] if paths else None, str(scene.values.get("mix_given")))

    def render(scene: Scene) -> list[Any]:
        known = names(scene)
        paths = scene.values.get("sources") or []
        hint = "" if len(known) > 1 else (f'<div class="ts-empty-box"><p>{esc(t("mix.one"))}</p>'
                                          f'<p class="ts-muted">{esc(t("mix.one_hint"))}</p></div>')
        source = Path(paths[0]) if paths else None
        return [feed_html(known, source, scene.values.get("mix_given")), hint, gr.update(visible=len(known) > 1)]

    ctx.parts.append(Part([feed, empty, load], key, render, page="convert"))


def feed_html(names: list[str], source: Path | None, given: Any) -> str:
    """Tells the curves which speakers there are, what lies behind them, and what was imported (number, curves)."""
    wave = ""
    if source is not None:
        try:
            wave = waveform_svg(file_peaks(source), "", 160)
        except StudioError:  # it was removed since; the curves can do without
            wave = ""
    serial, curves = given or (0, "")
    return (f'<div hidden data-speakers="{esc(json.dumps(names, ensure_ascii=False))}" data-serial="{serial}" '
            f'data-curves="{esc(curves)}">{wave}</div>')


def editor_html(t: Texts) -> str:
    """The curves without content; ``TS.openMix`` brings them to life."""
    return (
        '<div class="ts-mix ts-none"><div class="ts-desk-line">'
        f'<label class="ts-mix-on"><input type="checkbox" data-mix="on" id="mix-on"> {esc(t("mix.on"))}</label>'
        f'<span class="ts-grow ts-muted ts-ell">{esc(t("mix.about"))}</span>'
        f'<button type="button" class="ts-btn" data-mix="save">{esc(t("mix.save"))}</button></div>'
        f'<div class="ts-mix-body"><div class="ts-mix-rows" data-mix="rows"></div>'
        f'<div class="ts-mix-field" data-mix="field" role="group" aria-label="{esc(t("mix.field"))}">'
        '<div class="ts-mix-wave" data-mix="wave"></div>'
        '<svg viewBox="0 0 1000 100" preserveAspectRatio="none" data-mix="lines" aria-hidden="true"></svg></div></div>'
        f'<p class="ts-muted ts-about">{esc(t("mix.keys"))}</p></div>'
    )
