"""Home: what to do first; later, every voice with its next step."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.controls import Context, Part, Scene, act_of, esc, heading, html_part, number
from ui.sidebar import voice_names

if TYPE_CHECKING:
    from core.studio import VoiceSummary
    from ui.texts import Texts

STEPS = ("dataset", "training", "convert")


def steps_html(t: "Texts") -> str:
    """The three steps of the way, for a studio without voices."""
    cards = "".join(
        f'<li class="ts-card"><b>{n}. {esc(t(f"nav.{name}"))}</b><p>{esc(t(f"home.step_{name}"))}</p></li>'
        for n, name in enumerate(STEPS, start=1))
    return (f'<div class="ts-welcome"><h2>{esc(t("home.welcome"))}</h2><p>{esc(t("home.welcome_hint"))}</p>'
            f'<button type="button" class="ts-btn ts-first" data-new-voice>{esc(t("home.first_voice"))}</button>'
            f'<ol class="ts-cards">{cards}</ol><p class="ts-muted">{esc(t("home.consent"))}</p></div>')


def next_step(voice: "VoiceSummary") -> str:
    """The page that takes this voice further."""
    if voice.models:
        return "convert"
    return "training" if voice.accepted else "dataset"


def voices_html(t: "Texts", voices: "list[VoiceSummary]", chosen: str | None) -> str:
    """One row per voice: what there is of it, what to do next."""
    head = "".join(f'<th scope="col"{cls}>{esc(t(key))}</th>' for key, cls in (
        ("voice.label", ""), ("home.minutes", ' class="ts-num"'), ("dataset.clips", ' class="ts-num"'),
        ("training.runs", ' class="ts-num"'), ("home.models", ' class="ts-num"'), ("home.next", "")))
    rows = ""
    for v in voices:
        page = next_step(v)
        rows += (
            f'<tr aria-selected="{"true" if v.name == chosen else "false"}">'
            f'<td class="ts-ell"><b>{esc(v.name)}</b></td><td class="ts-num">{number(v.minutes)}</td>'
            f'<td class="ts-num">{v.accepted} / {v.clips}</td><td class="ts-num">{v.runs}</td>'
            f'<td class="ts-num">{v.models}</td>'
            f'<td><button type="button" class="ts-btn" data-act="go" data-page="{page}" data-voice="{esc(v.name)}">'
            f'{esc(t(f"home.next_{page}"))}</button></td>'
            f'<td class="ts-num"><button type="button" class="ts-btn" data-act="rename" data-voice="{esc(v.name)}" '
            f'data-prompt="{esc(t("home.rename_to"))}">{esc(t("home.rename"))}</button> '
            f'<button type="button" class="ts-btn ts-danger" data-act="delete" '
            f'data-voice="{esc(v.name)}" data-confirm="{esc(t("home.delete_sure", voice=v.name))}">'
            f'{esc(t("home.delete"))}</button></td></tr>')
    return (f'<div class="ts-table-box"><table class="ts-table ts-voices"><thead><tr>{head}'
            f'<th scope="col"><span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t, studio = ctx.t, ctx.studio
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.home"))
    board = html_part(elem_id="home-board")

    def act(voice: str | None, event: gr.EventData) -> Any:
        data = act_of(event)
        if data["act"] == "delete":
            studio.delete_voice(data["voice"])
            names = voice_names(studio)
            kept = voice if voice in names else (names[0] if names else None)
            return gr.update(choices=names, value=kept)
        if data["act"] == "rename":
            made = studio.rename_voice(data["voice"], data["value"])
            return gr.update(choices=voice_names(studio), value=made.name)
        return data["voice"]

    ctx.on(board.act, act, [ctx.voice], [ctx.voice])

    def key(scene: Scene) -> Hashable:
        return tuple((v.name, v.minutes, v.clips, v.accepted, v.runs, v.models) for v in scene.voices)

    def render(scene: Scene) -> list[Any]:
        return [voices_html(t, scene.voices, scene.voice) if scene.voices else steps_html(t)]

    ctx.parts.append(Part([board], key, render, page="home"))
