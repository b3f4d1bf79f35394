"""The settings of an engine: one control for each name, shown where the chosen engine has it."""

from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import annotated_types
import gradio as gr

from core.engines.voxcpm.options import QUALITIES
from core.speech.desk import options_class
from ui.controls import Context, html_part

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

BUILTIN = "builtin"
MAIN = ("preset", "stored", "mode", "instruct", "description", "speaker", "language", "speed", "scene", "quality")
EXPERT = ("cfg", "steps", "retries", "min_patches", "max_patches", "pause_ms", "paragraph_pause_ms", "max_weight",
          "first_hop", "token_hop_len", "mel_cache_len", "left_context_s", "normalise")
STREAMED = ("first_hop", "token_hop_len", "mel_cache_len")  # asked for where no scene sets them
LISTED = {"preset": "own", "stored": "voice"}  # chosen of a list, where the voice is this one


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
        every |= shown  # where two engines have a setting of one name, this one's choices
        self.controls = {name: self._draw(name, every[name], name in shown) for name in MAIN}
        self.below = html_part(elem_id="speech-wait")  # what one waits for, where it was measured
        with gr.Accordion(ctx.t("speech.expert"), open=False, elem_id="speech-expert"), \
                gr.Row(elem_classes="ts-fields"):
            self.controls |= {name: self._draw(name, every[name], name in shown) for name in EXPERT}
        self._wire_quality()

    def _wire_quality(self) -> None:
        """A preset of VoxCPM fills the numbers that it stands for."""
        filled = list(next(iter(QUALITIES.values())))
        self.controls["quality"].input(
            lambda chosen: [gr.skip() if chosen not in QUALITIES else QUALITIES[chosen][name] for name in filled],
            [self.controls["quality"]], [self.controls[name] for name in filled], queue=False,
            show_progress="hidden", api_visibility="private")

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
        if name in LISTED:
            return gr.Dropdown([(t(f"speech.opt_{name}_none"), "")], value="", allow_custom_value=True, **options)
        if info.annotation is bool:
            return gr.Checkbox(info.default, **options)
        if info.annotation is str:
            return gr.Textbox(info.default, **options)
        low, high = bounds(info)
        return gr.Number(info.default, minimum=low, maximum=high, precision=0 if info.annotation is int else None,
                         **options)

    def listed(self, engine: str, source: str, names: dict[str, list[str]]) -> list[Any]:
        """Updates of the lists of `LISTED`, in its order: `names` to choose, where the voice is of that `source`."""
        mine = fields_of(engine)
        return [gr.update(visible=name in mine and source == whose, value="", choices=self._choices(name, names[name]))
                for name, whose in LISTED.items()]  # fmt: skip

    def _choices(self, name: str, names: list[str]) -> list[tuple[str, str]]:
        return [(self._t(f"speech.opt_{name}_none"), ""), *((one, one) for one in names)]

    def shown(self, engine: str) -> list[Any]:
        """One update a component, but for those of `LISTED`: what this engine has, with its defaults."""
        mine = fields_of(engine)
        drawn = []
        for name in self.controls:
            if name not in mine:
                drawn.append(gr.update(visible=False))
                continue
            info, more = mine[name], dict[str, Any]()
            if name in LISTED:
                drawn.append(gr.skip())
                continue
            if get_origin(info.annotation) is Literal:
                more["choices"] = [(self._t.of(f"speech.opt_{name}", word), word) for word in get_args(info.annotation)]
            elif info.annotation not in (str, bool):
                more["minimum"], more["maximum"] = bounds(info)
            drawn.append(gr.update(visible=True, value=info.default, **more))
        return drawn

    def options(self, engine: str, source: str, values: tuple[Any, ...]) -> dict[str, Any]:
        """The engine's settings as the controls say them, for a voice of `source`; what was emptied has its default."""
        mine = fields_of(engine)
        given = dict(zip(self.controls, values, strict=True))
        left_out = {name for name, whose in LISTED.items() if whose != source} | set(STREAMED if given["scene"] else ())
        return {name: given[name] for name in mine if given[name] is not None and name not in left_out}


def bounds(info: "FieldInfo") -> tuple[float | None, float | None]:
    """Least and most of a number."""
    low = next((one.ge for one in info.metadata if isinstance(one, annotated_types.Ge)), None)
    high = next((one.le for one in info.metadata if isinstance(one, annotated_types.Le)), None)
    return low, high  # type: ignore[return-value]  # numbers here, whatever the package allows
