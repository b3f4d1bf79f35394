"""A voice is taken away with its runs and jobs, wholly or not at all, and never for good."""

from pathlib import Path
from typing import Any

import pytest

from core.dataset.voices import VoiceStore
from core.errors import Conflict, NotFound
from core.jobs.store import JobStore
from core.removal import delete_voice
from core.settings import Settings, load_settings
from core.training import runs
from core.training.alive import boot_id, host, own_process
from core.training.runs import RunInfo, create_run


@pytest.fixture
def settings(workspace: Path) -> Settings:
    made = load_settings({"workspace": workspace})
    for name in ("Ann", "Ann B"):
        VoiceStore(made.voices_dir).create(name)
        start_run(made, f"{name} run", name)
    return made


def start_run(settings: Settings, name: str, voice: str, **info: Any) -> None:
    run = create_run(settings.runs, name, voice, "lite")
    given = {"name": name, "voice": voice, "preset": "lite", "encoder": "builtin", "state": "stopped", "step": 1}
    given |= {"steps": 2, "saved_step": 1, "options": {"voice": voice}, "started_at": 1.0}
    run.write(RunInfo(**{**given, **info}))


def test_all_of_it_goes_and_nothing_else(settings: Settings) -> None:
    store = JobStore(settings.database)
    job, other = (store.add("prep", {}, lane="cpu", voice=name) for name in ("Ann", "Ann B"))
    grave = delete_voice(settings, store, "Ann")
    assert grave.is_dir()
    assert grave.parent == settings.voices_dir / ".trash"
    assert [voice.name for voice in VoiceStore(settings.voices_dir).list()] == ["Ann B"]
    assert (runs.list_runs(settings.runs, "Ann"), len(runs.list_runs(settings.runs, "Ann B"))) == ([], 1)
    assert len(list((settings.runs / ".trash").glob("*/run.json"))) == 1
    assert store.get(job.id).voice == f".trash/{grave.name}"
    assert store.get(other.id).voice == "Ann B"
    with pytest.raises(NotFound):
        delete_voice(settings, store, "Ann")


def test_a_run_that_is_going_on_keeps_everything(settings: Settings) -> None:
    pid, started = own_process()
    here = {"pid": pid, "pid_started": started, "host": host(), "boot_id": boot_id()}
    start_run(settings, "second", "Ann", state="running", **here)
    with pytest.raises(Conflict, match="going on"):
        delete_voice(settings, JobStore(settings.database), "Ann")
    assert VoiceStore(settings.voices_dir).get("Ann")
    assert len(runs.list_runs(settings.runs, "Ann")) == 2
