"""The training job from accepted clips to a voice that converts; what is told when it cannot."""

import json
from pathlib import Path

import pytest

from core.dataset.clips import ClipTable
from core.dataset.voices import Voice, VoiceStore
from core.engines.sovits import train
from core.engines.sovits.export import load_model, read_card
from core.engines.sovits.material import split
from core.engines.sovits.preflight import preflight
from core.engines.sovits.recipes import create_recipe
from core.engines.sovits.verify import verify_in_fresh_process
from core.errors import BadInput, Cancelled, Conflict, NotFound
from core.jobs.context import ForegroundContext
from core.settings import Settings, load_settings
from core.training.options import parse_options
from core.training.proof import BadRender
from core.training.runs import list_runs, open_run
from tests.training.material import export_random, make_examples, make_voice, register_encoder, small_config

BASE = {
    "preset": "lite",
    "steps": 4,
    "batch_size": 2,
    "segment_frames": 12,
    "encoder": "bands",
    "pitch": "dio",
    "save_every_steps": 2,
    "log_every_steps": 1,
    "adversarial_from_step": 99,
}


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    monkeypatch.setattr(train, "preset", lambda name, **_: small_config(name))  # the real sizes take minutes
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})


@pytest.fixture
def voice(settings: Settings) -> Voice:
    return make_voice(settings)


def stopping_context(settings: Settings, when: str) -> ForegroundContext:
    ctx = ForegroundContext(settings, lambda fraction, message: message.startswith(when) and ctx.request_cancel())
    return ctx


def test_stop_resume_complete(settings: Settings, voice: Voice) -> None:
    stopped = train.run_train({"voice": voice.name, **BASE}, stopping_context(settings, "step 3/4"))
    assert (stopped["stopped"], stopped["step"]) == (True, 3)
    assert open_run(settings.runs, stopped["run"]).read().state == "stopped"
    assert read_card(Path(stopped["model"]))["step"] == 3

    done = train.run_train({"resume": stopped["run"], "steps": 5}, ForegroundContext(settings))
    assert (done["run"], done["stopped"], done["step"]) == (stopped["run"], False, 5)
    json.dumps(done, allow_nan=False)
    info = list_runs(settings.runs, voice.name)[0]
    assert (info.state, info.step, info.saved_step, info.pid, info.error) == ("completed", 5, 5, None, None)
    assert done["probe"]["rms_db"] > -60
    assert [row["step"] for row in open_run(settings.runs, info.name).metrics()] == [1, 2, 3, 4, 5]

    folder = Path(done["model"])
    assert folder == voice.models / info.name
    card = read_card(folder)
    assert (card["voice"], card["preset"], card["step"], card["encoder"]) == (voice.name, "lite", 5, "bands")
    assert 100 < card["f0_low"] <= card["f0_median"] <= card["f0_high"] < 400
    load_model(folder)

    data = json.loads((settings.runs / info.name / "data.json").read_text())
    used = [row["id"] for row in data["train"] + data["held_out"]]
    assert sorted(used) == [f"clip{i}" for i in range(5)]  # clip5 was rejected
    assert len(data["held_out"]) == 1


def test_cancel_while_features_are_made_ends_at_once(settings: Settings, voice: Voice) -> None:
    with pytest.raises(Cancelled):
        train.run_train({"voice": voice.name, **BASE}, stopping_context(settings, "Features: 2"))
    assert list_runs(settings.runs)[0].state == "stopped"


def test_a_failure_is_recorded_in_its_words(settings: Settings, voice: Voice) -> None:
    ClipTable(voice).set_verdict([f"clip{i}" for i in range(5)], "rejected")
    with pytest.raises(BadInput, match="no accepted clips"):
        train.run_train({"voice": voice.name, **BASE}, ForegroundContext(settings))
    info = list_runs(settings.runs)[0]
    assert info.state == "failed"
    assert info.error is not None
    assert "no accepted clips" in info.error["message"]


def test_an_unknown_voice_or_run_makes_no_folder(settings: Settings) -> None:
    for params in ({"voice": "nobody", **BASE}, {"resume": "nothing"}):
        with pytest.raises(NotFound):
            train.run_train(params, ForegroundContext(settings))
    assert list_runs(settings.runs) == []


def test_a_run_is_not_resumed_twice_at_a_time_nor_with_another_encoder(settings: Settings, voice: Voice) -> None:
    done = train.run_train({"voice": voice.name, **BASE}, stopping_context(settings, "step 1/4"))
    run = open_run(settings.runs, done["run"])
    info = run.read()
    from core.training.runs import own_process

    info.state = "running"
    info.pid, info.pid_started = own_process()
    run.write(info)
    with pytest.raises(Conflict, match="going on already"):
        train.run_train({"resume": run.name}, ForegroundContext(settings))
    assert [c.verdict for c in preflight(settings, parse_options({"resume": run.name}))] == ["fail"]
    info.state, info.pid, info.encoder_fingerprint = "stopped", None, "older"
    run.write(info)
    with pytest.raises(Conflict, match="another version"):
        train.run_train({"resume": run.name}, ForegroundContext(settings))


