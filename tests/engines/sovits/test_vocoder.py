"""openvpi's vocoder: names of its files, every form a file comes in, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.engines.sovits.enhancer import adaptive_rate, enhance, slowed_pitch
from core.engines.sovits.vocoder import Vocoder, load_vocoder, parse_vocoder_config
from core.errors import BadInput, ModelFileError, Unavailable
from core.nn.noise import NoNoise
from core.nn.vocoder_mel import VocoderMel
from core.nn.weight_norm import fold_weight_norm

SMALL: dict[str, Any] = {
    "resblock": "1",
    "num_mels": 12,
    "upsample_rates": [8, 8],
    "upsample_kernel_sizes": [16, 16],
    "upsample_initial_channel": 8,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
    "sampling_rate": 8000,
    "n_fft": 256,
    "win_size": 256,
    "hop_size": 64,
    "fmin": 40,
    "fmax": 4000,
    "discriminator_periods": [3, 5],
}


def _file(folder: Path, name: str, tensors: dict[str, Any], config: dict[str, Any] = SMALL) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    torch.save({"generator": tensors}, folder / name)
    return folder / name


@pytest.mark.parametrize("folded", [False, True])
def test_names_and_shapes_are_those_of_the_released_files(shared_dir: Path, folded: bool) -> None:
    keys = shared_dir / "spec" / "keys" / "sovits"
    config = json.loads((keys / "vocoder_openvpi_nsf_hifigan.json").read_text())["h"]
    vocoder = Vocoder(parse_vocoder_config(config))
    name = "vocoder_openvpi_nsf_hifigan_weightnorm_removed" if folded else "vocoder_openvpi_nsf_hifigan"
    if folded:
        fold_weight_norm(vocoder.decoder)
    described = json.loads((keys / f"{name}.json").read_text())["keys"]
    ours = {key: list(tensor.shape) for key, tensor in vocoder.decoder.state_dict().items()}
    assert ours == {key: item["shape"] for key, item in described.items()}


@pytest.mark.parametrize("name", ["model", "model.ckpt"])  # as in 2022.12, as in 2024.02
@pytest.mark.parametrize("folded", [False, True])
def test_files_of_both_releases_sound_as_before_saving(tmp_path: Path, name: str, folded: bool) -> None:
    torch.manual_seed(1)
    vocoder = Vocoder(parse_vocoder_config(SMALL)).eval()
    mel, f0 = torch.randn(1, 12, 9) - 5, torch.full((1, 9), 150.0)
    expected = vocoder.infer(mel, f0, NoNoise())
    if folded:
        fold_weight_norm(vocoder.decoder)
    loaded = load_vocoder(_file(tmp_path, name, vocoder.decoder.state_dict()))
    torch.testing.assert_close(loaded.infer(mel, f0, NoNoise()), expected, atol=1e-5, rtol=1e-4)
    assert expected.shape == (1, 1, 9 * 64)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    tensors = Vocoder(parse_vocoder_config(SMALL)).decoder.state_dict()
    with pytest.raises(BadInput, match="config"):
        load_vocoder(tmp_path / "model")
    with pytest.raises(BadInput, match="hop_size 128"):
        load_vocoder(_file(tmp_path, "model", tensors, {**SMALL, "hop_size": 128}))
    with pytest.raises(Unavailable, match="mini_nsf"):
        load_vocoder(_file(tmp_path, "model", tensors, {**SMALL, "mini_nsf": True}))
    with pytest.raises(ModelFileError, match="conv_pre"):
        load_vocoder(_file(tmp_path, "model", {k: v for k, v in tensors.items() if "conv_pre" not in k}))
    with pytest.raises(ModelFileError, match="voice model"):
        load_vocoder(_file(tmp_path, "model", {**tensors, "emb_g.weight": torch.zeros(1, 4)}))


def test_a_key_shift_moves_a_tone_along_the_mels() -> None:
    analysis = VocoderMel()
    t = torch.arange(44100) / 44100
    tone = 0.5 * torch.sin(2 * torch.pi * 2000 * t)[None]
    here, lower, higher = (int(analysis(tone, shift)[0, :, 20].argmax()) for shift in (0.0, -5.0, 5.0))
    assert higher > here > lower or higher < here < lower
    octave = analysis(0.5 * torch.sin(2 * torch.pi * 4000 * t)[None])[0, :, 20].argmax()
    assert int(analysis(tone, 12.0)[0, :, 20].argmax()) in range(int(octave) - 1, int(octave) + 2)


def test_very_short_sound_has_a_mel() -> None:
    assert torch.isfinite(VocoderMel()(torch.zeros(1, 600))).all()


def test_the_adaptive_key_slows_by_semitones_in_hundreds_of_hertz() -> None:
    assert adaptive_rate(44100, 0) == 44100
    assert adaptive_rate(44100, 12) == 88200
    assert adaptive_rate(44100, 3.5) % 100 == 0


def test_slowed_pitch_is_lower_and_as_long() -> None:
    f0 = np.linspace(200, 300, 50)
    slow = slowed_pitch(f0, 0.01, 44100, 88200, 512, 86)
    assert slow[0] == pytest.approx(100)
    assert slow[-1] == pytest.approx(150, abs=2)  # one second when read at half the speed
    np.testing.assert_allclose(slowed_pitch(f0, 512 / 44100, 44100, 44100, 512, 50), f0, rtol=1e-5)


@pytest.mark.parametrize("key", [0.0, 4.0])
def test_enhanced_audio_is_as_long_as_before(key: float) -> None:
    vocoder = Vocoder(parse_vocoder_config(SMALL)).eval()
    audio = np.sin(np.arange(3000) * 0.1).astype(np.float32)
    made = enhance(audio, 8000, np.full(47, 127.0), 64 / 8000, vocoder, key, NoNoise())
    assert made.shape == (3000,)
    assert np.isfinite(made).all()
