"""Tiny real models for the tests of conversion: a voice of two speakers, diffusion model, vocoder, banks of units."""

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from core.dataset.voices import Voice
from core.engines.sovits.config import save_config
from core.engines.sovits.diffusion.model import DiffusionSizes, Unit2Mel
from core.engines.sovits.export import export_model
from core.engines.sovits.model import build_generator
from core.engines.sovits.vocoder import Vocoder, parse_vocoder_config
from tests.training.material import DIM, small_config

N_MELS = 16
VOCODER: dict[str, Any] = {
    "resblock": "2",
    "num_mels": N_MELS,
    "upsample_rates": [16, 8, 4],
    "upsample_kernel_sizes": [32, 16, 8],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3]],
    "sampling_rate": 44100,
    "n_fft": 2048,
    "win_size": 2048,
    "hop_size": 512,
    "fmin": 40,
    "fmax": 16000,
}


def duet(voice: Voice, family: str = "tiny", name: str = "duet", encoder: Any = None, **model: Any) -> Path:
    """A model of the speakers Ann and Bo with random weights, as an import or a run would leave it.

    `encoder`: a content encoder to be trained for; None: the tests' own.
    """
    torch.manual_seed(5)
    config = small_config(family)
    card = {"voice": voice.name, "encoder": "bands", "encoder_fingerprint": "bands-1", "f0_median": 220.0}
    if encoder is not None:
        model |= {"ssl_dim": encoder.dim, "speech_encoder": encoder.name}
        card |= {"encoder": encoder.name, "encoder_fingerprint": encoder.fingerprint}
    config = config.model_copy(
        update={"model": config.model.model_copy(update={"n_speakers": 2, **model}), "spk": {"Ann": 0, "Bo": 1}}
    )
    save_config(config, voice.path / "config.json")
    generator = build_generator(config)
    with torch.no_grad():
        for parameter in generator.parameters():
            if not parameter.any():  # what training starts at zero would hide the speaker
                parameter.normal_(0, 0.05)
    card |= {"preset": family, "step": 1, "run": name, "created": 2.0}
    return export_model(voice.models / name, generator, voice.path / "config.json", card)


def diffusion(folder: Path, *, n_speakers: int = 2, k_step_max: int = 0, n_units: int = DIM, **infer: Any) -> Path:
    """model_12.pt and config.yaml as so-vits-svc leaves them in `folder`/diffusion."""
    torch.manual_seed(6)
    sizes = DiffusionSizes(
        n_units, n_speakers, n_mels=N_MELS, n_layers=2, n_channels=16, n_hidden=8, k_step_max=k_step_max
    )
    model = Unit2Mel(sizes)
    torch.nn.init.normal_(model.decoder.denoise_fn.output_projection.weight, 0, 1.0)
    place = folder / "diffusion"
    place.mkdir(exist_ok=True)
    torch.save({"global_step": 12, "model": model.state_dict()}, place / "model_12.pt")
    config = {
        "data": {"sampling_rate": 44100, "block_size": 512, "encoder": "vec768l12"},
        "model": {"type": "Diffusion", "k_step_max": k_step_max, "use_pitch_aug": True, "n_spk": n_speakers},
        "infer": {"speedup": 50, "method": "dpm-solver++", **infer},
        "vocoder": {"type": "nsf-hifigan", "ckpt": "pretrain/nsf_hifigan/model"},
        "spk": {"Ann": 0, "Bo": 1},
    }
    (place / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return place / "model_12.pt"


def vocoder(folder: Path) -> Path:
    """`folder`/model and config.json, as openvpi's zip has them."""
    torch.manual_seed(7)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(VOCODER))
    torch.save({"generator": Vocoder(parse_vocoder_config(VOCODER)).decoder.state_dict()}, folder / "model")
    return folder / "model"


def banks(folder: Path) -> None:
    """kmeans_10000.pt of Ann and Bo, and a bank of units for retrieval."""
    torch.manual_seed(8)
    centres = {
        name: {"n_features_in_": DIM, "_n_threads": 1, "cluster_centers_": torch.randn(5, DIM).numpy()}
        for name in ("Ann", "Bo")
    }
    torch.save(centres, folder / "kmeans_10000.pt")
    save_file({"Ann": torch.randn(40, DIM), "Bo": torch.randn(40, DIM)}, folder / "retrieval.safetensors")
