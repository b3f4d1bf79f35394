"""The form is drawn from the options of each engine, in words, and says back what the engine takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import gradio as gr
import pytest
from pydantic import Field as Option

from core.errors import StudioError
from core.settings import Settings
from core.studio import Studio
from core.training import engines
from core.training.engines import TrainEngine
from core.training.options import RunOptions
from ui.controls import Context
from ui.run_view import setting_name
from ui.texts import texts
from ui.training import form as forms
from ui.training.form import Field, Form, about, engine_name, fields_of

T = texts("en")


class TeapotOptions(RunOptions):
    """Options of an engine that the page has never heard of."""

    engine: Literal["teapot"] = "teapot"
    preset: Literal["small", "large"] = "small"
    steps: int = Option(default=7, ge=1, le=9)
    pitch: str = ""
    rank: int = Option(default=4, ge=1)
    warm: bool = True
    spout: str | None = None
    leaves: list[str] = Option(default_factory=list)


@pytest.fixture
def teapot(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A second engine."""
    monkeypatch.setitem(engines.ENGINES, "teapot", TrainEngine(f"{__name__}:TeapotOptions", "", "", ()))
    monkeypatch.setattr(engines, "_resolve", lambda target, old=engines._resolve: (
        TeapotOptions if target.startswith(__name__) else old(target)))
    fields_of.cache_clear()
    yield "teapot"
    fields_of.cache_clear()


@pytest.fixture
def form(workspace: Path) -> Iterator[Form]:
    studio = Studio(Settings(workspace=workspace, device="cpu"))
    with gr.Blocks():
        yield Form(Context(studio, T, gr.Dropdown([])))
    studio.close()


def shown(updates: list[Any], form: Form) -> dict[str, Any]:
    """Values of the controls that the updates leave in sight, by name."""
    return {key[0]: one["value"] for key, one in zip(form.controls, updates[1:], strict=False) if one["visible"]}


def test_types_bounds_and_choices_come_from_the_options() -> None:
    found = {one.name: one for one in fields_of("sovits")}
    assert [one.name for one in fields_of("sovits")][:2] == ["preset", "steps"]
    assert found["steps"] == Field("steps", "whole", 6000, (), 1.0)
    assert found["learning_rate"] == Field("learning_rate", "number", 0.0, (), 0.0, 1.0)
    assert found["precision"].choices == ("auto", "fp32", "fp16", "bf16")
    assert (found["measures"].kind, found["init_from"].kind, found["encoder"].kind) == ("flag", "words", "choice")
    assert not set(forms.NOT_ASKED) & set(found)


@pytest.mark.parametrize("engine", engines.ENGINES)
def test_what_an_engine_refuses_is_not_asked(engine: str) -> None:
    other_base = {"voxcpm": {"init_from"}, "vocoder": {"init_from"}}
    refused = {"sovits-kmeans": {"ranks", "devices", "init_from"}, **other_base}.get(engine, set())
    names = {one.name for one in fields_of(engine)}
    assert not refused & names
    assert refused or {"ranks", "init_from"} <= names or engine == "sovits-index"


def test_what_the_form_says_is_what_the_engine_takes(form: Form) -> None:
    said = form.options([one.value for one in form.components])
    options = engines.options_of({**said, "voice": "v"})
    assert options == engines.options_of({"voice": "v"}), "untouched it says the defaults"
    values = [None if isinstance(one, gr.Number) else one.value for one in form.components]
    assert engines.options_of({**form.options(values), "voice": "v"}) == options, "emptied fields too"
    assert said == {"engine": "sovits"}, "what an engine chooses by other options is left to it"
    whole = form.options(values, whole=True)
    assert whole["steps"] == 6000
    assert engines.options_of({**whole, "voice": "v"}) == options


def test_an_engine_brings_its_own_fields(teapot: str, form: Form) -> None:
    drawn = shown(form.filled(teapot, {"rank": 16}), form)
    assert drawn["rank"] == 16
    assert drawn["steps"] == 7
    assert drawn["warm"] is True
    assert drawn["spout"] == ""
    assert "segment_frames" not in drawn
    assert "leaves" not in drawn
    assert "pitch" not in drawn, "it has no use for a pitch predictor"
    sovits = shown(form.filled("sovits", {}), form)
    assert sovits["steps"] == 6000
    assert "rank" not in sovits
    # The values of both engines are in the page; only those of the chosen one are said.
    values = [one.get("value") for one in form.filled(teapot, {})[:-1]]
    assert "segment_frames" not in form.options(values, whole=True)
    values[1 + list(form.controls).index(("preset", "choice", ("small", "large")))] = "large"
    made = engines.options_of({**form.options(values), "voice": "v"})
    assert isinstance(made, TeapotOptions)
    assert made.preset == "large"
    updates = dict(zip(form.controls, form.filled(teapot, {})[1:-1], strict=True))
    assert updates["steps", "whole", ()]["maximum"] == 9
    assert form.controls["preset", "choice", ("small", "large")].choices == [("small", "small"), ("large", "large")]


def test_words_fall_back_to_names() -> None:
    assert setting_name(T, "steps") == "Steps"
    assert setting_name(T, "no_such_option") == "no such option"
    assert engine_name(T, "teapot") == "teapot"
    assert about(T, "teapot", "small", "cpu") == ""
    assert "CPU" in about(T, "sovits", "lite", "cpu")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_engine_and_option_has_words(lang: str) -> None:
    t = texts(lang)
    lacking = {f"engine_{name}" for name in engines.ENGINES if not t.has(f"training.engine_{name}")}
    for name in engines.ENGINES:
        for one in fields_of(name):
            lacking |= {f"opt_{one.name}{end}" for end in ("", "_info" if one.name != "preset" else "")
                        if not t.has(f"training.opt_{one.name}{end}")}
    assert lacking == set()


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(StudioError, match="no engine"):
        fields_of("no such engine")
