"""Base models: G_0 and D_0 start a training of other speakers; everything else about them must fit."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from core.engines.sovits.checkpoint import write_tensors, write_upstream
from core.engines.sovits.import_base import folder_of, start_from
from core.engines.sovits.model import SovitsGenerator
from core.engines.sovits.presets import preset
from core.errors import BadInput, ModelFileError
from core.models.safe_load import load_checkpoint
from core.settings import Settings, load_settings
from core.training.options import parse_options
from tests.engines.sovits.test_anatomy import config


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TIMBRE_PRETRAIN_DIR", str(workspace / "pretrain"))
    return load_settings({"workspace": workspace, "device": "cpu"})


def recipe(**changes: Any) -> Any:
    """What of a recipe is filled: a small generator, and a discriminator of one layer."""
    torch.manual_seed(9)
    return SimpleNamespace(generator=SovitsGenerator(config(**changes)), discriminator=nn.Linear(3, 2))


def put_base(settings: Settings, **changes: Any) -> tuple[SovitsGenerator, nn.Linear]:
    torch.manual_seed(1)
    generator, discriminator = SovitsGenerator(config(**changes)), nn.Linear(3, 2)
    folder = folder_of(settings, config(**changes))
    folder.mkdir(parents=True)
    write_tensors(folder / "G_0.safetensors", generator)
    write_tensors(folder / "D_0.safetensors", discriminator)
    return generator, discriminator


def options(**more: Any) -> Any:
    return parse_options({"voice": "v", "preset": "tiny", **more})


def test_a_base_of_other_speakers_gives_all_but_their_table(settings: Settings) -> None:
    generator, discriminator = put_base(settings, n_speakers=200)
    made = recipe(n_speakers=3)
    own = made.generator.emb_g.weight.detach().clone()
    note = start_from(made, config(n_speakers=3), options(), settings)
    assert "G_0" in note
    assert "D_0" in note
    assert torch.equal(made.generator.emb_g.weight, own)
    for name, tensor in made.generator.state_dict().items():
        if name != "emb_g.weight":
            assert torch.equal(tensor, generator.state_dict()[name]), name
    assert torch.equal(made.discriminator.weight, discriminator.weight)


def test_a_base_of_another_kind_is_not_taken(settings: Settings) -> None:
    put_base(settings)
    made = recipe(vol_embedding=True)
    before = {name: x.clone() for name, x in made.generator.state_dict().items()}
    assert start_from(made, config(vol_embedding=True), options(), settings) == ""
    assert all(torch.equal(x, before[name]) for name, x in made.generator.state_dict().items())
    assert start_from(recipe(), config(), options(use_base=False), settings) == ""


def test_named_weights_bring_the_discriminator_that_lies_with_them(settings: Settings, tmp_path: Path) -> None:
    torch.manual_seed(4)
    write_upstream(tmp_path / "G_800.pth", SovitsGenerator(config()), iteration=1, learning_rate=1e-4)
    write_upstream(tmp_path / "D_800.pth", nn.Linear(3, 2), iteration=1, learning_rate=1e-4)
    made = recipe()
    note = start_from(made, config(), options(init_from=str(tmp_path / "G_800.pth")), settings)
    assert note == "Starts from G_800.pth and D_800.pth."
    expected = load_checkpoint(tmp_path / "D_800.pth")["model"]["weight"]
    assert torch.equal(made.discriminator.weight, expected)


def test_what_does_not_fit_is_named(settings: Settings, tmp_path: Path) -> None:
    write_tensors(tmp_path / "G.safetensors", SovitsGenerator(config(filter_channels=16)))
    with pytest.raises(ModelFileError, match="ffn_layers"):
        start_from(recipe(), config(), options(init_from=str(tmp_path / "G.safetensors")), settings)
    with pytest.raises(BadInput, match="no file"):
        start_from(recipe(), config(), options(init_from=str(tmp_path / "none.pth")), settings)


def test_loudness_is_a_choice_of_the_main_model() -> None:
    sizes = {"encoder": "vec768l12", "encoder_dim": 768, "speakers": ["a"]}
    heard = preset("standard", **sizes, vol_embedding=True)  # type: ignore[arg-type]
    assert (heard.model.vol_embedding, heard.train.vol_aug) == (True, True)
    plain = preset("standard", **sizes)  # type: ignore[arg-type]
    assert (plain.model.vol_embedding, plain.train.vol_aug) == (False, False)
