"""The settings of an engine: one control for each name, shown where the chosen engine has it."""

from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import annotated_types
import gradio as gr

from core.speech.desk import options_class
from ui.controls import Context

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

BUILTIN = "builtin"
MAIN = ("mode", "preset", "instruct", "description", "speaker", "language", "speed")
EXPERT = ("cfg", "steps", "pause_ms", "paragraph_pause_ms", "max_weight", "retries", "first_hop", "token_hop_len")


def fields_of(engine: str) -> "dict[str, FieldInfo]":
    """What the page asks for of an engine's settings. Raises BadInput for an unknown engine."""
    known = options_class(engine).model_fields
    return {name: known[name] for name in (*MAIN, *EXPERT) if name in known}


def engines() -> list[str]:
    """Every engine there can be."""
    from core.speech.registry import ENGINES

    return [*ENGINES, BUILTIN]


class Form:
    """The controls. `values` are given to `options` in the order of `components`."""

    def __init__(self, ctx: Context, engine: str) -> None:
        """Draw them as the engine needs them."""
        self._t = ctx.t
        every: dict[str, FieldInfo] = {}
        for one in reversed(engines()):
            every |= fields_of(one)
        shown = fields_of(engine)
        self.controls = {name: self._draw(name, every[name], name in shown) for name in MAIN}
        with gr.Accordion(ctx.t("speech.expert"), open=False, elem_id="speech-expert"), \
                gr.Row(elem_classes="ts-fields"):
            self.controls |= {name: self._draw(name, every[name], name in shown) for name in EXPERT}

    @property
    def components(self) -> list[Any]:
        """In the order of `options`' values."""
        return list(self.controls.values())

    def _draw(self, name: str, info: "FieldInfo", visible: bool) -> Any:
        t = self._t
        options: dict[str, Any] = {"label": t(f"speech.opt_{name}"), "info": t(f"speech.opt_{name}_info"),
                                   "visible": visible, "elem_id": f"speech-{name.replace('_', '-')}", "min_width": 120}
        if get_origin(info.annotation) is Literal:
            choices = [(t.of(f"speech.opt_{name}", word), word) for word in get_args(info.annotation)]
            return gr.Dropdown(choices, value=info.default, **options)
        if info.annotation is str:
            return gr.Textbox(info.default, **options)
        low, high = bounds(info)
        return gr.Number(info.default, minimum=low, maximum=high, precision=0 if info.annotation is int else None,
                         **options)

    def shown(self, engine: str) -> list[Any]:
        """One update a component: what this engine has, with its defaults."""
        mine = fields_of(engine)
        drawn = []
        for name in self.controls:
            if name not in mine:
                drawn.append(gr.update(visible=False))
                continue
            info, more = mine[name], dict[str, Any]()
            if get_origin(info.annotation) is Literal:
                more["choices"] = [(self._t.of(f"speech.opt_{name}", word), word) for word in get_args(info.annotation)]
            elif info.annotation is not str:
                more["minimum"], more["maximum"] = bounds(info)
            drawn.append(gr.update(visible=True, value=info.default, **more))
        return drawn

    def options(self, engine: str, values: tuple[Any, ...]) -> dict[str, Any]:
        """The engine's settings as the controls say them; what was emptied has its default."""
        mine = fields_of(engine)
        given = dict(zip(self.controls, values, strict=True))
        return {name: given[name] for name in mine if given[name] is not None}


def bounds(info: "FieldInfo") -> tuple[float | None, float | None]:
    """Least and most of a number."""
    low = next((one.ge for one in info.metadata if isinstance(one, annotated_types.Ge)), None)
    high = next((one.le for one in info.metadata if isinstance(one, annotated_types.Le)), None)
    return low, high  # type: ignore[return-value]  # numbers here, whatever the package allows
