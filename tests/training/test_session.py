"""A run's start and end as run.json tells them; what a resume may change; one process at a time."""

import json

import pytest

from core.dataset.voices import Voice
from core.engines.sovits import train
from core.errors import BadInput, Conflict
from core.jobs.context import ForegroundContext
from core.settings import Settings
from core.studio import Studio
from core.training.alive import RunLock
from core.training.generations import sha256_of
from core.training.health import OutOfMemory
from core.training.runs import RunInfo, create_run, list_runs, open_run
from core.training.session import guarded, resume_params
from tests.training.material import TINY_RUN

BASE = {**TINY_RUN, "batch_size": 4}


def test_after_running_out_of_memory_the_offer_goes_on(
    settings: Settings, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: caught, explained, offered, taken up from the last checkpoint."""
    from core.engines.sovits import lite_recipe

    sound = lite_recipe.LiteRecipe.forward

    def greedy(self, batch, step):
        import torch

        if step == 2 and len(batch.sid) > 2:
            torch.empty(1 << 50)
        return sound(self, batch, step)

    monkeypatch.setattr(lite_recipe.LiteRecipe, "forward", greedy)
    with pytest.raises(OutOfMemory):
        train.run_train({"voice": voice.name, **BASE, "name": "r"}, ForegroundContext(settings))
    info = open_run(settings.runs, "r").read()
    assert (info.state, info.offer) == ("failed", {"batch_size": 2, "accumulate": 2})
    assert info.error is not None
    assert info.error["code"] == "out_of_memory"
    done = train.run_train({"resume": "r", **info.offer}, ForegroundContext(settings))
    assert (done["step"], done["stopped"]) == (3, False)
    info = open_run(settings.runs, "r").read()
    assert (info.state, info.offer) == ("completed", None)
    assert [session["from_step"] for session in info.sessions] == [0, 2]
    assert "From step 2 on batch_size is 2 (it was 4)." in info.notes


def test_a_run_that_saved_nothing_says_that_it_begins_anew(settings: Settings, voice: Voice) -> None:
    def stop(fraction: float, message: str) -> None:
        if message.startswith("step 1/"):
            raise KeyboardInterrupt  # a process that dies in its first step

    with pytest.raises(KeyboardInterrupt):
        train.run_train({"voice": voice.name, **BASE, "name": "r"}, ForegroundContext(settings, stop))
    train.run_train({"resume": "r"}, ForegroundContext(settings))
    assert any("first step again" in note for note in open_run(settings.runs, "r").read().notes)


def test_a_run_of_the_first_version_goes_on(settings: Settings, voice: Voice) -> None:
    """run.json, manifest and state as session 1 of the studio wrote them."""
    new_options = ("accumulate", "keep_every_steps", "keep_light", "compile", "measures")
    stop = ForegroundContext(settings, lambda f, message: message.startswith("step 2/") and stop.request_cancel())
    train.run_train({"voice": voice.name, **BASE, "name": "r"}, stop)
    run = open_run(settings.runs, "r")
    record = json.loads((run.path / "run.json").read_text())
    for name in ("host", "boot_id", "paused", "offer", "sessions", "save_s", "step_s", "manifest"):
        record.pop(name)
    record["options"] = {k: v for k, v in record["options"].items() if k not in new_options}
    record["state"], record["pid"], record["pid_started"] = "running", 2**22 + 1, 1.7e9
    (run.path / "run.json").write_text(json.dumps(record))
    (run.path / "manifest.json").unlink()
    place = run.checkpoints / "step_00000002"
    state = json.loads((place / "state.json").read_text())
    (place / "state.json").write_text(json.dumps({k: v for k, v in state.items() if k not in ("window", "guard")}))
    manifest = json.loads((place / "manifest.json").read_text())
    file = place / "state.json"
    manifest["files"]["state.json"] = {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
    del manifest["manifest_sha256"]
    (place / "manifest.json").write_text(json.dumps({**manifest, "format": 1}))
    assert list_runs(settings.runs)[0].state == "interrupted"
    done = train.run_train({"resume": "r"}, ForegroundContext(settings))
    assert (done["step"], done["stopped"]) == (3, False)
    assert open_run(settings.runs, "r").read().sessions[0]["from_step"] == 2


def test_two_processes_never_train_one_run(settings: Settings) -> None:
    run = create_run(settings.runs, "r", "v", "lite")
    info = RunInfo("r", "v", "lite", "bands")
    with RunLock(run.path), pytest.raises(Conflict, match="another process"), guarded(run, info):
        pass
    assert not (run.path / "run.json").exists()  # the other one's record is left alone


def test_what_a_resume_may_change() -> None:
    info = RunInfo("r", "v", "lite", "bands", options={"voice": "v", **BASE})
    assert resume_params("r", info, {"steps": 9, "batch_size": None}) == {"resume": "r", "steps": 9}
    with pytest.raises(BadInput, match="seed"):
        resume_params("r", info, {"seed": 3})
    with pytest.raises(BadInput, match="steps"):
        resume_params("r", info, {"steps": 0})


def test_the_doors_reach_all_of_it(settings: Settings, voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(settings)
    try:
        params = {"voice": voice.name, **BASE, "init_from": "/nowhere.pth"}
        with pytest.raises(Conflict, match="base model"):
            studio.train(params)
        assert studio.train(params, overrule=True).kind == "train"
        run = create_run(settings.runs, "r", voice.name, "lite")
        run.write(RunInfo("r", voice.name, "lite", "bands", state="stopped", options=params, saved_step=2))
        with pytest.raises(BadInput, match="seed"):
            studio.resume("r", seed=3)
        job = studio.resume("r", batch_size=2, accumulate=2)
        assert job.params == {"resume": "r", "batch_size": 2, "accumulate": 2}
        assert studio.training.checkpoints("r") == []
        assert json.dumps(studio.training.clone("r", {"seed": 3}))
    finally:
        studio.close()
