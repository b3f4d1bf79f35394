"""Which engine a run is of: by name, by default, and for a resume by the run itself."""

from pathlib import Path

import pytest

from core.errors import BadInput
from core.jobs.handlers import HANDLERS
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


def test_a_resume_goes_to_the_engine_of_its_run(settings: Settings) -> None:
    create_run(settings.runs, "r", "v", "lite").write(RunInfo("r", "v", "lite", "e", options={"engine": "teapot"}))
    with pytest.raises(BadInput, match="teapot"):
        engines.preflight(settings, TrainOptions(resume="r"))
    assert HANDLERS["train"].target == "core.training.engines:run_train"
