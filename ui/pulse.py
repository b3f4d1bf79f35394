"""Drawing what changed: one unseen button for each page, which the browser presses (``TS.pulse`` in nav.js)."""

import logging
from collections.abc import Sequence
from typing import Any

import gradio as gr

from ui.controls import Context, Scene
from ui.looks import Look, Looks
from ui.status_bar import status_html

JOBS_SEEN = 200
_LOG = logging.getLogger("studio.page")


def follow(ctx: Context, pages: Sequence[str], looks: Looks) -> None:
    """Make the buttons, and answer the clock's question for the pages of this language.

    A button is pressed when its page opens, after every action, and on a beat of the clock when something changed or
    somebody has just touched the page. One for each page, because a press costs the browser by what its listener names.
    """
    told = [gr.Textbox(visible=False) for _ in range(3)]
    for name in pages:
        _follow_page(ctx, name, told, looks)
    looks.asked[ctx.t.lang] = lambda look, voice, page: answer(ctx, look, voice, page)


def _follow_page(ctx: Context, name: str, told: list[gr.Textbox], looks: Looks) -> None:
    """The button of one page. ``told``: the page's name for itself, the open page and the voice of the last visit, all
    filled by the browser."""
    indices = ctx.seen_on(name)
    watched = {key: component for key, component in ctx.watched.items() if ctx.watched_on[key] in (None, name)}
    outputs = [output for index in indices for output in ctx.parts[index].outputs]

    def draw(voice: str | None, who: str, page: str, last_voice: str, *given: Any) -> list[Any]:
        values = dict(zip(watched, given, strict=True))
        try:
            scene = take_scene(ctx, voice or last_voice, page, values)
        except Exception:  # noqa: BLE001  the clock's door: the page must stay alive while the studio is in trouble
            _LOG.exception("the page could not read the studio's state")
            return [gr.skip()] * len(outputs)
        look = looks.of(who)
        look.values[name] = values
        return [value for index in indices for value in draw_part(ctx, index, scene, look.known)]

    button = gr.Button(visible="hidden", elem_id=f"ts-pulse-{name}")
    # "always_last": a press while one is drawn is what an action asks for; it must not be lost.
    button.click(draw, inputs=[ctx.voice, *told, *watched.values()], outputs=outputs, trigger_mode="always_last",
                 js="(voice, who, page, stored, ...more) => [...TS.scene(voice), ...more]",
                 show_progress="hidden", queue=False, api_visibility="private")


def answer(ctx: Context, look: Look, voice: str, page: str) -> dict[str, Any]:
    """``{"changed", "status"}``: whether a part of the open page has another key than it was drawn with (the status bar
    aside), and the bar's own HTML."""
    scene = take_scene(ctx, voice, page, look.values.get(page, {}))
    changed = page not in look.values or any(
        key_of(ctx, index, scene) not in (None, look.known.get(index))
        for index in ctx.seen_on(page) if not ctx.parts[index].restless)
    return {"changed": changed, "status": status_html(ctx.t, scene.status)}


def key_of(ctx: Context, index: int, scene: Scene) -> int | None:
    """A part's key as a number; None where it cannot be told."""
    try:
        return hash((scene.voice, ctx.parts[index].key(scene)))
    except Exception:  # noqa: BLE001  one part in trouble must not take the others with it
        _LOG.exception("part %d of the page could not be drawn", index)
        return None


def draw_part(ctx: Context, index: int, scene: Scene, known: dict[int, int]) -> list[Any]:
    """The outputs of one part: new values if its key changed, else "leave it". ``known`` is brought up to date."""
    part = ctx.parts[index]
    same = [gr.skip()] * len(part.outputs)
    if part.page is not None and part.page != scene.page:
        return same
    key = key_of(ctx, index, scene)
    if key in (None, known.get(index)):
        return same
    try:
        values = list(part.render(scene))
    except Exception:  # noqa: BLE001  as for its key
        _LOG.exception("part %d of the page could not be drawn", index)
        return same
    known[index] = key
    return values


def take_scene(ctx: Context, voice: str | None, page: str, values: dict[str, Any]) -> Scene:
    """Read the studio once for all parts. ``values``: of the components that the page watches, by name."""
    studio = ctx.studio
    voices = studio.voices()
    known = voice if voice in [v.name for v in voices] else None
    return Scene(voice=known, page=page, status=studio.status(), jobs=studio.jobs(limit=JOBS_SEEN), voices=voices,
                 revision=ctx.revisions[voice or ""], values=values)
