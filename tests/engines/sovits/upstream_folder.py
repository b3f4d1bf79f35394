"""A folder as so-vits-svc 4.1 leaves it after a training, with tiny models: real files of every kind."""

import argparse
import json
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from core.engines.sovits.checkpoint import write_upstream
from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.diffusion.model import DiffusionSizes, Unit2Mel
from core.engines.sovits.model import SovitsGenerator
from tests.engines.sovits.test_anatomy import config
from tests.models.test_fairseq_hubert import as_fairseq, tiny

WIDTH = 256
KMEANS = np.random.default_rng(3).normal(size=(7, WIDTH)).astype(np.float32)


def write_config(path: Path, made: SovitsConfig) -> None:
    """config.json, with a key that users leave behind."""
    raw = made.model_dump(mode="json")
    raw["train"]["num_workers"] = 4
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(raw), encoding="utf-8")


def write_generator(path: Path, made: SovitsConfig, seed: int = 1) -> Path:
    """G_N.pth."""
    torch.manual_seed(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_upstream(path, SovitsGenerator(made), iteration=3, learning_rate=1e-4)
    return path


def write_diffusion(folder: Path, step: int, width: int = WIDTH, **sizes: Any) -> Path:
    """model_N.pt and config.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    made = DiffusionSizes(width, n_layers=2, n_channels=8, n_hidden=8, n_steps=20, **sizes)
    torch.manual_seed(step)
    model = Unit2Mel(made)
    torch.save({"global_step": step, "model": model.state_dict()}, folder / f"model_{step}.pt")
    raw = {
        "data": {"sampling_rate": 44100, "block_size": 512, "encoder": "vec256l9", "encoder_out_channels": width},
        "model": {"type": "Diffusion", "n_layers": 2, "timesteps": 20, "k_step_max": 0, "use_pitch_aug": True},
        "infer": {"speedup": 10, "method": "dpm-solver++"},
        "vocoder": {"type": "nsf-hifigan", "ckpt": "pretrain/nsf_hifigan/model"},
        "spk": {"ann": 0},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    return folder / f"model_{step}.pt"


def write_kmeans(path: Path, speakers: tuple[str, ...] = ("ann", "bob")) -> Path:
    """kmeans_10000.pt: numpy arrays in a torch pickle, with the seven centres doubled for the second speaker."""
    data = {
        name: {"n_features_in_": WIDTH, "_n_threads": 4, "cluster_centers_": KMEANS * (i + 1)}
        for i, name in enumerate(speakers)
    }
    torch.save(data, path)
    return path


def write_index(path: Path, width: int = WIDTH) -> np.ndarray:
    """feature_and_index.pkl of one speaker, by faiss itself; returns its vectors."""
    import faiss

    vectors = np.random.default_rng(5).normal(size=(60, width)).astype(np.float32)
    index = faiss.index_factory(width, "IVF4,Flat")
    index.train(vectors)
    index.add(vectors)
    path.write_bytes(bytes(ForkingPickler.dumps({0: index})))
    return vectors


def write_contentvec(path: Path) -> Path:
    """checkpoint_best_legacy_500.pt whose projection gives 256 values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(9)
    torch.save({"args": argparse.Namespace(arch="hubert"), "model": as_fairseq(tiny(), nn.Linear(64, WIDTH))}, path)
    return path


VOCODER = {
    "resblock": "1",
    "num_mels": 128,
    "upsample_rates": [8, 8, 2, 2, 2],
    "upsample_kernel_sizes": [16, 16, 4, 4, 4],
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
    "sampling_rate": 44100,
    "n_fft": 2048,
    "win_size": 2048,
    "hop_size": 512,
    "fmin": 40,
    "fmax": 16000,
    "batch_size": 10,
}


def write_vocoder(folder: Path) -> Path:
    """nsf_hifigan/model and config.json."""
    from core.engines.sovits.vocoder import Vocoder, parse_vocoder_config

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(8)
    vocoder = Vocoder(parse_vocoder_config(VOCODER))
    torch.save({"generator": vocoder.decoder.state_dict()}, folder / "model")
    (folder / "config.json").write_text(json.dumps(VOCODER), encoding="utf-8")
    return folder / "model"


def make_folder(root: Path) -> Path:
    """logs, pretrain, configs and a data set, as they lie after a training."""
    made = config(speech_encoder="vec256l9")
    logs = root / "logs" / "44k"
    for step in (0, 800, 1600):
        write_generator(logs / f"G_{step}.pth", made, step)
        torch.save({"model": {"discriminators.0.conv_post.bias": torch.zeros(1)}}, logs / f"D_{step}.pth")
    write_config(logs / "config.json", made)
    write_config(root / "configs" / "config.json", made)
    write_kmeans(logs / "kmeans_10000.pt")
    write_index(logs / "feature_and_index.pkl")
    write_diffusion(logs / "diffusion", 4000)
    write_contentvec(root / "pretrain" / "checkpoint_best_legacy_500.pt")
    write_vocoder(root / "pretrain" / "nsf_hifigan")
    clips = root / "dataset" / "44k" / "ann"
    clips.mkdir(parents=True)
    torch.save(torch.zeros(1, WIDTH, 5), clips / "a.wav.soft.pt")
    (clips / "a.wav").write_bytes(b"RIFF")
    (root / "README.md").write_text("so-vits-svc")
    return root
