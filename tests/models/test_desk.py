"""Tools on models of voices: each leaves the original alone and gives a model that sounds as it says."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.dataset.voices import VoiceStore
from core.engines.sovits.checkpoint import write_upstream
from core.engines.sovits.config import save_config
from core.engines.sovits.export import export_model, load_model
from core.engines.sovits.model import SovitsGenerator
from core.errors import BadInput, Conflict, ModelFileError, NotFound
from core.models.desk import ModelsDesk
from core.models.safe_load import load_checkpoint
from core.settings import load_settings
from core.studio import Studio
from tests.engines.sovits.test_anatomy import config
from tests.engines.sovits.upstream_folder import KMEANS, write_index, write_kmeans
from tests.models.test_faiss_file import _Hostile


@pytest.fixture
def studio(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setenv("TIMBRE_PRETRAIN_DIR", str(workspace / "pretrain"))
    torch.set_num_threads(1)
    return Studio(load_settings({"workspace": workspace, "device": "cpu"}))


@pytest.fixture
def desk(studio: Studio) -> ModelsDesk:
    voice = VoiceStore(studio.settings.voices_dir).create("Ann")
    for seed, name in enumerate(("one", "two")):
        torch.manual_seed(seed)
        made = config(vol_embedding=True)
        save_config(made, voice.path / "config.json")
        card = {"voice": "Ann", "engine": "sovits", "encoder": "vec256l9", "step": 5, "created": 1.0}
        folder = export_model(voice.models / name, SovitsGenerator(made), voice.path / "config.json", card)
        (folder / "kmeans.safetensors").write_bytes(b"k")
        (folder / "discriminator.safetensors").write_bytes(b"d" * 1000)
    return studio.models


def sound(folder: Path) -> torch.Tensor:
    model = load_model(folder)
    frames = torch.arange(20)
    f0 = torch.where(frames < 15, 220.0, 0.0)[None]
    units = torch.sin(torch.arange(256)[None, :, None] + frames / 3.0)
    audio, _ = model.generator.infer(  # type: ignore[operator]
        units,
        f0,
        (f0 > 0).float(),
        torch.tensor([0]),
        torch.full((1, 20), 0.1),
        generator=torch.Generator().manual_seed(1),
    )
    return audio


def test_a_compressed_model_sounds_the_same_and_is_smaller(desk: ModelsDesk) -> None:
    whole = desk.folder("Ann", "one")
    full, half = desk.compress("Ann", "one"), desk.compress("Ann", "one", half=True)
    assert (full.name, half.name) == ("one-compressed", "one-compressed-half")
    torch.testing.assert_close(sound(full), sound(whole), rtol=0, atol=0)
    torch.testing.assert_close(sound(half), sound(whole), rtol=0, atol=2e-3)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (whole, full, half)]
    assert sizes[0] > sizes[1] > 1.9 * sizes[2] - 100_000
    assert (full / "kmeans.safetensors").read_bytes() == b"k"
    assert not (full / "discriminator.safetensors").exists()
    assert json.loads((half / "card.json").read_text())["compressed"] == "half"
    with pytest.raises(Conflict, match="already"):
        desk.compress("Ann", "one")


def test_a_file_is_compressed_as_upstream_writes_it(desk: ModelsDesk, tmp_path: Path) -> None:
    torch.manual_seed(1)
    generator = SovitsGenerator(config())
    write_upstream(tmp_path / "G_9.pth", generator, iteration=4, learning_rate=1e-4)
    made = load_checkpoint(desk.compress_file(tmp_path / "G_9.pth", tmp_path / "g.pth", half=True))
    assert made["iteration"] == 0
    assert set(made) == {"model", "iteration", "optimizer", "learning_rate"}
    assert made["optimizer"]["state"] == {}
    names = {name for name in generator.state_dict() if not name.startswith("enc_q.")}
    assert set(made["model"]) == names
    assert {x.dtype for x in made["model"].values() if x.is_floating_point()} == {torch.float16}
    with pytest.raises(BadInput, match="would be lost"):
        desk.compress_file(tmp_path / "G_9.pth", tmp_path / "G_9.pth")


def test_a_mixture_lies_between_and_converts(desk: ModelsDesk) -> None:
    folder = desk.mix("Ann", {"one": 30, "Ann/two": 70}, "linear", "both")
    mixed, one, two = (
        load_file(p / "model.safetensors") for p in (folder, desk.folder("Ann", "one"), desk.folder("Ann", "two"))
    )
    for name in one:
        torch.testing.assert_close(mixed[name], 0.3 * one[name] + 0.7 * two[name], rtol=1e-5, atol=1e-6)
    assert bool(torch.isfinite(sound(folder)).all())
    with pytest.raises(BadInput, match="at least two"):
        desk.mix("Ann", {"one": 100}, "linear", "alone")
    with pytest.raises(NotFound, match="no model 'three'"):
        desk.mix("Ann", {"one": 1, "three": 1}, "convex", "x")
    assert sorted(p.name for p in desk.folder("Ann", "one").parent.iterdir()) == ["both", "one", "two"]


def test_a_model_as_the_latest_version_uses_it(desk: ModelsDesk) -> None:
    """No pause in the source: the unvoiced end sounds otherwise; the voiced beginning has no noise either."""
    before = sound(desk.folder("Ann", "one"))
    desk.behave("Ann", "one", "4.1-latest")
    after = sound(desk.folder("Ann", "one"))
    assert not torch.allclose(before, after)
    assert load_model(desk.folder("Ann", "one")).as_latest
    desk.behave("Ann", "one", "4.1-stable")
    torch.testing.assert_close(sound(desk.folder("Ann", "one")), before, rtol=0, atol=0)
    with pytest.raises(BadInput, match=r"5\.0"):
        desk.behave("Ann", "one", "5.0")


def test_rename_and_delete(desk: ModelsDesk, studio: Studio) -> None:
    assert desk.rename("Ann", "one", "初/版").name == "初_版"
    with pytest.raises(Conflict, match="already"):
        desk.rename("Ann", "two", "初_版")
    with pytest.raises(NotFound):
        desk.rename("Ann", "one", "x")
    place = desk.delete("Ann", "two")
    assert (place / "model.safetensors").is_file()
    assert place.is_relative_to(studio.settings.voices_dir / ".trash")
    assert [model.name for model in studio.voice_models("Ann")] == ["初_版"]
    for name in ("..", "../..", "", "/etc"):
        with pytest.raises((NotFound, BadInput)):
            desk.delete("Ann", name)


def test_old_index_and_kmeans_files_become_safe_ones(desk: ModelsDesk, tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    vectors = write_index(tmp_path / "feature_and_index.pkl", 16)
    made = desk.convert_index(tmp_path / "feature_and_index.pkl")
    assert made == tmp_path / "feature_and_index.safetensors"
    np.testing.assert_array_equal(load_file(made)["0"].numpy(), vectors)
    write_kmeans(tmp_path / "kmeans_10000.pt")
    made = desk.convert_index(tmp_path / "kmeans_10000.pt", tmp_path / "safe" / "k.safetensors")
    np.testing.assert_array_equal(load_file(made)["ann"].numpy(), KMEANS)


def test_a_hostile_index_is_refused_and_leaves_nothing(desk: ModelsDesk, tmp_path: Path) -> None:
    from multiprocessing.reduction import ForkingPickler

    source = tmp_path / "feature_and_index.pkl"
    source.write_bytes(bytes(ForkingPickler.dumps({0: _Hostile(tmp_path / "mark")})))
    with pytest.raises(BadInput, match="run code"):
        desk.convert_index(source)
    assert sorted(p.name for p in tmp_path.iterdir() if "studio" not in p.name) == ["feature_and_index.pkl"]
    write_kmeans(tmp_path / "kmeans_10000.pt")
    with pytest.raises(BadInput, match=r"\.safetensors"):
        desk.convert_index(tmp_path / "kmeans_10000.pt", tmp_path / "x.pt")


def test_info_of_files_before_they_are_used(desk: ModelsDesk, tmp_path: Path) -> None:
    write_upstream(tmp_path / "G_9.pth", SovitsGenerator(config()), iteration=4, learning_rate=1e-4)
    save_config(config(n_speakers=9), tmp_path / "config.json")
    told = desk.info(tmp_path / "G_9.pth")
    assert (told["kind"], told["iteration"], told["released"]) == ("generator", 4, False)
    assert "knows 3 speakers" in told["problem"]
    assert told["fix"]
    write_kmeans(tmp_path / "kmeans_10000.pt")
    assert "ann, bob" in desk.info(tmp_path / "kmeans_10000.pt")["says"]
    (tmp_path / "G_10.pth").write_bytes(b"PK")
    assert "damaged" in desk.info(tmp_path / "G_10.pth")["problem"]
    (tmp_path / "a.txt").write_text("x")
    for path, error in ((tmp_path / "a.txt", BadInput), (tmp_path / "none.pth", NotFound)):
        with pytest.raises(error):
            desk.info(path)


def test_weights_of_the_catalogue_go_to_the_trash(desk: ModelsDesk, studio: Studio) -> None:
    folder = studio.settings.pretrain_dir / "hubertsoft"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes(b"x" * 50)
    found = next(one for one in desk.presence() if one.entry.name == "hubertsoft")
    assert desk.bytes_of(found) == 100
    assert (desk.remove("hubertsoft") / "config.json").is_file()
    with pytest.raises(NotFound):
        desk.remove("hubertsoft")
    with pytest.raises(Conflict):
        desk.remove("builtin")


def test_a_lite_model_cannot_be_compressed(desk: ModelsDesk, studio: Studio) -> None:
    folder = studio.settings.voices_dir / "Ann" / "models" / "lite"
    folder.mkdir()
    from safetensors.torch import save_file

    save_file({"head.weight": torch.zeros(2)}, folder / "model.safetensors")
    (folder / "card.json").write_text("{}")
    with pytest.raises(ModelFileError):
        desk.compress("Ann", "lite")
    assert not (folder.parent / "lite-compressed").exists()


def test_data_sets_are_queued_once_they_can_be(desk: ModelsDesk, studio: Studio, tmp_path: Path) -> None:
    job = desk.export_data(["Ann"], pitch="dio")
    assert (job.kind, job.voice, job.params["voices"]) == ("export-sovits-data", "Ann", ["Ann"])
    assert Path(job.params["out"]) == studio.settings.outputs / "so-vits-svc" / "Ann"
    with pytest.raises(Conflict, match="exists already"):
        desk.export_data(["Ann"], tmp_path)
    with pytest.raises(BadInput, match="No voice"):
        desk.export_data([])
    with pytest.raises(NotFound):
        desk.export_data(["nobody"])
    assert desk.import_data(tmp_path, "dio").params == {"folder": str(tmp_path), "pitch": "dio"}
    with pytest.raises(NotFound, match="no folder"):
        desk.import_data(tmp_path / "x")
