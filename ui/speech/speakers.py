"""Stored speakers of CosyVoice: a clip is heard once and kept with the chosen voice under a name; and what each way to
stream costs in waiting, as it was measured here."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import gradio as gr

from core.engines.cosyvoice2.options import PRESETS, TOKENS_A_S, CosyOptions
from core.engines.cosyvoice2.waiting import Pace, pace
from core.errors import BadInput
from ui.controls import Context, Part, Scene, esc, need_voice, number
from ui.speech.form import STREAMED, Form
from ui.speech.takes import SHOWN

ENGINE = "cosyvoice2"


def build_keeping(ctx: Context, whose: gr.Radio, clip: gr.State, words: gr.Textbox, engine: gr.Dropdown,
                  form: Form) -> None:
    """Store, rename and delete; shown for CosyVoice where a voice or a clip speaks."""
    t, stored = ctx.t, form.controls["stored"]
    with gr.Accordion(t("speech.speakers"), open=False, elem_id="speech-speakers", visible=False) as box:
        name = gr.Textbox(label=t("speech.speaker_name"), info=t("speech.speaker_name_info"), max_lines=1,
                          elem_id="speech-speaker-name")
        with gr.Row(elem_classes="ts-tight"):
            store, rename, delete = (
                gr.Button(t(f"speech.speaker_{act}"), size="sm", min_width=70, elem_id=f"speech-speaker-{act}")
                for act in ("store", "rename", "delete")
            )

    def kept(voice: str | None, chosen: str, source: str, file: str | None, spoken: str, model: str) -> str:
        desk, wanted = ctx.studio.speech.stored(need_voice(t, voice)), model.partition(":")[2]
        if source == "clip" and not file:
            raise BadInput(t("speech.no_clip"), t("speech.no_clip_hint"))
        made = desk.add(chosen or "", Path(file) if source == "clip" and file else None, spoken or "", wanted)
        gr.Info(esc(t("speech.speaker_stored", name=made.name, seconds=number(made.seconds))), duration=6)
        ctx.bump(voice)
        return ""

    def renamed(voice: str | None, old: str, new: str) -> str:
        ctx.studio.speech.stored(need_voice(t, voice)).rename(_chosen(ctx, old), new or "")
        ctx.bump(voice)
        return ""

    def deleted(voice: str | None, old: str) -> None:
        ctx.studio.speech.stored(need_voice(t, voice)).delete(_chosen(ctx, old))
        ctx.bump(voice)

    ctx.on(store.click, kept, [ctx.voice, name, whose, clip, words, engine], [name], show_progress="minimal",
           failed=gr.skip())
    ctx.on(rename.click, renamed, [ctx.voice, stored, name], [name], failed=gr.skip())
    ctx.on(delete.click, deleted, [ctx.voice, stored])

    ctx.watch("speaks", engine)
    ctx.watch("whose", whose)

    def key(scene: Scene) -> Hashable:
        return scene.voice, scene.values["speaks"], scene.values["whose"], _names(ctx, scene.voice)

    def render(scene: Scene) -> list[Any]:
        kind, _, wanted = str(scene.values["speaks"] or "").partition(":")
        of = str(scene.values["whose"])
        names = {"preset": ctx.studio.speech.presets(kind, wanted), "stored": list(_names(ctx, scene.voice))}
        shown = gr.update(visible=kind == ENGINE and of in ("voice", "clip"))
        return [shown, *form.listed(kind or "builtin", of, names)]

    ctx.parts.append(Part([box, form.controls["preset"], stored], key, render))


def _names(ctx: Context, voice: str | None) -> tuple[str, ...]:
    return tuple(ctx.studio.speech.stored(voice).names()) if voice else ()


def _chosen(ctx: Context, name: str | None) -> str:
    if not name:
        raise BadInput(ctx.t("speech.no_speaker"), ctx.t("speech.no_speaker_hint"))
    return name


def build_waiting(ctx: Context, form: Form) -> None:
    """Below the scene stands how long one waits for the first sound."""
    names = ("scene", *STREAMED)
    for name in names:
        ctx.refresh(ctx.watch(name, form.controls[name]).change)
    store = ctx.studio.speech.takes

    def key(scene: Scene) -> Hashable:
        takes = tuple(one.id for one in store.all(SHOWN))
        return scene.values["speaks"], takes, *(scene.values[name] for name in names)

    def render(scene: Scene) -> list[Any]:
        kind, _, model = str(scene.values["speaks"] or "").partition(":")
        if kind != ENGINE:
            return [""]
        try:
            set_by = ("scene",) if scene.values["scene"] else STREAMED
            now = CosyOptions.model_validate({name: scene.values[name] for name in set_by})
        except ValueError:
            return [f'<p class="ts-muted">{esc(ctx.t("speech.wait_bad"))}</p>']
        return [waiting_html(ctx, now, pace(store.all(SHOWN), kind, model))]

    ctx.parts.append(Part([form.below], key, render))


def waiting_html(ctx: Context, now: CosyOptions, measured: Pace | None) -> str:
    """A row for each scene and one for the numbers as they stand: speech made before it is heard, and the wait."""
    t = ctx.t
    rows = [(t.of("speech.opt_scene", name), CosyOptions.model_validate({"scene": name})) for name in PRESETS]
    cells = ""
    for title, options in [*rows, (t("speech.wait_now"), now)]:
        wait = f"{number(measured.wait_s(options), 2)} s" if measured else "–"
        cells += (f"<tr><th>{esc(title)}</th><td>{number(options.first_sound_tokens / TOKENS_A_S, 2)} s</td>"
                  f"<td>{wait}</td></tr>")
    if measured is None:
        told = t("speech.wait_unmeasured")
    else:
        told = t("speech.wait_measured", takes=measured.n_takes) if measured.n_takes > 1 else t("speech.wait_once")
    return (f'<table class="ts-wait"><thead><tr><td></td><th>{esc(t("speech.wait_made"))}</th>'
            f'<th>{esc(t("speech.wait_first"))}</th></tr></thead><tbody>{cells}</tbody></table>'
            f'<p class="ts-note">{esc(told)}</p>')
