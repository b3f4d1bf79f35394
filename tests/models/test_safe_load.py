"""Weights files: good ones load, hostile and damaged ones are refused by name and run nothing."""

import contextlib
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from core.errors import ModelFileError
from core.models.safe_load import load_checkpoint, load_tensors, strict_load


class _Hostile:
    """On a plain unpickling this makes a folder: the proof that code ran."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrap", ["bare", "nested"])
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(tmp_path: Path, zipped: bool, wrap: str) -> None:
    mark = tmp_path / "code ran"
    evil = _Hostile(mark)
    file = tmp_path / "G_100.pth"
    data = evil if wrap == "bare" else {"model": {"a": torch.ones(2)}, "optimizer": [evil]}
    torch.save(data, file, _use_new_zipfile_serialization=zipped)
    for load in (load_checkpoint, load_tensors):
        with pytest.raises(ModelFileError) as err:
            load(file)
        assert "G_100.pth" in err.value.message
        assert "refused" in err.value.message
        assert err.value.hint
    assert not mark.exists()


def test_the_hostile_file_would_run_without_the_guard(tmp_path: Path) -> None:
    # Otherwise the test above would pass on a harmless file. A child interpreter takes the blow.
    import subprocess
    import sys

    mark = tmp_path / "code ran"
    file = tmp_path / "evil.pth"
    torch.save(_Hostile(mark), file)
    code = "import sys, zipfile, io, importlib; z = zipfile.ZipFile(sys.argv[1]);"
    code += "n = [x for x in z.namelist() if x.endswith('data.pkl')][0];"
    code += "importlib.import_module('pick' + 'le').loads(z.read(n))"
    subprocess.run([sys.executable, "-c", code, str(file)], check=True, timeout=60)
    assert mark.is_dir()


def test_safetensors_and_both_shapes_of_pth_load(tmp_path: Path) -> None:
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}
    save_file(tensors, tmp_path / "m.safetensors")
    torch.save(tensors, tmp_path / "flat.pth")
    torch.save({"model": tensors, "iteration": 7, "learning_rate": 1e-4}, tmp_path / "G_7.pth")
    for name in ("m.safetensors", "flat.pth", "G_7.pth"):
        loaded = load_tensors(tmp_path / name)
        assert loaded.keys() == tensors.keys()
        assert all(torch.equal(loaded[key], tensors[key]) for key in tensors)
    assert load_checkpoint(tmp_path / "G_7.pth")["iteration"] == 7


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x00\x01\x02garbage" * 20, "damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files_that_are_no_weights_say_what_they_are(tmp_path: Path, content: bytes, says: str, suffix: str) -> None:
    file = tmp_path / f"model{suffix}"
    file.write_bytes(content)
    with pytest.raises(ModelFileError, match=says) as err:
        load_tensors(file)
    assert err.value.where == str(file)


def test_missing_file_folder_and_unknown_suffix(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no weights file"):
        load_tensors(tmp_path / "none.safetensors")
    with pytest.raises(ModelFileError, match="no weights file"):
        load_tensors(tmp_path)
    (tmp_path / "song.mp3").write_bytes(b"ID3abc")
    with pytest.raises(ModelFileError, match="not a weights file"):
        load_checkpoint(tmp_path / "song.mp3")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_or_flipped_byte_gives_tensors_or_our_error(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    tensors = {"a": torch.arange(12.0).reshape(3, 4), "b": torch.zeros(2, dtype=torch.int64)}
    file = tmp_path / f"m{suffix}"
    save_file(tensors, file) if suffix == ".safetensors" else torch.save(tensors, file)
    content = bytearray(file.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(bytes(content))
    # Any other error than ours fails the test; a flip inside a number is not an error at all.
    with contextlib.suppress(ModelFileError):
        loaded = load_tensors(file)
        assert all(isinstance(tensor, torch.Tensor) for tensor in loaded.values())


def test_an_optimiser_state_is_not_taken_for_weights(tmp_path: Path) -> None:
    torch.save({"state": {0: {"step": 1}}, "param_groups": []}, tmp_path / "o.pth")
    with pytest.raises(ModelFileError, match="no table of tensors"):
        load_tensors(tmp_path / "o.pth")


def _linear() -> torch.nn.Linear:
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


def test_strict_load_copies_what_fits() -> None:
    module = _linear()
    strict_load(module, {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, "m.safetensors")
    assert torch.equal(module.weight, torch.ones(2, 3))


def test_strict_load_names_missing_extra_and_wrong_and_changes_nothing() -> None:
    module = _linear()
    before = module.weight.clone()
    extra = {f"emb.{i}": torch.zeros(1) for i in range(13)}
    with pytest.raises(ModelFileError) as err:
        strict_load(module, {"weight": torch.ones(3, 3), **extra}, "/models/G_1.pth")
    message = err.value.message
    assert "1 missing (bias)" in message
    assert "13 not part of the model (emb.0, emb.1, " in message
    assert "emb.9, and 3 more)" in message
    assert "weight is 3x3, the model needs 2x3" in message
    assert message.startswith("G_1.pth")
    assert err.value.where == "/models/G_1.pth"
    assert torch.equal(module.weight, before)


def test_only_listed_exceptions_are_filled_or_dropped() -> None:
    module = _linear()
    bias = module.bias.clone()
    strict_load(
        module, {"weight": torch.ones(2, 3), "step": torch.ones(1)}, "m", may_miss={"bias"}, may_ignore={"step"}
    )
    assert torch.equal(module.bias, bias)
    with pytest.raises(ModelFileError, match="bias"):
        strict_load(module, {"weight": torch.ones(2, 3)}, "m")
