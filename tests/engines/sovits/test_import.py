"""A folder of so-vits-svc dropped in: told file by file, installed, and used by `convert` at once."""

import hashlib
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.engines.sovits.convert import run_convert
from core.engines.sovits.export import load_model
from core.engines.sovits.import_job import run_import
from core.engines.sovits.import_look import look
from core.errors import BadInput, NotFound
from core.jobs.context import ForegroundContext
from core.models.safe_load import load_checkpoint
from core.settings import Settings, load_settings
from tests.conftest import save_wav
from tests.engines.sovits.test_anatomy import config
from tests.engines.sovits.upstream_folder import (
    KMEANS,
    make_folder,
    write_config,
    write_diffusion,
    write_generator,
    write_kmeans,
)

pytest.importorskip("faiss")


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TIMBRE_PRETRAIN_DIR", str(workspace / "pretrain"))
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1})


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read it, never write to it."""
    torch.set_num_threads(1)
    return make_folder(tmp_path_factory.mktemp("up") / "so-vits-svc")


def do_import(settings: Settings, *paths: Path, **options: Any) -> dict[str, Any]:
    return run_import({"paths": [str(path) for path in paths], **options}, ForegroundContext(settings))


def digests(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def row(result: dict[str, Any], end: str) -> dict[str, Any]:
    return next(one for one in result["files"] if one["name"].endswith(end))


def test_a_look_tells_every_file_and_changes_nothing(upstream: Path, settings: Settings) -> None:
    before = digests(upstream)
    result = do_import(settings, upstream, look=True)
    kinds = {one["name"].removeprefix("so-vits-svc/"): one["kind"] for one in result["files"]}
    assert kinds == {
        "configs/config.json": "config",
        "logs/44k/D_0.pth": "discriminator",
        "logs/44k/D_1600.pth": "discriminator",
        "logs/44k/D_800.pth": "discriminator",
        "logs/44k/G_0.pth": "generator",
        "logs/44k/G_1600.pth": "generator",
        "logs/44k/G_800.pth": "generator",
        "logs/44k/config.json": "config",
        "logs/44k/diffusion/config.yaml": "diffusion-config",
        "logs/44k/diffusion/model_4000.pt": "diffusion",
        "logs/44k/feature_and_index.pkl": "index",
        "logs/44k/kmeans_10000.pt": "kmeans",
        "pretrain/checkpoint_best_legacy_500.pt": "encoder",
        "pretrain/nsf_hifigan/config.json": "vocoder-config",
        "pretrain/nsf_hifigan/model": "vocoder",
    }
    assert "4.0 or 4.1" in row(result, "G_800.pth")["says"]
    assert "60 units of 256 values" in row(result, "index.pkl")["says"]
    assert all(one["problem"] == "" for one in result["files"])
    (voice,) = result["voices"]
    assert (voice["voice"], voice["model"], voice["speakers"]) == ("so-vits-svc", "G_1600", ["ann", "bob", "cy"])
    assert set(voice["beside"]) == {"discriminator", "diffusion", "diffusion-config", "kmeans", "index"}
    assert voice["needs"] == ""  # its encoder comes with it
    assert not settings.voices_dir.exists()
    assert not (settings.pretrain_dir / "contentvec").exists()
    assert digests(upstream) == before


def test_a_folder_becomes_a_voice_that_converts(upstream: Path, settings: Settings, tmp_path: Path) -> None:
    before = digests(upstream)
    result = do_import(settings, upstream, voice="安")
    assert digests(upstream) == before
    (voice,) = result["voices"]
    folder = Path(voice["folder"])
    assert folder == settings.voices_dir / "安" / "models" / "G_1600"
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert names == [
        *("card.json", "config.json", "diffusion/config.yaml", "diffusion/model_4000.safetensors"),
        *("discriminator.safetensors", "kmeans.safetensors", "model.safetensors", "retrieval.safetensors"),
    ]
    original = load_checkpoint(upstream / "logs/44k/G_1600.pth")["model"]
    for name, tensor in load_file(folder / "model.safetensors").items():
        assert torch.equal(tensor, original[name]), name
    np.testing.assert_array_equal(load_file(folder / "kmeans.safetensors")["bob"].numpy(), KMEANS * 2)
    card = json.loads((folder / "card.json").read_text())
    assert (card["step"], card["encoder"], card["imported"]["from"]) == (
        1600, "vec256l9", "so-vits-svc/logs/44k/G_1600.pth",
    )  # fmt: skip
    bases = settings.pretrain_dir / "base" / "256"
    assert sorted(p.name for p in bases.iterdir()) == ["D_0.safetensors", "G_0.safetensors"]
    wav = save_wav(tmp_path / "a.wav", 0.3 * np.sin(np.arange(22050) * 2 * np.pi * 220 / 44100), 44100)
    options = {"voice": "安", "source": str(wav), "pitch": "dio", "speaker": "bob", "blend": 0.5}
    done = run_convert(options, ForegroundContext(settings))
    assert Path(done["output"]).stat().st_size > 40_000
    again = do_import(settings, upstream, voice="安")
    assert again["voices"][0]["new"] is False
    assert len(list((settings.voices_dir / "安" / "models").iterdir())) == 1
    assert "was here already" in next(one["what"] for one in again["installed"] if "hifigan" in one["name"])


def test_a_zip_is_the_same_as_its_folder(upstream: Path, settings: Settings, tmp_path: Path) -> None:
    archive = tmp_path / "小雨.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in ("G_1600.pth", "config.json", "kmeans_10000.pt"):
            packed.write(upstream / "logs/44k" / name, f"44k/{name}")
    result = do_import(settings, archive)
    assert result["voices"][0]["voice"] == "小雨"
    load_model(Path(result["voices"][0]["folder"]))
    assert list(settings.cache_dir.glob("import-*")) == []


def test_every_checkpoint_on_request(upstream: Path, settings: Settings) -> None:
    logs = upstream / "logs" / "44k"
    result = do_import(settings, logs / "G_800.pth", logs / "G_1600.pth", logs / "config.json", voice="a", every=True)
    assert sorted(one["model"] for one in result["voices"]) == ["G_1600", "G_800"]
    assert len(list((settings.voices_dir / "a" / "models").iterdir())) == 2


@pytest.mark.parametrize(
    ("theirs", "beside", "problem", "encoder"),
    [
        ({"ssl_dim": 256}, {"ssl_dim": 768, "speech_encoder": "vec768l12"}, "another content encoder", "vec256l9"),
        ({}, {"n_speakers": 200}, "3 speakers", "vec256l9"),
        ({"ssl_dim": 768}, None, "no config.json", "vec768l12"),
        ({"vol_embedding": True}, {}, "loudness embedding", "vec256l9"),
    ],
)
def test_a_config_that_does_not_fit_is_told_and_made_to_fit(
    settings: Settings,
    tmp_path: Path,
    theirs: dict[str, Any],
    beside: dict[str, Any] | None,
    problem: str,
    encoder: str,
) -> None:
    made = config(speech_encoder="vec256l9", **theirs)
    write_generator(tmp_path / "小雨" / "model.pth", made)
    if beside is not None:
        write_config(tmp_path / "小雨" / "config.json", config(**{"speech_encoder": "vec256l9", **beside}))
    result = do_import(settings, tmp_path / "小雨")
    told = row(result, "model.pth")
    assert problem in told["problem"]
    assert told["fix"]
    assert told["usable"]
    (voice,) = result["voices"]
    assert (voice["voice"], voice["encoder"]) == ("小雨", encoder)
    assert voice["needs"]  # where to get the encoder
    load_model(Path(voice["folder"]))


def test_companions_of_another_encoder_are_left_out_with_a_reason(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "ann"
    made = config(ssl_dim=24, speech_encoder="vec256l9")
    write_generator(folder / "G_5.pth", made)
    write_config(folder / "config.json", made)
    write_kmeans(folder / "kmeans_10000.pt")
    write_diffusion(folder / "diffusion", 5)
    result = do_import(settings, folder)
    for end in ("kmeans_10000.pt", "model_5.pt"):
        told = row(result, end)
        assert "256 values, the voice model's 24" in told["problem"]
        assert not told["usable"]
    assert not (Path(result["voices"][0]["folder"]) / "kmeans.safetensors").exists()


def test_files_for_two_voices_go_each_to_its_own(settings: Settings, tmp_path: Path) -> None:
    for number, name in enumerate(("ann", "bob")):
        made = config(speech_encoder="vec256l9")
        write_generator(tmp_path / "trained" / name / "x.pth", made, number)
        write_config(tmp_path / "trained" / name / "config.json", made)
        write_kmeans(tmp_path / "trained" / name / "kmeans_10000.pt", (name,))
    result = do_import(settings, tmp_path / "trained")
    for voice in result["voices"]:
        assert voice["model"] == "x"
        assert list(load_file(Path(voice["folder"]) / "kmeans.safetensors")) == [voice["voice"]]
    assert sorted(voice["voice"] for voice in result["voices"]) == ["ann", "bob"]


# ---- hostile and broken files


class _Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def _code(path: Path) -> None:
    torch.save({"model": {"emb_g.weight": torch.zeros(2)}, "x": _Hostile(path.with_name("mark"))}, path)


def _cut(path: Path) -> None:
    write_generator(path, config())
    path.write_bytes(path.read_bytes()[:-1000])


def _shape(path: Path) -> None:
    write_generator(path, config())
    data = load_checkpoint(path)
    data["model"]["enc_p.proj.bias"] = torch.zeros(3)
    torch.save(data, path)


def _nan(path: Path) -> None:
    write_generator(path, config())
    data = load_checkpoint(path)
    data["model"]["dec.conv_pre.bias"][0] = float("nan")
    torch.save(data, path)


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(80 << 20))


def _page(path: Path) -> None:
    path.write_text("<!doctype html><title>Sign in</title>")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_code, "run code"),
        (_cut, "damaged or cut short"),
        (_shape, r"enc_p\.proj\.bias"),
        (_nan, "not numbers"),
        (_bomb, "would unpack to"),
        (_page, "web page"),
    ],
)
def test_hostile_and_broken_checkpoints_are_refused(settings: Settings, tmp_path: Path, make: Any, says: str) -> None:
    folder = tmp_path / "ann"
    folder.mkdir()
    make(folder / "G_1.pth")
    write_config(folder / "config.json", config())
    result = do_import(settings, folder)
    told = row(result, "G_1.pth")
    assert told["kind"] == "damaged"
    assert not told["usable"]
    assert re.search(says, told["problem"]), told
    assert told["fix"]
    assert result["voices"] == []
    assert not (folder / "mark").exists()
    assert not settings.voices_dir.exists()


def test_hostile_kmeans_index_and_yaml_are_refused_and_the_voice_comes_without(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "ann"
    write_generator(folder / "G_1.pth", config())
    write_config(folder / "config.json", config(speech_encoder="vec256l9"))
    torch.save({"ann": {"cluster_centers_": _Hostile(tmp_path / "mark")}}, folder / "kmeans_10000.pt")
    (folder / "feature_and_index.pkl").write_bytes(b"cos\nsystem\n(S'touch mark'\ntR.")
    (folder / "diffusion.yaml").write_text("model: !!python/object/apply:os.mkdir [mark]\ninfer: 1\n")
    result = do_import(settings, folder)
    for end in ("kmeans_10000.pt", "feature_and_index.pkl", "diffusion.yaml"):
        assert row(result, end)["kind"] == "damaged", end
    assert len(result["voices"]) == 1
    assert not (tmp_path / "mark").exists()
    load_model(Path(result["voices"][0]["folder"]))


def test_what_cannot_be_imported_is_said(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing at"):
        do_import(settings, tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no file of so-vits-svc"):
        do_import(settings, tmp_path / "empty")
    (tmp_path / "x.zip").write_bytes(b"PK no")
    with pytest.raises(BadInput, match="zip"):
        do_import(settings, tmp_path / "x.zip")


@pytest.mark.parametrize("name", ["a.wav", "notes.txt", "a.wav.soft.pt", "package.json"])
def test_files_of_other_kinds_are_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"name": "x"}')
    assert look(tmp_path / name, name) is None
