"""Weights that all voices share, from their original files through the import job to what they hear: every content
encoder and RMVPE, made up and tiny, of the structure that their makers publish."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.engines.sovits.import_job import run_import
from core.engines.sovits.import_look import look
from core.features import encoders, pitch
from core.jobs.context import ForegroundContext
from core.models import catalogue
from core.models.safe_load import load_checkpoint
from core.nn.rmvpe import N_BINS, Rmvpe, cents_to_hz
from core.settings import Settings, load_settings
from tests.engines.sovits.upstream_folder import write_contentvec
from tests.models import test_encoder_import as made_up
from tests.models.test_fairseq_hubert import as_fairseq, tiny

BIN = 120
HZ = float(cents_to_hz(torch.tensor(1997.3794084376191 + 20.0 * BIN)))


@pytest.fixture
def settings(workspace: Path) -> Settings:
    return load_settings({"workspace": workspace, "pretrain_dir": workspace / "pretrain", "device": "cpu"}, env={})


def do_import(settings: Settings, *paths: Path) -> dict[str, Any]:
    return run_import({"paths": [str(path) for path in paths]}, ForegroundContext(settings))


def originals(folder: Path) -> dict[str, tuple[Path, int]]:
    """A file of every origin, by the encoder it is, with the channels that the made-up network has."""
    folder.mkdir()
    whisper = made_up.WhisperReference()
    saved: dict[str, tuple[str, Any, int]] = {
        "hubertsoft": ("hubert-soft-0d54a1f4.pt", made_up.SoftHubert().state_dict(), 12),
        "whisper-ppg": ("medium.pt", {"dims": whisper.dims, "model_state_dict": whisper.tensors}, 8),
        "whisper-ppg-large": ("large-v2.pt", {"dims": whisper.dims, "model_state_dict": whisper.tensors}, 8),
        "cnhubertlarge": (
            "chinese-hubert-large-fairseq-ckpt.pt",
            {"model": as_fairseq(tiny(large=True), nn.Linear(64, 6))},
            64,
        ),
        "dphubert": (
            "DPHuBERT-sp0.75.pth",
            {
                "config": made_up.pruned_config(),
                "state_dict": made_up.their_tensors(made_up.torchaudio_network(norm_first=False)),
            },
            16,
        ),
    }
    found = {}
    for name, (file, data, dim) in saved.items():
        torch.save(data, folder / file)
        found[name] = (folder / file, dim)
    made_up.wavlm_file(folder / "WavLM-Base+.pt", normalize=False)
    found["wavlmbase+"] = (folder / "WavLM-Base+.pt", made_up.WIDTH)
    found["vec256l9"] = (write_contentvec(folder / "checkpoint_best_legacy_500.pt"), 256)
    found["vec768l12"] = (found["vec256l9"][0], 64)
    for file, name, dim in (
        ("vec-768-layer-12.onnx", "vec768l12-onnx", 768),
        ("vec-768-layer-9.onnx", "vec768l9-onnx", 768),
        ("vec-256-layer-9.onnx", "vec256l9-onnx", 256),
        ("vec-256-layer-12.onnx", "vec256l12-onnx", 256),
        ("hubert-soft.onnx", "hubertsoft-onnx", 256),
    ):
        found[name] = (made_up.onnx_file(folder / file, channels=dim), dim)
    return found


def test_every_content_encoder_hears_after_its_import(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = originals(tmp_path / "pretrain of so-vits-svc")
    assert files.keys() == encoders.ENCODERS.keys() - {"builtin"}
    result = do_import(settings, tmp_path / "pretrain of so-vits-svc")
    assert [one["problem"] for one in result["files"] if one["problem"]] == []
    assert len(result["installed"]) == len({path for path, _ in files.values()})
    for name, (_, dim) in files.items():
        monkeypatch.setitem(encoders.ENCODERS, name, replace(encoders.ENCODERS[name], dim=dim))
        assert catalogue.locate(settings, encoders.ENCODERS[name].weights).state == "present"
        units = encoders.create(name, "cpu", settings).encode(made_up.wave())
        assert (units.shape[1], bool(units.isfinite().all())) == (dim, True), name
        assert 18 <= units.shape[0] <= 20, name
        assert float(units.std()) > 0, name


def test_hubert_base_of_rvc_is_a_contentvec(settings: Settings, tmp_path: Path) -> None:
    """The same network under the name that RVC gives it, in half precision."""
    data = load_checkpoint(write_contentvec(tmp_path / "x" / "checkpoint_best_legacy_500.pt"))
    torch.save({"model": {name: x.half() for name, x in data["model"].items()}}, tmp_path / "hubert_base.pt")
    (told,) = do_import(settings, tmp_path / "hubert_base.pt")["installed"]
    assert told["what"].startswith("contentvec: ")
    assert "none of those published" in told["what"]  # its checksum; it is made up
    assert encoders.create("vec256l9", "cpu", settings).encode(made_up.wave()).dtype == torch.float32


def test_a_published_checksum_is_recognised(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_contentvec(tmp_path / "a.pt")
    published = {"b.pt": hashlib.sha256(file.read_bytes()).hexdigest()}
    one = replace(catalogue.entry("contentvec"), checksums=published)
    monkeypatch.setattr(catalogue, "CATALOGUE", (one, *catalogue.CATALOGUE))
    (told,) = do_import(settings, file)["installed"]
    assert told["what"].endswith("Its checksum is the published one of b.pt.")


# ---- RMVPE


@pytest.fixture(scope="module")
def rmvpe() -> dict[str, torch.Tensor]:
    """A network that hears one pitch everywhere."""
    tensors = Rmvpe().state_dict()
    tensors["fc.1.weight"] = torch.zeros(N_BINS, 512)
    tensors["fc.1.bias"] = torch.full((N_BINS,), -9.0)
    tensors["fc.1.bias"][BIN] = 2.0
    return tensors


def test_rmvpe_finds_the_pitch_after_its_import(
    settings: Settings, tmp_path: Path, rmvpe: dict[str, torch.Tensor]
) -> None:
    """RVC's file is a table of tensors, here in half precision; yxlllc's has them under "model"."""
    torch.save({"model": rmvpe}, tmp_path / "model.pt")
    assert getattr(look(tmp_path / "model.pt", "model.pt"), "kind", None) == "rmvpe"
    torch.save({name: x.half() for name, x in rmvpe.items()}, tmp_path / "rmvpe.pt")
    result = do_import(settings, tmp_path / "rmvpe.pt")
    assert result["installed"][0]["what"].startswith(f"rmvpe: {settings.pretrain_dir / 'rmvpe'}")
    tone = (0.3 * np.sin(np.arange(4800) / 12)).astype(np.float32)
    f0 = pitch.create("rmvpe", settings=settings).predict(tone, 16000, 160, 30)
    assert f0 == pytest.approx(HZ, rel=0.01)


class Hostile:
    """Pickles to a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, (f"touch '{self.mark}'",)


@pytest.mark.parametrize("kind", ["code", "cut", "shape", "nan"])
def test_a_hostile_or_broken_rmvpe_is_refused_and_nothing_stays(
    settings: Settings, tmp_path: Path, rmvpe: dict[str, torch.Tensor], kind: str
) -> None:
    file, mark = tmp_path / "rmvpe.pt", tmp_path / "mark"
    small = {name: x for name, x in rmvpe.items() if x.numel() < 1000}  # it is known by its names
    if kind == "shape":
        torch.save({**small, "cnn.bias": torch.zeros(4)}, file)
    elif kind == "nan":
        torch.save({**small, "cnn.bias": torch.full((3,), torch.nan)}, file)
    elif kind == "code":
        torch.save({**small, "x": Hostile(mark)}, file)
    else:
        torch.save(small, file)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    result = do_import(settings, file)
    (told,) = result["files"]
    assert not told["usable"]
    assert told["problem"]
    assert told["fix"]
    assert result["installed"] == []
    assert not mark.exists()
    assert not list(settings.pretrain_dir.rglob("*.pt"))
