"""The settings of a run, drawn from the options of its engine: an engine that is registered has its form.

A field of core.training.options becomes a control by its type; its words are ``training.opt_NAME`` and
``training.opt_NAME_info``. Fields that several engines have are one control, with each engine's choices and default.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import annotated_types
import gradio as gr

from core.training import engines
from ui.controls import Context, Scene, esc
from ui.run_view import setting_name
from ui.texts import Texts

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from core.settings import Settings

Kind = Literal["whole", "number", "choice", "flag", "words"]
Key = tuple[str, Kind, tuple[str, ...]]
MAIN = ("preset", "steps")  # above the fold, in this order
NOT_ASKED = ("engine", "voice", "name", "resume")  # the page itself says them
ON_GPU = {"sovits": {"preset": "standard"}}  # where a GPU allows for more than the engine's own default


def _encoders(settings: "Settings") -> list[str]:
    from core.features.encoders import available

    return [one.name for one in available(settings)]


def _pitches(settings: "Settings") -> list[str]:
    from core.features.pitch import PITCHES

    return list(PITCHES)


# Fields that hold a name out of a registry.
REGISTRIES: dict[str, "Callable[[Settings], list[str]]"] = {"encoder": _encoders, "pitch": _pitches}


@dataclass(frozen=True)
class Field:
    """One option of an engine as the form sees it."""

    name: str
    kind: Kind
    default: Any
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def key(self) -> Key:
        """Which control it is. Choices belong to it: Gradio refuses a value that is not among a control's choices,
        such as the one that the browser still sends while the engine changes."""
        return self.name, self.kind, self.choices


@lru_cache
def fields_of(engine: str) -> tuple[Field, ...]:
    """What can be set of an engine's runs: MAIN, then the options that all engines share, then its own.

    Raises:
        BadInput: an unknown engine.
    """
    from core.training.options import RunOptions

    model = engines.options_class(engine)
    drawn = [_field(name, info) for name, info in model.model_fields.items()
             if name not in NOT_ASKED and name not in model.unused]
    found = [one for one in drawn if one is not None]
    # An empty name out of a registry: the engine has no use for it.
    found = [one for one in found if not (one.name in REGISTRIES and one.default == "")]
    main = [one for name in MAIN for one in found if one.name == name]
    shared = [one for one in found if one.name in RunOptions.model_fields and one not in main]
    return (*main, *shared, *(one for one in found if one not in main and one not in shared))


def _field(name: str, info: "FieldInfo") -> Field | None:
    """None for what one control cannot hold: lists, settings of several values."""
    wanted = info.annotation
    if get_origin(wanted) in (Union, types.UnionType):
        wanted = next(one for one in get_args(wanted) if one is not type(None))
    if name in REGISTRIES or get_origin(wanted) is Literal:
        return Field(name, "choice", info.default, tuple(map(str, get_args(wanted))))
    kinds: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", str: "words"}
    if wanted not in kinds:
        return None
    low = [float(getattr(one, "ge", getattr(one, "gt", None))) for one in info.metadata  # type: ignore[arg-type]
           if isinstance(one, annotated_types.Ge | annotated_types.Gt)]
    high = [float(one.le) for one in info.metadata if isinstance(one, annotated_types.Le)]  # type: ignore[arg-type]
    return Field(name, kinds[wanted], info.default, (), *(one[0] if one else None for one in (low, high)))


def engine_name(t: Texts, engine: str) -> str:
    """An engine in words."""
    return t.of("training", f"engine_{engine}").removeprefix("engine_")


def about(t: Texts, engine: str, preset: str, device: str) -> str:
    """What a preset is, needs and takes on a "gpu" or "cpu", as closely as it has been put into words."""
    for name in (f"{engine}_{preset}_{device}", f"{engine}_{preset}", engine):
        if t.has(f"training.about_{name}"):
            return f'<p class="ts-muted ts-about">{esc(t(f"training.about_{name}"))}</p>'
    return ""


class Form:
    """The controls, and how they follow the chosen engine."""

    def __init__(self, ctx: Context) -> None:
        """Draw them."""
        self._ctx = ctx
        self._device = "gpu" if ctx.studio.status().device.kind == "cuda" else "cpu"
        names = list(engines.ENGINES)
        self.engine = gr.Dropdown([(engine_name(ctx.t, name), name) for name in names], value=engines.DEFAULT,
                                  label=ctx.t("training.engine"), elem_id="opt-engine",
                                  visible=len(names) > 1)
        # Where two engines mean different things by a name it is two controls.
        every = {one.key: one for name in reversed(names) for one in fields_of(name)}
        keys = list(dict.fromkeys(one.key for name in names for one in fields_of(name)))
        self.controls: dict[Key, Any] = {}
        for key in (key for key in keys if key[0] in MAIN):
            self.controls[key] = self._draw(every[key])
            if key[0] == "preset" and key == keys[0]:
                self.about = gr.HTML(about(ctx.t, engines.DEFAULT, self.controls[key].value, self._device),
                                     apply_default_css=False, js_on_load=None)
        with gr.Accordion(ctx.t("training.expert"), open=False, elem_id="train-expert"), \
                gr.Row(elem_classes="ts-fields"):
            for key in (key for key in keys if key[0] not in MAIN):
                self.controls[key] = self._draw(every[key])
        self.components = [self.engine, *self.controls.values()]
        for index, component in enumerate(self.components):
            ctx.watch(f"train.{index}", component)
        # "input" and not "change": a clone sets the engine too, and its values are not to be put back to defaults.
        outputs = [*self.components, self.about]
        ctx.on(self.engine.input, lambda engine: self.filled(engine, {}), [self.engine], outputs)
        for preset in (control for key, control in self.controls.items() if key[0] == "preset"):
            ctx.on(preset.input, lambda engine, name: about(ctx.t, engine, str(name), self._device),
                   [self.engine, preset], [self.about], queue=False)

    def _draw(self, one: Field) -> Any:
        shown = self._of(engines.DEFAULT).get(one.key)
        options: dict[str, Any] = {"label": setting_name(self._ctx.t, one.name), "visible": shown is not None,
                                   "elem_id": "opt-" + one.name.replace("_", "-"), "min_width": 80}
        if self._ctx.t.has(f"training.opt_{one.name}_info"):
            options["info"] = self._ctx.t(f"training.opt_{one.name}_info")
        value = self._default(engines.DEFAULT, shown or one)
        if one.kind == "flag":
            return gr.Checkbox(value, **options)
        if one.kind in ("whole", "number"):
            return gr.Number(value, precision=0 if one.kind == "whole" else None, minimum=(shown or one).low,
                             maximum=(shown or one).high, **options)
        if one.kind == "choice":
            options["choices"] = self._choices(shown or one)
            if one.name == "preset":
                return gr.Radio(value=value, elem_classes="ts-radio", **options)
            return gr.Dropdown(value=value, **options)
        return gr.Textbox(value or "", elem_classes="ts-span", **options)

    def _of(self, engine: str) -> dict[Key, Field]:
        return {one.key: one for one in fields_of(engine)}

    def _default(self, engine: str, one: Field) -> Any:
        better = ON_GPU.get(engine, {}) if self._device == "gpu" else {}
        return better.get(one.name, one.default)

    def _choices(self, one: Field) -> list[tuple[str, str]]:
        names: Sequence[str] = one.choices
        if one.name in REGISTRIES:
            names = REGISTRIES[one.name](self._ctx.studio.settings)
        words = f"training.opt_{one.name}."
        return [(self._ctx.t(words + name) if self._ctx.t.has(words + name) else name, name) for name in names]

    def filled(self, engine: str, options: Mapping[str, Any]) -> list[Any]:
        """The form for an engine with the values of ``options``, defaults for the rest: one update an output."""
        mine = self._of(engine)
        drawn: list[Any] = [gr.update(value=engine)]
        for key in self.controls:
            one = mine.get(key)
            if one is None:
                drawn.append(gr.update(visible=False))
                continue
            value = options.get(one.name, self._default(engine, one))
            bounded = one.kind in ("whole", "number")
            more: dict[str, Any] = {"minimum": one.low, "maximum": one.high} if bounded else {}
            drawn.append(gr.update(value="" if one.kind == "words" and value is None else value, visible=True, **more))
        preset = next(one for one in mine.values() if one.name == "preset")
        chosen = str(options.get("preset") or self._default(engine, preset))
        return [*drawn, about(self._ctx.t, engine, chosen, self._device)]

    def options(self, values: Sequence[Any], whole: bool = False) -> dict[str, Any]:
        """What the controls say, in the order of ``components``; what was emptied has its default.

        Defaults are left to the engine, which may choose them by another option; ``whole`` says them too.
        """
        engine = str(values[0] or engines.DEFAULT)
        mine = self._of(engine)
        said = {key[0]: mine[key].default if value in (None, "") else value
                for key, value in zip(self.controls, values[1:], strict=True) if key in mine}
        defaults = {} if whole else {one.name: one.default for one in mine.values()}
        return {"engine": engine, **{name: value for name, value in said.items()
                                     if name not in defaults or value != defaults[name]}}

    def values(self, scene: Scene) -> tuple[Any, ...]:
        """The controls' values in a scene."""
        return tuple(scene.values[f"train.{index}"] for index in range(len(self.components)))
