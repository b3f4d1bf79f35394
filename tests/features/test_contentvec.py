"""ContentVec through transformers, on a tiny random checkpoint in the published format."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.errors import BadInput, ModelFileError, Unavailable
from core.features import encoders
from core.features.encoders.hubert import HubertEncoder
from core.settings import Settings


def _wave(seconds: float, seed: int = 1) -> torch.Tensor:
    return 0.1 * torch.randn(round(seconds * 16000), generator=torch.Generator().manual_seed(seed))


def test_units_are_the_named_layers(contentvec_folder: Path) -> None:
    """Against transformers' own list of hidden states: layer 12 bare, layer 9 through the projection."""
    from transformers import HubertModel

    tensors = load_file(contentvec_folder / "model.safetensors")
    weight, bias = tensors["final_proj.weight"], tensors["final_proj.bias"]
    model = HubertModel.from_pretrained(contentvec_folder).eval()
    wave = _wave(1.0)
    with torch.inference_mode():
        hidden = model(wave[None], output_hidden_states=True).hidden_states
    units12 = HubertEncoder(contentvec_folder, "vec768l12").encode(wave)
    units9 = HubertEncoder(contentvec_folder, "vec256l9").encode(wave)
    assert units12.shape == (49, 24)
    assert units9.shape == (49, 8)
    torch.testing.assert_close(units12, hidden[12][0])
    torch.testing.assert_close(units9, hidden[9][0] @ weight.T + bias)


def test_exports_with_the_older_weight_norm_names_give_the_same(
    contentvec_folder: Path, contentvec_maker: Callable[..., Path], tmp_path: Path
) -> None:
    older = contentvec_maker(tmp_path / "contentvec", old_names=True)
    wave = _wave(0.4)
    new, old = (HubertEncoder(folder, "vec768l12").encode(wave) for folder in (contentvec_folder, older))
    torch.testing.assert_close(new, old)


def test_the_fingerprint_is_of_the_weights(
    contentvec_folder: Path, contentvec_maker: Callable[..., Path], tmp_path: Path
) -> None:
    other = contentvec_maker(tmp_path / "contentvec", seed=1)
    first, again = (HubertEncoder(contentvec_folder, name).fingerprint for name in ("vec768l12", "vec256l9"))
    assert first == again
    assert first != HubertEncoder(other, "vec768l12").fingerprint


def test_short_audio_gives_no_units(contentvec_folder: Path) -> None:
    encoder = HubertEncoder(contentvec_folder, "vec768l12")
    assert encoder.encode(torch.zeros(0)).shape == (0, 24)
    assert encoder.encode(torch.zeros(399)).shape == (0, 24)
    assert encoder.encode(_wave(0.025)).shape == (1, 24)


def test_long_audio_in_windows_keeps_count_and_sense(contentvec_folder: Path) -> None:
    """31 s: one window and the start of the next; away from the seam the units are those of the whole."""
    encoder = HubertEncoder(contentvec_folder, "vec768l12")
    wave = _wave(31.0)
    units = encoder.encode(wave)
    whole = encoder._run(wave)
    assert units.shape == whole.shape == (1549, 24)
    similarity = torch.cosine_similarity(units, whole, dim=1)
    assert similarity.min() > 0.95


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop("encoder.layers.3.attention.k_proj.weight"), "missing"),
        (lambda t: t.update({"encoder.layers.12.surprise": torch.zeros(1)}), "surprise"),
        (lambda t: t.update({"final_proj.weight": torch.zeros(9, 24)}), "final_proj.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(
    contentvec_folder: Path, tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], object], says: str
) -> None:
    tensors = load_file(contentvec_folder / "model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((contentvec_folder / "config.json").read_text())
    with pytest.raises(ModelFileError, match=says):
        HubertEncoder(tmp_path, "vec768l12")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model_type": "wav2vec2"}, "wav2vec2"),
        ({"num_hidden_layers": 24}, "24"),
        ({"hidden_size": "wide"}, "hubert model"),
        ({"num_attention_heads": 7}, "hubert model"),
    ],
)
def test_a_config_of_something_else_is_refused(
    contentvec_folder: Path, tmp_path: Path, change: dict[str, object], says: str
) -> None:
    config = json.loads((contentvec_folder / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(load_file(contentvec_folder / "model.safetensors"), tmp_path / "model.safetensors")
    with pytest.raises(ModelFileError, match=says):
        HubertEncoder(tmp_path, "vec768l12")


def test_a_config_that_is_no_json_is_refused(contentvec_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("not json")
    with pytest.raises(ModelFileError, match=r"config\.json of ContentVec can not be read"):
        HubertEncoder(tmp_path, "vec768l12")


def test_absent_weights_say_what_to_do(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path, pretrain_dir=tmp_path / "pretrain")
    with pytest.raises(Unavailable) as caught:
        encoders.create("vec768l12", "cpu", settings)
    text = str(caught.value)
    for word in ("config.json", "MIT", " MB", str(tmp_path / "pretrain" / "contentvec"), "builtin"):
        assert word in text
    infos = {info.name: info for info in encoders.available(settings)}
    assert not infos["vec768l12"].ready
    assert "contentvec" in infos["vec256l9"].why_not


def test_weights_of_another_width_are_refused_by_name(contentvec_maker: Callable[..., Path], tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path, pretrain_dir=tmp_path / "pretrain")
    contentvec_maker(settings.pretrain_dir / "contentvec")
    infos = {info.name: info for info in encoders.available(settings)}
    assert infos["vec768l12"].ready
    with pytest.raises(ModelFileError, match="24 channels"):
        encoders.create("vec768l12", "cpu", settings)


def test_unknown_encoders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="Unknown content encoder"):
        encoders.create("whisper", "cpu", Settings(workspace=tmp_path))


def test_listing_encoders_does_not_import_torch() -> None:
    """The page lists encoders; it must answer within seconds."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from core.features import encoders; from core.settings import Settings;"
        "encoders.available(Settings(workspace=Path('x').absolute())); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
