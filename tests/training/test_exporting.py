"""The job "export" writes what the run's engine writes, beside the run, and says where; nothing for other runs."""

from pathlib import Path

import pytest

from core.errors import BadInput, NotFound
from core.jobs.context import ForegroundContext
from core.jobs.handlers import HANDLERS, resolve
from core.settings import Settings
from core.training import engines, exporting, generations
from core.training.engines import TrainEngine
from core.training.runs import Run, RunInfo, create_run


def write_step(generation: generations.Generation, config_file: Path, folder: Path) -> list[Path]:
    """An exporter: the step and the configuration in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{generation.step}.txt"
    path.write_text(config_file.read_text())
    return [path]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of a made-up engine with one checkpoint."""
    teapot = TrainEngine("", "", "", (), f"{__name__}:write_step", ("large",))
    monkeypatch.setitem(engines.ENGINES, "teapot", teapot)
    made = create_run(settings.runs, "r", "v", "large")
    made.write(RunInfo("r", "v", "large", "", options={"engine": "teapot"}))
    made.config_file.write_text("{}")
    generations.save_generation(made.checkpoints, 7, {}, {"step": 7}, {})
    return made


def test_a_checkpoint_is_exported_beside_its_run(run: Run, settings: Settings) -> None:
    assert exporting.can_export(run.read())
    assert exporting.exported(run) == []
    job = resolve(HANDLERS["export"].target)
    result = job({"run": "r", "step": 7}, ForegroundContext(settings))
    assert result == {"folder": str(run.path / "export"), "files": ["7.txt"]}
    assert [path.read_text() for path in exporting.exported(run)] == ["{}"]
    with pytest.raises(NotFound, match="step 8"):
        job({"run": "r", "step": 8}, ForegroundContext(settings))


def test_runs_that_no_other_program_takes(run: Run, settings: Settings) -> None:
    info = run.read()
    info.preset = "small"
    run.write(info)
    assert not exporting.can_export(info)
    with pytest.raises(BadInput, match="No other program"):
        exporting.run_export({"run": "r", "step": 7}, ForegroundContext(settings))
    assert not exporting.can_export(RunInfo("r", "v", "lite", "e")), "so-vits-svc does not know lite"
    assert exporting.can_export(RunInfo("r", "v", "standard", "e"))
    assert not exporting.can_export(RunInfo("r", "v", "large", "e", options={"engine": "gone"}))
