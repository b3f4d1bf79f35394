"""The catalogue says what is there, what is half there, and how to get the rest."""

import re
from pathlib import Path

import pytest

from core.engines.sovits.import_place import base_folder, diffusion_folder
from core.errors import NotFound
from core.models import catalogue
from core.models.base_entries import BASES
from core.settings import Settings


def _settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "w", pretrain_dir=tmp_path / "pretrain")


def test_every_entry_says_all_a_person_needs() -> None:
    names = [one.name for one in catalogue.CATALOGUE]
    assert len(set(names)) == len(names)
    for one in catalogue.CATALOGUE:
        assert all((one.purpose, one.licence, one.origin, one.by_hand)), one.name
        assert one.ships or (one.size_bytes > 0 and one.files and one.folder), one.name
        for file, sha256 in one.checksums.items():
            assert re.fullmatch("[0-9a-f]{64}", sha256), file


def test_absent_partial_present(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert catalogue.present(settings)["contentvec"].state == "absent"
    folder = tmp_path / "pretrain" / "contentvec"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")  # a download that never began does not count
    half = catalogue.locate(settings, "contentvec")
    assert half.state == "partial"
    assert half.missing == ("model.safetensors or pytorch_model.bin",)
    (folder / "pytorch_model.bin").write_bytes(b"x")
    whole = catalogue.locate(settings, "contentvec")
    assert (whole.state, whole.path) == ("present", folder)


def test_what_comes_with_packages_is_present(tmp_path: Path) -> None:
    assert catalogue.locate(_settings(tmp_path), "fcpe").state == "present"


def test_base_models_lie_where_an_import_puts_them(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    folders = {
        "base-768": base_folder(settings, 768),
        "base-768-vol": base_folder(settings, 768, vol=True),
        "base-768-vol-tiny": base_folder(settings, 768, vol=True, tiny=True),
        "base-256": base_folder(settings, 256),
        "base-diffusion-768": diffusion_folder(settings, 768),
    }
    assert folders.keys() == {one.name for one in BASES}
    for name, folder in folders.items():
        assert catalogue.locate(settings, name).path == folder


def test_unknown_name() -> None:
    with pytest.raises(NotFound, match="hubert"):
        catalogue.entry("hubert")


def test_what_ships_is_found_in_the_repository_too(tmp_path: Path) -> None:
    shipped = catalogue.REPO_ROOT / "pretrain" / "builtin"
    found = catalogue.locate(_settings(tmp_path), "builtin")
    whole = catalogue.locate_in(shipped, catalogue.entry("builtin")) == ()
    assert (found.state, found.path) == (("present", shipped) if whole else ("absent", tmp_path / "pretrain/builtin"))
