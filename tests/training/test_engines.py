"""Which engine a run is of: by name, by default, and for a resume by the run itself."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.checks import Check
from core.errors import BadInput
from core.jobs.context import ForegroundContext
from core.jobs.handlers import HANDLERS, resolve
from core.settings import Settings
from core.training import engines
from core.training.options import RunOptions, TrainOptions
from core.training.runs import RunInfo, create_run


def test_without_a_name_it_is_the_default() -> None:
    options = engines.options_of({"voice": "v"})
    assert isinstance(options, TrainOptions)
    assert options.engine == engines.DEFAULT == engines.engine_of(RunInfo("r", "v", "lite", "e"))


def test_an_unknown_engine_names_those_there_are() -> None:
    with pytest.raises(BadInput, match="teapot") as error:
        engines.options_of({"voice": "v", "engine": "teapot"})
    assert engines.DEFAULT in error.value.hint


@pytest.mark.parametrize("name", engines.ENGINES)
def test_every_engine_is_whole(name: str) -> None:
    engine = engines.find(name)
    model = engines.options_class(name)
    assert issubclass(model, RunOptions)
    assert (
        model.model_validate({"voice": "v"}).engine == name
    )  # its name is the default: `{"voice", "engine"}` is enough
    assert {"steps", "keep"} <= set(model.may_change) <= set(model.model_fields)
    root = Path(engines.__file__).parents[2]
    assert all((root / folder).is_dir() for folder in engine.code)


@pytest.mark.parametrize("name", ["sovits-kmeans", "sovits-index"])
@pytest.mark.parametrize("asked", [{"ranks": 2}, {"devices": "0,1"}, {"init_from": "G_0.pth"}])
def test_what_an_engine_has_no_use_for_is_refused_in_words(name: str, asked: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=f"{next(iter(asked))} is not used here: "):
        engines.options_of({"voice": "v", "engine": name, **asked})


def test_a_resume_goes_to_the_engine_of_its_run(settings: Settings) -> None:
    create_run(settings.runs, "r", "v", "lite").write(RunInfo("r", "v", "lite", "e", options={"engine": "teapot"}))
    with pytest.raises(BadInput, match="teapot"):
        engines.preflight(settings, TrainOptions(resume="r"))
    assert HANDLERS["train"].target == "core.training.engines:run_train"


def measured(settings: Settings, options: RunOptions) -> Check:
    """A trial: it says what it was asked for."""
    return Check("memory", "warn", f"{options.steps}", "less")


def test_a_trial_measures_what_the_options_take(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = replace(engines.ENGINES["sovits"], trial=f"{__name__}:measured")
    monkeypatch.setitem(engines.ENGINES, "sovits", engine)
    run = resolve(HANDLERS["trial"].target)
    answer = run({"voice": "v", "steps": 77}, ForegroundContext(settings))
    assert answer == {"check": {"name": "memory", "verdict": "warn", "detail": "77", "fix": "less"}}
    monkeypatch.setitem(engines.ENGINES, "sovits", replace(engine, trial=""))
    with pytest.raises(BadInput, match="cannot be tried"):
        run({"voice": "v"}, ForegroundContext(settings))
