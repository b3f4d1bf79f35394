"""A run's manifest makes the run again, bit for bit; runs are cloned, compared and thrown away."""

import json
import shutil

import pytest

from core.dataset.voices import Voice
from core.engines.sovits import train
from core.errors import BadInput, Conflict, NotFound
from core.jobs.context import ForegroundContext
from core.settings import Settings
from core.training import generations, reproduce
from core.training.desk import TrainingDesk
from core.training.runs import RunInfo, list_runs, open_run, own_process
from tests.training.material import TINY_RUN

BASE = TINY_RUN


def weights(settings: Settings, run: str) -> dict[str, bytes]:
    found, _ = generations.load_newest(open_run(settings.runs, run).checkpoints)
    assert found is not None
    return {k: v.numpy().tobytes() for part in ("generator", "discriminator") for k, v in found.tensors[part].items()}


def test_the_same_manifest_gives_the_same_weights(settings: Settings, voice: Voice) -> None:
    desk = TrainingDesk(settings)
    first = train.run_train({"voice": voice.name, **BASE}, ForegroundContext(settings))["run"]
    manifest = desk.manifest(first)
    assert {"options", "config", "data_hash", "code_hash", "versions", "device", "clips"} <= manifest.keys()
    assert len(manifest["clips"]["train"]) == 4
    shutil.rmtree(settings.cache_dir)  # features are made again
    again, differs = desk.recreate(settings.runs / first / "manifest.json", "again")
    assert (again, differs) == ("again", [])
    train.run_train({"resume": again}, ForegroundContext(settings))
    assert weights(settings, first) == weights(settings, again)
    assert open_run(settings.runs, again).read().notes == [f"Repeats the run '{first}'."]

    other = dict(manifest, options={**manifest["options"], "seed": 5}, code_hash="older", data_hash="other")
    third, differs = desk.recreate(json.dumps(other).encode(), "third")
    assert "code differs" in differs[0]
    train.run_train({"resume": third}, ForegroundContext(settings))
    assert weights(settings, first) != weights(settings, third)
    assert any("clips changed" in note for note in open_run(settings.runs, third).read().notes)


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"format": 1}', b'{"format": 9, "options": {}, "config": {}}'])
def test_what_is_no_manifest(data: bytes) -> None:
    with pytest.raises(BadInput, match="manifest"):
        reproduce.check_manifest(data, "x")


def test_a_manifest_of_a_voice_or_option_that_is_not_here(settings: Settings, voice: Voice) -> None:
    desk = TrainingDesk(settings)
    whole = {"format": 1, "options": {"voice": "nobody"}, "config": {}}
    with pytest.raises(NotFound):
        desk.recreate(json.dumps(whole).encode())
    whole["options"] = {"voice": voice.name, "warp": 9}
    with pytest.raises(BadInput, match="warp"):
        desk.recreate(json.dumps(whole).encode())
    assert list_runs(settings.runs) == []
    with pytest.raises(NotFound):
        desk.recreate(settings.workspace / "nothing.json")


def make_run(settings: Settings, name: str, **more: object) -> RunInfo:
    from core.training.options import parse_options
    from core.training.runs import create_run

    run = create_run(settings.runs, name, "v", "lite")
    options = parse_options({"voice": "v", **BASE, **more}).model_dump()
    info = RunInfo(run.name, "v", "lite", "bands", state="stopped", options=options, versions={"torch": "2"})
    run.write(info)
    return info


def test_clone_and_diff(settings: Settings) -> None:
    desk = TrainingDesk(settings)
    make_run(settings, "one")
    make_run(settings, "two", seed=7, batch_size=4)
    assert desk.diff("one", "two") == [("batch_size", 2, 4), ("seed", 1234, 7)]
    assert desk.diff("one", "one") == []
    options = desk.clone("two", {"steps": 9})
    assert (options["steps"], options["seed"], options["name"]) == (9, 7, None)
    assert "resume" not in options
    with pytest.raises(BadInput, match="stepps"):
        desk.clone("two", {"stepps": 9})
    info = open_run(settings.runs, "one").read()
    del info.options["accumulate"]  # a run of the first version
    open_run(settings.runs, "one").write(info)
    assert desk.diff("one", "two") == [("batch_size", 2, 4), ("seed", 1234, 7)]


def test_a_deleted_run_lies_in_the_trash(settings: Settings) -> None:
    desk = TrainingDesk(settings)
    info = make_run(settings, "one")
    info.state = "running"
    info.pid, info.pid_started = own_process()
    open_run(settings.runs, "one").write(info)
    with pytest.raises(Conflict, match="going on"):
        desk.delete("one")
    info.state = "stopped"
    open_run(settings.runs, "one").write(info)
    place = desk.delete("one")
    assert (place / "run.json").is_file()
    assert list_runs(settings.runs) == []
    with pytest.raises(NotFound):
        desk.delete("one")


def test_checkpoints_listening_and_the_best_of_a_run(settings: Settings, voice: Voice) -> None:
    desk = TrainingDesk(settings)
    params = {"voice": voice.name, **BASE, "save_every_steps": 1, "measures": True}
    run = train.run_train(params, ForegroundContext(settings))["run"]
    found = desk.checkpoints(run)
    assert [c.step for c in found] == [3, 2, 1]
    assert all(c.light and c.probes for c in found)
    assert desk.star(run, 1, label="warm") == {1: "warm"}
    assert desk.disk_use(run).total > 0
    assert desk.stop_takes_s(run) > 0
    best = desk.suggest_best(run)
    assert best is not None
    assert best.step in (1, 2, 3)
    assert {"mel_distance", "level_db"} <= best.ranking[0].figures.keys()
    test = desk.start_listening(run, 1, 3, rounds=2, seed=0)
    asked = desk.next_question(run, test.id)
    assert asked is not None
    assert desk.vote(run, test.id, asked.number, "first") is not None
    assert desk.vote(run, test.id, 1, "same") is None
    assert desk.close_listening(run, test.id).n_voted == 2
    assert desk.listening_tests(run)[0].closed
    for steps in ((1, 1), (1, 99)):
        with pytest.raises(BadInput):
            desk.start_listening(run, *steps)


def test_a_run_that_has_not_started_differs_in_no_versions() -> None:
    one, other = (RunInfo("r", "v", "lite", "e", versions=versions) for versions in ({"torch": "2"}, {}))
    assert reproduce.diff(one, other) == []
    other.versions = {"torch": "3"}
    assert reproduce.diff(one, other) == [("version of torch", "2", "3")]
