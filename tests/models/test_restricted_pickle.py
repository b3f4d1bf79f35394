"""The reader of old checkpoints: data comes out as torch would give it, nothing is ever called."""

import argparse
import contextlib
import os
import pickletools
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import ModelFileError
from core.models import torch_file
from core.models.restricted_pickle import Inert, Refused, plain
from core.models.safe_load import load_checkpoint, load_tensors


class _Hostile:
    """On a plain unpickling this makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def settings_class(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> type:
    """A class that pickles under the name of a package that need not be installed."""
    made = type(name, (), {"__module__": module})
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        parent = ".".join(parts[:depth])
        if parent not in sys.modules:
            monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setattr(sys.modules[module], name, made, raising=False)
    return made


def old_checkpoint(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a fairseq checkpoint holds: weights among settings, a dictionary, numpy numbers and optimiser parts."""
    dictionary = settings_class(monkeypatch, "fairseq.data.dictionary", "Dictionary")()
    dictionary.symbols = ["<s>", "</s>"]
    config = settings_class(monkeypatch, "omegaconf.dictconfig", "DictConfig")()
    config._content = {"lr": 5e-4, "task": argparse.Namespace(labels=["km"])}
    weights = OrderedDict(
        [
            ("a.weight", torch.arange(12.0).reshape(3, 4)),
            ("a.half", torch.ones(3).half()),
            ("b.transposed", torch.arange(6.0).reshape(2, 3).t()),
            ("c.number", torch.tensor(7)),
            ("d.empty", torch.zeros(0)),
            ("e.parameter", torch.nn.Parameter(torch.full((2,), 3.0))),
        ]
    )
    return {
        "args": argparse.Namespace(arch="hubert_base", seed=1),
        "cfg": config,
        "model": weights,
        "task_state": {"dictionaries": [dictionary]},
        "best_loss": np.float64(2.5),
        "counts": np.arange(6, dtype=np.int32).reshape(2, 3),
        "extra_state": {"epoch": 3, "names": {"x", "y"}, "pair": (1, None, True), "text": "ü", "raw": b"\x00\xff"},
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_an_old_checkpoint_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool) -> None:
    data = old_checkpoint(monkeypatch)
    file = tmp_path / "checkpoint_best_legacy_500.pt"
    torch.save(data, file, _use_new_zipfile_serialization=zipped)
    monkeypatch.undo()  # the packages are not there when it is read
    read = load_checkpoint(file)
    for name, tensor in data["model"].items():
        assert torch.equal(read["model"][name], tensor), name
        assert read["model"][name].dtype == tensor.dtype
    assert read["best_loss"] == 2.5
    np.testing.assert_array_equal(read["counts"], data["counts"])
    assert read["extra_state"] == data["extra_state"]
    assert isinstance(read["cfg"], Inert)
    assert plain(read)["cfg"] == {"_content": {"lr": 5e-4, "task": {"labels": ["km"]}}}
    assert plain(read)["args"]["arch"] == "hubert_base"
    assert load_tensors(file).keys() == data["model"].keys()


@pytest.mark.parametrize("zipped", [True, False])
def test_code_among_settings_is_refused_and_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    mark, file = tmp_path / "code ran", tmp_path / "evil.pt"
    data = {**old_checkpoint(monkeypatch), "optimizer_history": [_Hostile(mark)]}
    torch.save(data, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelFileError, match="mkdir"):
        load_checkpoint(file)
    with pytest.raises(Refused):
        torch_file.read(file)
    assert not mark.exists()


def test_names_are_refused_that_only_look_like_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = settings_class(monkeypatch, "omegaconfusing.core", "Thing")()
    torch.save({"x": made, "y": argparse.Namespace()}, tmp_path / "x.pt")
    with pytest.raises(ModelFileError, match="omegaconfusing"):
        load_checkpoint(tmp_path / "x.pt")


def test_numpy_objects_and_outside_data_are_refused(tmp_path: Path) -> None:
    torch.save({"x": np.array([{"a": 1}], dtype=object), "n": argparse.Namespace()}, tmp_path / "x.pt")
    with pytest.raises(ModelFileError):
        load_checkpoint(tmp_path / "x.pt")


def test_an_archive_that_grows_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    file = tmp_path / "bomb.pth"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"\x80\x02}.")
        archive.writestr("bomb/data/0", bytes(40 * 2**20))
    assert file.stat().st_size < 2**20
    with pytest.raises(ModelFileError, match="unpack to 40 MB"):
        load_checkpoint(file)


@pytest.mark.parametrize("zipped", [True, False])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_byte_gives_data_or_our_error(tmp_path: Path, zipped: bool, data: st.DataObject) -> None:
    content = {"model": {"w": torch.arange(4.0)}, "args": argparse.Namespace(a=1, b=[2.0, "c"]), "n": np.float32(1)}
    file = tmp_path / "m.pt"
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    raw = bytearray(file.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(bytes(raw))
    with contextlib.suppress(ModelFileError):
        load_checkpoint(file)


def test_every_instruction_is_either_known_or_refused() -> None:
    """An instruction that a future Python adds must not slip through as something else."""
    from core.models.restricted_pickle import _CONSTANTS, _PUSHES_ARGUMENT, Reader

    handled = set(_CONSTANTS) | _PUSHES_ARGUMENT
    handled |= {name for name in (op.name for op in pickletools.opcodes) if hasattr(Reader, f"_{name.lower()}")}
    handled |= {"PROTO", "FRAME", "STOP", "MEMOIZE"} | {
        f"{kind}{get}" for kind in ("", "BIN", "LONG_BIN") for get in ("GET", "PUT")
    }
    left = {op.name for op in pickletools.opcodes} - handled
    assert left == {"INST", "PERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}


def test_weights_that_are_not_numbers_are_named() -> None:
    from core.models.safe_load import strict_load

    module = torch.nn.Linear(2, 2)
    with pytest.raises(ModelFileError, match=r"NaN or infinite\): 1 tensors \(weight\)"):
        strict_load(module, {"weight": torch.tensor([[1.0, float("nan")], [0, 0]]), "bias": torch.zeros(2)}, "m.pth")
    assert torch.isfinite(module.weight).all()
