"""Small synthetic voices and models for the tests of training and conversion: real parts, reduced sizes."""

import itertools
import json
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from core.dataset.clips import Clip, ClipTable
from core.dataset.voices import Voice, VoiceStore
from core.engines.sovits.config import SovitsConfig, save_config
from core.engines.sovits.dataset import Example, wav_frames
from core.engines.sovits.export import export_model
from core.engines.sovits.model import build_generator
from core.engines.sovits.presets import preset
from core.features import cache, encoders
from core.features.encoders.base import ContentEncoder
from core.settings import Settings, load_settings

RATE_HZ = 44100
DIM = 24

TINY_RUN: dict[str, object] = {
    "preset": "lite",
    "steps": 3,
    "batch_size": 2,
    "segment_frames": 8,
    "encoder": "bands",
    "pitch": "dio",
    "save_every_steps": 2,
    "log_every_steps": 1,
    "adversarial_from_step": 99,
    "measures": False,
}
"""Options of a run that ends in seconds; needs `register_encoder` and `small_config`."""


class BandEncoder(ContentEncoder):
    """Log energies of 24 bands, 50 a second: a content encoder that needs no weights."""

    name = "bands"
    dim = DIM
    fingerprint = "bands-1"

    def encode(self, wav16k: torch.Tensor) -> torch.Tensor:
        spectrum = torch.stft(wav16k, 640, 320, window=torch.hann_window(640), return_complex=True).abs()
        edges = torch.linspace(0, spectrum.shape[0], DIM + 1).long().tolist()
        bands = torch.stack([spectrum[a:b].mean(0) for a, b in itertools.pairwise(edges)])
        return torch.log(bands[:, : max(1, wav16k.numel() // 320)] + 1e-3).T.contiguous()


def sung_vowel(seconds: float, base_hz: float = 180.0, seed: int = 0) -> np.ndarray:
    """Harmonics over a wandering pitch with pauses and a little noise: [N] float32 at 44.1 kHz."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    f0 = base_hz * 2 ** (0.2 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(f0) / RATE_HZ
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    envelope = np.clip(np.sin(2 * np.pi * 1.1 * t + rng.uniform(0, 6)) + 0.6, 0, 1)
    return (0.12 * envelope * tone + 0.003 * rng.standard_normal(len(t))).astype(np.float32)


def write_clip(path: Path, audio: np.ndarray, rate_hz: int = RATE_HZ) -> Path:
    """16-bit PCM mono."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def make_examples(folder: Path, n_clips: int = 4, seconds: float = 1.0) -> list[Example]:
    """Clips on disk with their features in a cache."""
    encoder = BandEncoder()
    clips = [
        write_clip(folder / "clips" / f"{i}.wav", sung_vowel(seconds * (1 + 0.2 * i), 160 + 30 * i, i))
        for i in range(n_clips)
    ]
    paths = cache.extract(clips, cache.spec_of(encoder, "dio"), folder / "cache", encoder=encoder, workers=1)
    return [Example(clip.stem, clip, path, wav_frames(clip)) for clip, path in zip(clips, paths, strict=True)]


def small_config(name: str = "lite") -> SovitsConfig:
    """A preset with its widths cut down."""
    config = preset(name, encoder="bands", encoder_dim=DIM, speakers=["tester"])
    if name == "lite":
        small = {"hidden_channels": 16, "n_layers": 1, "gin_channels": 4}
    else:
        small = {
            "inter_channels": 16,
            "hidden_channels": 16,
            "filter_channels": 32,
            "n_layers": 1,
            "gin_channels": 8,
            "upsample_initial_channel": 64,
        }
    return config.model_copy(update={"model": config.model.model_copy(update=small)})


def make_voice(settings: Settings, name: str = "歌手 one", n_clips: int = 5, seconds: float = 0.8) -> Voice:
    """A voice with accepted clips (and one that is rejected), as preparation leaves it."""
    voice = VoiceStore(settings.voices_dir).create(name)
    clips = []
    for i in range(n_clips + 1):
        path = write_clip(voice.sliced / f"clip{i}.wav", sung_vowel(seconds * (1 + 0.1 * i), 150 + 20 * i, i))
        clips.append(
            Clip(
                id=f"clip{i}",
                audio=path.relative_to(voice.path).as_posix(),
                source="song.wav",
                start_s=0.0,
                end_s=seconds,
                duration_s=wav_frames(path) * 512 / RATE_HZ,
                lufs=-20.0,
                peak_db=-3.0,
                snr_db=40.0,
                clipped_fraction=0.0,
                sha256=cache.file_sha256(path),
                verdict="accepted" if i < n_clips else "rejected",
            )
        )
    ClipTable(voice).save(clips)
    return voice


def register_encoder(patch: pytest.MonkeyPatch) -> None:
    """Make "bands" an encoder that the studio knows; it has no files, so it borrows the row of a package."""
    entry = encoders.EncoderEntry(DIM, "fcpe", lambda folder, device: BandEncoder())
    patch.setitem(encoders.ENCODERS, "bands", entry)


def export_random(voice: Voice, family: str = "lite", name: str = "random") -> Path:
    """A voice model with fresh weights, as a run would export it."""
    torch.manual_seed(3)
    config = small_config(family)
    folder = voice.models / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    config_file = voice.path / "config.json"
    save_config(config, config_file)
    card = {"voice": voice.name, "encoder": "bands", "encoder_fingerprint": "bands-1", "f0_median": 220.0}
    card |= {"preset": family, "step": 1, "run": name, "created": 1.0}
    return export_model(folder, build_generator(config), config_file, card)


def settings_for(workspace: Path, patch: pytest.MonkeyPatch) -> Settings:
    """Settings of a workspace whose models lie in it, with "bands" as an encoder, on one thread."""
    register_encoder(patch)
    torch.set_num_threads(1)
    patch.setenv("TIMBRE_PRETRAIN_DIR", str(workspace / "pretrain"))
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1})


def make_trained_voice(settings: Settings) -> Voice:
    """A voice of four short clips with a model of fresh weights, whose pitch is found by dio (no weights needed)."""
    made = make_voice(settings, n_clips=4, seconds=0.6)
    card = export_random(made) / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "pitch": "dio"}))
    return made
