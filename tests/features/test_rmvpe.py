"""RMVPE as a predictor: its file, its threshold, pieces of long audio. Weights are random, but for the last layer."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import ModelFileError, Unavailable
from core.features import pitch
from core.features.pitch import rmvpe
from core.nn.rmvpe import N_BINS, Rmvpe, cents_to_hz
from core.settings import Settings, load_settings

BIN, CONFIDENCE = 120, 0.3
HZ = float(cents_to_hz(torch.tensor(1997.3794084376191 + 20.0 * BIN)))


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """A network that hears one pitch everywhere, a little less surely where it is loud."""
    torch.manual_seed(0)
    tensors = Rmvpe().state_dict()
    tensors["fc.1.weight"] = torch.randn(N_BINS, 512) * 1e-3
    bias = torch.full((N_BINS,), -9.0)
    bias[BIN] = float(np.log(CONFIDENCE / (1 - CONFIDENCE)))
    tensors["fc.1.bias"] = bias
    return tensors


@pytest.fixture
def settings(tmp_path: Path, weights: dict[str, torch.Tensor]) -> Settings:
    (tmp_path / "pretrain" / "rmvpe").mkdir(parents=True)
    torch.save({"model": weights}, tmp_path / "pretrain" / "rmvpe" / "rmvpe.pt")
    return load_settings({"workspace": tmp_path, "pretrain_dir": tmp_path / "pretrain"}, env={})


def _tone(seconds: float) -> np.ndarray:
    return (0.3 * np.sin(np.arange(round(seconds * 16000)) / 12)).astype(np.float32)


def test_it_is_made_by_name_and_the_threshold_decides(settings: Settings) -> None:
    f0 = pitch.create("rmvpe", settings=settings).predict(_tone(0.5), 16000, 160, 50)
    assert f0 == pytest.approx(HZ, rel=0.01)
    strict = pitch.create("rmvpe", settings=settings, threshold=0.5).predict(_tone(0.5), 16000, 160, 50)
    assert not strict.any()
    assert [one.ready for one in pitch.available(settings) if one.name == "rmvpe"] == [True]


def test_long_audio_is_heard_in_pieces_as_if_whole(
    settings: Settings, weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = pitch.create("rmvpe", settings=settings)
    assert isinstance(predictor, rmvpe.RmvpePitch)
    mel = torch.randn(128, 300, generator=torch.Generator().manual_seed(1)) - 5
    whole = predictor._salience(mel)
    monkeypatch.setattr(rmvpe, "_PIECE", 96)
    monkeypatch.setattr(rmvpe, "_CONTEXT", 64)
    monkeypatch.setattr(rmvpe, "_BATCH", {"cpu": 2})
    pieces = predictor._salience(mel)
    assert pieces.shape == whole.shape == (300, N_BINS)
    assert (pieces - whole).abs().max() < 0.02
    assert torch.equal(pieces, predictor._salience(mel))


def test_what_is_missing_or_wrong_is_said(settings: Settings, weights: dict[str, torch.Tensor]) -> None:
    file = settings.pretrain_dir / "rmvpe" / "rmvpe.pt"
    torch.save({"model": {k: v for k, v in weights.items() if k != "cnn.bias"}}, file)
    with pytest.raises(ModelFileError, match=r"cnn\.bias"):
        pitch.create("rmvpe", settings=settings)
    torch.save({"model": {"emb_g.weight": torch.zeros(1, 2)}}, file)
    with pytest.raises(ModelFileError, match="not the RMVPE"):
        pitch.create("rmvpe", settings=settings)
    file.unlink()
    with pytest.raises(Unavailable, match="173 MB") as missing:
        pitch.create("rmvpe", settings=settings)
    assert "pretrain/rmvpe" in missing.value.hint
