"""A voice becomes a vector of length one, by whichever network was imported."""

from pathlib import Path

import numpy as np
import pytest
import torch

from core.audio.synthetic import MAN, recording
from core.errors import ModelFileError
from core.features.speaker import create, filter_bank, find, network_name, open_network
from core.models.catalogue import entry, locate
from core.settings import Settings, load_settings
from tests.features import tiny_speaker

AUDIO = recording(1.0, MAN)[0][:16000]


@pytest.fixture
def settings(workspace: Path) -> Settings:
    return load_settings({"workspace": str(workspace), "pretrain_dir": str(workspace / "pretrain")}, env={})


def test_the_features_are_kaldis() -> None:
    from torchaudio.compliance import kaldi

    bank = kaldi.fbank(torch.from_numpy(AUDIO)[None], num_mel_bins=80, dither=0, sample_frequency=16000).numpy()
    np.testing.assert_allclose(filter_bank(AUDIO), bank - bank.mean(axis=0, keepdims=True), atol=2e-3)


def test_without_a_network_there_is_no_embedder(settings: Settings) -> None:
    assert create(settings) is None


def test_an_imported_network_is_taken(settings: Settings) -> None:
    path = tiny_speaker.write(settings.pretrain_dir / entry("speaker").folder / "campplus.onnx")
    assert locate(settings, "speaker").state == "present"
    assert find(settings) == path
    embedder = create(settings)
    assert embedder is not None
    vector = embedder.embed(AUDIO)
    assert vector.shape == (tiny_speaker.DIM,)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert embedder.name == network_name(path)
    assert embedder.name.startswith("campplus-")
    assert create(settings) is embedder, "loaded once"


def test_the_one_of_a_cosyvoice_serves_too(settings: Settings) -> None:
    borrowed = tiny_speaker.write(settings.pretrain_dir / "cosyvoice" / "cosyvoice2-0.5b" / "campplus.onnx")
    assert find(settings) == borrowed
    own = tiny_speaker.write(settings.pretrain_dir / "speaker" / "mine.onnx", seed=1)
    assert find(settings) == own
    assert network_name(own) != network_name(borrowed)


def test_level_does_not_matter_and_the_voice_does(tmp_path: Path) -> None:
    embedder = open_network(tiny_speaker.write(tmp_path / "a.onnx"))
    vector, soft = embedder.embed(AUDIO), embedder.embed(0.2 * AUDIO)
    noise = embedder.embed(np.random.default_rng(0).standard_normal(16000).astype(np.float32))
    assert vector @ soft > 0.99
    assert vector @ noise < 0.99


@pytest.mark.parametrize("n_samples", [1, 399, 7999])
def test_scraps_have_a_vector(tmp_path: Path, n_samples: int) -> None:
    vector = open_network(tiny_speaker.write(tmp_path / "a.onnx")).embed(AUDIO[4000 : 4000 + n_samples])
    assert np.isfinite(vector).all()


def test_what_gives_no_numbers_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no numbers"):
        open_network(tiny_speaker.write(tmp_path / "a.onnx")).embed(np.full(16000, np.nan, np.float32))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="not filter banks"):
        open_network(tiny_speaker.write(tmp_path / "bands.onnx", n_bands=40))
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(tiny_speaker.write(tmp_path / "whole.onnx").read_bytes()[:200])
    with pytest.raises(ModelFileError, match="ONNX"):
        open_network(damaged)
