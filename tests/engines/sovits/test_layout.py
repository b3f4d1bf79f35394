"""A data set to so-vits-svc 4.1's layout and back: the same clips, the same features, nothing unpickled."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from core.dataset.clips import ClipTable
from core.dataset.voices import VoiceStore
from core.engines.sovits.config import load_config
from core.engines.sovits.layout_read import run_import
from core.engines.sovits.layout_write import run_export
from core.errors import BadInput, Cancelled, Conflict, ModelFileError, NotFound
from core.features import cache
from core.jobs.context import ForegroundContext
from core.models.npy_file import read_npy
from core.models.safe_load import load_checkpoint
from core.settings import Settings, load_settings
from tests.training.material import DIM, BandEncoder, make_voice, register_encoder


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1})


def export(settings: Settings, out: Path, **more: object) -> dict[str, object]:
    params = {"voices": ["ann"], "out": str(out), "encoder": "bands", "pitch": "dio", **more}
    return run_export(params, ForegroundContext(settings))


def test_there_and_back(settings: Settings, tmp_path: Path) -> None:
    make_voice(settings, "ann", n_clips=5, seconds=0.5)
    out = tmp_path / "so-vits"
    assert export(settings, out, vol_embedding=True)["clips"] == 5
    clip = out / "dataset" / "44k" / "ann" / "clip0.wav"
    n_frames = (clip.stat().st_size - 44) // 2 // 512
    units = load_checkpoint(f"{clip}.soft.pt")
    assert units.dtype == torch.float32
    assert units.shape[:2] == (1, DIM)
    assert load_checkpoint(clip.with_suffix(".spec.pt")).shape == (1025, n_frames)
    curves = read_npy(Path(f"{clip}.f0.npy"))
    assert (curves.shape, curves.dtype) == ((2, n_frames), np.dtype(object))
    assert set(curves[1]) <= {0.0, 1.0}
    assert min(curves[0]) > 40  # held across unvoiced frames
    assert np.load(f"{clip}.vol.npy").shape == (n_frames,)
    lists = [(out / "filelists" / f"{role}.txt").read_text().split() for role in ("train", "val")]
    assert sorted(lists[0] + lists[1]) == [f"./dataset/44k/ann/clip{i}.wav" for i in range(5)]
    config = load_config(out / "configs" / "config.json")
    assert (config.spk, config.model.ssl_dim, config.train.vol_aug) == ({"ann": 0}, DIM, True)
    assert yaml.safe_load((out / "configs" / "diffusion.yaml").read_text())["spk"] == {"ann": 0}

    store = VoiceStore(settings.voices_dir)
    store.rename("ann", "before")
    spec = cache.spec_of(BandEncoder(), "rmvpe")
    (result,) = run_import({"folder": str(out)}, ForegroundContext(settings))["voices"]
    assert (result["clips"], result["features"], result["skipped"]) == (5, 5, [])
    old = {one.id: one for one in ClipTable(store.get("before")).load()}
    for made in ClipTable(store.get("ann")).load():
        assert made.sha256 == old[made.id].sha256
        assert made.verdict == "accepted"
        folder = settings.cache_dir / "features"
        back = cache.load(cache.path_of(folder, spec, made.sha256))
        first = cache.load(cache.path_of(folder, cache.spec_of(BandEncoder(), "dio"), made.sha256))
        torch.testing.assert_close(back.units, first.units)
        torch.testing.assert_close(back.f0, first.f0)
        torch.testing.assert_close(back.volume, first.volume)


def test_several_voices_are_the_speakers_of_one_set(settings: Settings, tmp_path: Path) -> None:
    for name in ("ann", "小明"):
        make_voice(settings, name, n_clips=4, seconds=0.4)
    out = tmp_path / "both"
    result = export(settings, out, voices=["小明", "ann"])
    assert (result["clips"], result["speakers"]) == (8, ["小明", "ann"])
    assert load_config(out / "configs" / "config.json").spk == {"小明": 0, "ann": 1}
    assert yaml.safe_load((out / "configs" / "diffusion.yaml").read_text("utf-8"))["spk"] == {"小明": 0, "ann": 1}
    train = (out / "filelists" / "train.txt").read_text("utf-8").split()
    assert {line.split("/")[3] for line in train} == {"小明", "ann"}
    assert all((out / line).is_file() for line in train)
    with pytest.raises(BadInput, match="named once"):
        export(settings, tmp_path / "c", voices=["ann", "ann"])


def test_nothing_is_overwritten_and_nothing_is_invented(settings: Settings, tmp_path: Path) -> None:
    make_voice(settings, "ann", n_clips=4, seconds=0.4)
    export(settings, tmp_path / "a")
    with pytest.raises(Conflict, match="exists already"):
        export(settings, tmp_path / "a")
    with pytest.raises(Conflict):
        run_import({"folder": str(tmp_path / "a")}, ForegroundContext(settings))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="no data set"):
        run_import({"folder": str(tmp_path / "empty")}, ForegroundContext(settings))


def test_a_set_of_an_encoder_that_is_not_here_comes_without_features(settings: Settings, tmp_path: Path) -> None:
    make_voice(settings, "ann", n_clips=4, seconds=0.4)
    export(settings, tmp_path / "a")
    file = tmp_path / "a" / "configs" / "config.json"
    raw = json.loads(file.read_text())
    raw["model"]["speech_encoder"] = "whisper-ppg"
    file.write_text(json.dumps(raw))
    VoiceStore(settings.voices_dir).delete("ann")
    (tmp_path / "a" / "dataset" / "44k" / "ann" / "broken.wav").write_bytes(b"RIFF")
    (result,) = run_import({"folder": str(tmp_path / "a")}, ForegroundContext(settings))["voices"]
    assert (result["clips"], result["features"]) == (4, 0)
    assert result["skipped"][0]["name"] == "broken.wav"


def test_a_cancelled_import_leaves_no_voice(settings: Settings, tmp_path: Path) -> None:
    make_voice(settings, "ann", n_clips=4, seconds=0.4)
    export(settings, tmp_path / "a")
    VoiceStore(settings.voices_dir).delete("ann")
    ctx = ForegroundContext(settings, lambda _, message: "clip1" in message and ctx.request_cancel())
    with pytest.raises(Cancelled):
        run_import({"folder": str(tmp_path / "a")}, ctx)
    assert VoiceStore(settings.voices_dir).list() == []


class _Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_object_arrays_are_read_without_running_them(tmp_path: Path) -> None:
    mel = np.ones((3, 4), np.float32)
    pair = np.empty(2, object)
    pair[0], pair[1] = mel, 2.5
    np.save(tmp_path / "a.npy", pair)
    found = read_npy(tmp_path / "a.npy")
    np.testing.assert_array_equal(found[0], mel)
    assert found[1] == 2.5
    np.save(tmp_path / "b.npy", np.arange(5))
    np.testing.assert_array_equal(read_npy(tmp_path / "b.npy"), np.arange(5))
    pair[0] = _Hostile(tmp_path / "mark")
    np.save(tmp_path / "c.npy", pair)
    (tmp_path / "d.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-9])
    for name, says in (("c.npy", "more than numbers"), ("d.npy", "damaged")):
        with pytest.raises(ModelFileError, match=says):
            read_npy(tmp_path / name)
    assert not (tmp_path / "mark").exists()
