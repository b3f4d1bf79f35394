"""The list of a voice's models, the same on every page that converts."""

from collections.abc import Hashable
from typing import Any

import gradio as gr

from ui.controls import Context, Part, Scene


def follow_models(ctx: Context, choice: gr.Dropdown) -> None:
    """Keep ``choice`` filled with the models of the chosen voice, the newest first and chosen."""
    t, studio = ctx.t, ctx.studio

    def key(scene: Scene) -> Hashable:
        return tuple((m.name, m.step) for m in studio.voice_models(scene.voice)) if scene.voice else ()

    def render(scene: Scene) -> list[Any]:
        models = studio.voice_models(scene.voice) if scene.voice else []
        names = [(t("convert.model_name", name=m.name, step=f"{m.step:,}"), m.name) for m in models]
        first = t("convert.newest") if models else t("convert.no_models")
        return [gr.update(choices=[(first, ""), *names], value="")]

    ctx.parts.append(Part([choice], key, render))