def test_changed_clips_are_told_on_resume(settings: Settings, voice: Voice) -> None:
    done = train.run_train({"voice": voice.name, **BASE}, stopping_context(settings, "step 1/4"))
    ClipTable(voice).set_verdict(["clip5"], "accepted")
    train.run_train({"resume": done["run"]}, stopping_context(settings, "step 2/4"))
    assert any("clips changed" in note for note in list_runs(settings.runs)[0].notes)


def test_an_exported_voice_is_checked_in_another_process(settings: Settings, voice: Voice, tmp_path: Path) -> None:
    example = make_examples(tmp_path, n_clips=1, seconds=0.5)[0]
    folder = export_random(voice)
    assert verify_in_fresh_process(folder, example)["rms_db"] > -60

    import torch

    from core.engines.sovits.export import export_model

    generator = load_model(folder).generator
    with torch.no_grad():
        generator.head.bias.fill_(-1000.0)
    export_model(folder, generator, voice.path / "config.json", read_card(folder))
    with pytest.raises(BadRender, match="silence"):
        verify_in_fresh_process(folder, example)


def test_a_voice_that_renders_silence_is_not_called_completed(
    settings: Settings, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def mute(config, options):  # a training that goes wrong without any loss showing it
        recipe = create_recipe(config, options)
        with torch.no_grad():
            recipe.generator.head.bias.fill_(-1000.0)
        return recipe

    monkeypatch.setattr(train, "create_recipe", mute)
    with pytest.raises(BadRender, match="silence"):
        train.run_train({"voice": voice.name, **BASE, "steps": 1}, ForegroundContext(settings))
    info = list_runs(settings.runs)[0]
    assert (info.state, info.saved_step, info.model) == ("failed", 1, None)
    assert info.error is not None
    assert info.error["code"] == "bad_render"
    assert list(voice.models.iterdir()) == []


def test_the_same_clips_are_held_out_everywhere(voice: Voice) -> None:
    clips = [c for c in ClipTable(voice).load() if c.verdict == "accepted"]
    options = parse_options({"voice": voice.name, **BASE})
    train_clips, held, notes = split(clips, options)
    assert (len(train_clips), len(held), notes) == (4, 1, [])
    again = split(list(reversed(clips)), options)[1]
    assert [c.id for c in held] == [c.id for c in again]
    few, probe, notes = split(clips[:2], options)
    assert [c.id for c in probe] == [few[0].id]
    assert "too few" in notes[0]
    chosen = split(clips, options.model_copy(update={"holdout": ["clip1", "clip2"]}))
    assert [c.id for c in chosen[1]] == ["clip1", "clip2"]
    with pytest.raises(BadInput, match="nope"):
        split(clips, options.model_copy(update={"holdout": ["nope"]}))


def test_preflight_answers_each_question(settings: Settings, voice: Voice) -> None:
    checks = {c.name: c for c in preflight(settings, parse_options({"voice": voice.name, **BASE}))}
    assert set(checks) == {
        "data",
        "clips",
        "encoder",
        "pitch",
        "features",
        "disk",
        "device",
        "memory",
        "other runs",
        "base model",
    }
    assert checks["data"].verdict == "warn"  # seconds, not minutes
    assert "5 accepted clips" in checks["data"].detail
    assert all(checks[name].verdict == "ok" for name in ("encoder", "pitch", "device", "other runs"))
    bad = {"voice": voice.name, **BASE, "encoder": "vec768l12", "pitch": "ear", "init_from": "/nowhere.pth"}
    wrong = {c.name: c for c in preflight(settings, parse_options(bad))}
    assert [wrong[name].verdict for name in ("encoder", "pitch", "base model")] == ["fail"] * 3
    assert all(wrong[name].fix for name in ("encoder", "pitch", "base model"))
    standard = {c.name: c for c in preflight(settings, parse_options({"voice": voice.name, "preset": "standard"}))}
    assert standard["device"].verdict == "warn"
    nobody = {c.name: c.verdict for c in preflight(settings, parse_options({"voice": "nobody"}))}
    assert nobody["data"] == "fail"
    empty = VoiceStore(settings.voices_dir).create("empty")
    assert preflight(settings, parse_options({"voice": empty.name}))[0].verdict == "fail"
