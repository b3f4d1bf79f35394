"""Lines before the start: what is missing is found before hours are spent, with a fix."""

from pathlib import Path

import pytest

from core import device
from core.dataset.voices import Voice
from core.device import DeviceInfo, DiskInfo
from core.engines.sovits import trial
from core.engines.sovits.preflight import preflight, tried
from core.features import cache
from core.settings import Settings, load_settings
from core.training import engines
from core.training.options import parse_options
from core.training.runs import RunInfo, create_run
from tests.training.material import BandEncoder, make_voice, register_encoder, small_config

BASE = {"preset": "lite", "encoder": "bands", "pitch": "dio", "steps": 100}
GIB = 1 << 30


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})


@pytest.fixture
def voice(settings: Settings) -> Voice:
    return make_voice(settings)


def checks(settings: Settings, **options: object) -> dict[str, tuple[str, str, str]]:
    found = preflight(settings, parse_options({**BASE, **options}))
    return {c.name: (c.verdict, c.detail, c.fix) for c in found}


def test_clips_that_are_gone_or_cut_are_found(settings: Settings, voice: Voice) -> None:
    assert checks(settings, voice=voice.name)["clips"][0] == "ok"
    (voice.sliced / "clip1.wav").unlink()
    whole = (voice.sliced / "clip2.wav").read_bytes()
    (voice.sliced / "clip2.wav").write_bytes(whole[: len(whole) // 2])
    verdict, detail, fix = checks(settings, voice=voice.name)["clips"]
    assert verdict == "fail"
    assert "2 of 5" in detail
    assert "clip1" in detail
    assert fix


def test_features_are_counted(settings: Settings, voice: Voice) -> None:
    assert "0 of 5" in checks(settings, voice=voice.name)["features"][1]
    clips = [voice.sliced / f"clip{i}.wav" for i in range(2)]
    encoder = BandEncoder()
    cache.extract(clips, cache.spec_of(encoder, "dio"), settings.cache_dir / "features", encoder=encoder, workers=1)
    assert "2 of 5" in checks(settings, voice=voice.name)["features"][1]
    assert "0 of 5" in checks(settings, voice=voice.name, pitch="harvest")["features"][1]


def test_room_for_all_that_is_kept(settings: Settings, voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "disk", lambda path: DiskInfo(100 * GIB, GIB // 2))
    assert checks(settings, voice=voice.name)["disk"][0] == "ok"
    many = checks(settings, voice=voice.name, steps=100_000, save_every_steps=500, keep_every_steps=500)["disk"]
    assert many[0] == "fail"
    assert "fewer checkpoints" in many[2]
    probes = checks(settings, voice=voice.name, steps=100_000, save_every_steps=500, probes=16)["disk"]
    assert probes[0] == "fail"


def test_a_batch_that_does_not_fit_gets_an_offer(
    settings: Settings, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "info", lambda setting="auto": DeviceInfo("GPU", "cuda", 8 * GIB, 6 * GIB, 0.0))
    verdict, detail, fix = checks(settings, voice=voice.name, preset="standard", batch_size=16)["memory"]
    assert verdict == "warn"
    assert "longest clip 1.1 s" in detail
    assert "accumulated" in fix
    tight = {"voice": voice.name, "preset": "standard"}
    monkeypatch.setattr(device, "info", lambda setting="auto": DeviceInfo("GPU", "cuda", 8 * GIB, GIB, 0.9))
    found = checks(settings, **tight)
    assert found["memory"][0] == "fail"
    assert found["ram"][0] == "warn"
    assert found["gpu"][0] == "warn"
    assert "90%" in found["gpu"][1]


def test_the_base_model_of_a_large_preset(settings: Settings, voice: Voice, tmp_path: Path) -> None:
    assert checks(settings, voice=voice.name)["base model"][0] == "ok"
    assert checks(settings, voice=voice.name, preset="standard")["base model"][0] == "warn"
    (tmp_path / "G_0.pth").touch()
    found = checks(settings, voice=voice.name, preset="standard", init_from=str(tmp_path / "G_0.pth"))
    assert found["base model"][0] == "ok"


def test_room_to_go_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(settings.runs, "r", "v", "lite")
    run.write(RunInfo("r", "v", "lite", "bands", state="stopped", saved_step=40))
    found = preflight(settings, parse_options({"resume": "r"}))
    assert [c.verdict for c in found] == ["ok", "ok"]
    assert "step 40" in found[0].detail
    monkeypatch.setattr(device, "disk", lambda path: DiskInfo(100 * GIB, 1000))
    assert preflight(settings, parse_options({"resume": "r"}))[1].verdict == "fail"


def test_the_memory_line_can_be_measured(settings: Settings, voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    options = parse_options({**BASE, "voice": voice.name, "batch_size": 4})
    # Here in this process and on a small model: a fresh one and the real sizes only take longer.
    monkeypatch.setattr(trial, "preset", lambda name, **_: small_config(name))
    monkeypatch.setattr(trial, "measure_in_fresh_process", trial.measure)
    check = tried(settings, options)
    assert check.verdict == "ok"
    assert "measured" in check.detail
    sound = trial._steps

    def greedy(recipe, chosen, batch_size, *rest):
        import torch

        if batch_size > 1:
            torch.empty(1 << 50)
        return sound(recipe, chosen, batch_size, *rest)

    monkeypatch.setattr(trial, "_steps", greedy)
    check = tried(settings, options)
    assert check.verdict == "warn"
    assert "take 1 with 4 accumulated" in check.fix


def test_gpus_and_processes_that_train_together(
    settings: Settings, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def devices(**options: object) -> tuple[str, str] | None:
        found = engines.preflight(settings, parse_options({**BASE, "voice": voice.name, **options}))
        return next(((c.verdict, c.detail) for c in found if c.name == "devices"), None)

    assert devices() is None
    assert devices(ranks=1000) == ("warn", f"1000 processes, {device.cpu_count()} CPUs")
    assert devices(devices="gpu")[0] == "fail"  # type: ignore[index]
    two = [DeviceInfo("GPU", "cuda", 8 * GIB, 6 * GIB, 0.0)] * 2
    monkeypatch.setattr(device, "gpu_list", lambda: two)
    assert devices(devices="0,1") == ("fail", "GPU 0, 1 is not here (0 found)")  # the device is set to cpu
    settings = settings.model_copy(update={"device": "auto"})
    assert devices(devices="0,1") == ("ok", "GPUs 0,1")
    assert devices(devices="0,2") == ("fail", "GPU 2 is not here (2 found)")
    assert devices(ranks=3)[0] == "fail"  # type: ignore[index]


def test_a_run_on_a_cluster_is_not_judged_by_this_machine(settings: Settings, voice: Voice) -> None:
    options = parse_options({**BASE, "voice": voice.name, "cluster": "127.0.0.1:1", "devices": "7"})
    found = {c.name: c.verdict for c in engines.preflight(settings, options)}
    assert found["cluster"] == "fail"
    assert found["data"] in ("ok", "warn")
    assert not {"memory", "device", "devices"} & set(found)
