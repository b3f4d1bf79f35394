"""A checkpoint is whole or it is not used."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ModelFileError, NoSpace
from core.training import generations


def tensors(step: int, size: int = 64) -> dict[str, dict[str, torch.Tensor]]:
    shared = torch.arange(size, dtype=torch.float32) + step
    return {
        "generator": {"a": shared, "same as a": shared, "view": shared[::2], "empty": torch.zeros(0)},
        "rng": {"torch": torch.arange(16, dtype=torch.uint8)},
    }


def save(folder: Path, step: int) -> Path:
    return generations.save_generation(folder, step, tensors(step), {"step": step, "名": [1, None]}, {"data_hash": "x"})


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = save(tmp_path, 7)
    found = generations.load_generation(path)
    assert found.step == 7
    assert found.state == {"step": 7, "名": [1, None]}
    for stem, group in tensors(7).items():
        for name, value in group.items():
            assert torch.equal(found.tensors[stem][name], value)
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["data_hash"] == "x"
    assert set(manifest["files"]) == {"generator.safetensors", "rng.safetensors", "state.json"}
    assert not list(tmp_path.glob(".tmp*"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, Path.unlink])
@pytest.mark.parametrize("name", ["generator.safetensors", "rng.safetensors", "state.json", "manifest.json"])
def test_any_damage_falls_back_to_the_one_before(tmp_path: Path, name: str, damage) -> None:
    save(tmp_path, 1)
    newest = save(tmp_path, 2)
    damage(newest / name)
    found, notes = generations.load_newest(tmp_path)
    assert found is not None
    assert found.step == 1
    assert len(notes) == 1
    assert "step_00000002" in notes[0]
    again, notes = generations.load_newest(tmp_path)
    assert again is not None
    assert notes == []  # set aside once


def test_never_restarts_at_zero_by_itself(tmp_path: Path) -> None:
    truncate(save(tmp_path, 1) / "state.json")
    with pytest.raises(ModelFileError, match="no whole checkpoint"):
        generations.load_newest(tmp_path)
    assert generations.load_newest(tmp_path / "empty") == (None, [])


def test_a_step_saved_again_after_falling_back(tmp_path: Path) -> None:
    truncate(save(tmp_path, 3) / "state.json")
    save(tmp_path, 3)
    assert generations.load_generation(tmp_path / "step_00000003").step == 3


def test_full_disk_leaves_the_previous_generation_whole(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="file size limits are POSIX")
    save(tmp_path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(NoSpace, match=r"\d+\.\d [KMG]B"):
            generations.save_generation(tmp_path, 2, tensors(2, size=200_000), {}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    found, notes = generations.load_newest(tmp_path)
    assert found is not None
    assert (found.step, notes) == (1, [])
    assert [p.name for p in tmp_path.iterdir()] == ["step_00000001"]


def test_says_how_much_is_needed_before_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(generations.shutil, "disk_usage", lambda _: usage(10, 10, 0))
    with pytest.raises(NoSpace) as caught:
        save(tmp_path, 1)
    assert "MB" in caught.value.message
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_manifest_never_passes_for_another_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    path = save(tmp_path_factory.mktemp("run"), 7) / "manifest.json"
    whole = generations.load_manifest(path.parent)
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(bytes(data))
    try:
        found = generations.load_manifest(path.parent, verify=True)
    except ModelFileError:
        return
    assert found == whole  # only white space changed


def test_a_manifest_of_the_first_version_is_read(tmp_path: Path) -> None:
    path = save(tmp_path, 7)
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["manifest_sha256"]
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 1}, indent=1))
    assert generations.load_generation(path).step == 7


def test_a_save_that_is_tried_again_leaves_what_is_whole(tmp_path: Path) -> None:
    path = save(tmp_path, 3)
    before = (path / "generator.safetensors").stat().st_mtime_ns
    assert save(tmp_path, 3) == path
    assert (path / "generator.safetensors").stat().st_mtime_ns == before


def test_keeps_every_so_manieth(tmp_path: Path) -> None:
    for step in range(1, 8):
        save(tmp_path, step)
    gone = generations.prune(tmp_path, 1, also=[2], every=3)
    assert [generations.step_of(p) for p in gone] == [1, 4, 5]
    assert [generations.step_of(p) for p in generations.list_generations(tmp_path)] == [2, 3, 6, 7]


def test_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for step in range(1, 6):
        save(tmp_path, step)
    generations.prune(tmp_path, 2, also=[1])
    assert [p.name[-1] for p in generations.list_generations(tmp_path)] == ["1", "4", "5"]
