"""What the cleaning tests share."""

from pathlib import Path

import numpy as np

from core.audio.encode import write_audio
from core.cleaning.blocks import Block, Source
from core.cleaning.options import CleanOptions
from core.cleaning.steps import STEP_FUNCTIONS
from core.jobs.context import ForegroundContext
from core.settings import load_settings

RATE = 16000


def context(workspace: Path) -> ForegroundContext:
    """A context whose workspace and pretrain folder are empty."""
    return ForegroundContext(load_settings({"workspace": str(workspace), "pretrain_dir": str(workspace)}, env={}))


def source_of(folder: Path, audio: np.ndarray, rate_hz: int = RATE) -> Source:
    """`audio` as a file that a step can read."""
    path = write_audio(folder / "in.wav", audio, rate_hz)
    return Source(path, rate_hz, audio.size / rate_hz, 1.0, context(folder))


def through(name: str, source: Source, **options: object) -> Block:
    """What a step makes of a file, joined."""
    chosen = CleanOptions.model_validate({"steps": [name], **options})
    return np.concatenate(list(STEP_FUNCTIONS[name](source, chosen)))  # type: ignore[index]


def sdr_db(heard: np.ndarray, truth: np.ndarray) -> float:
    """Scale-invariant signal to distortion, dB (Le Roux and others, "SDR: half-baked or well done?", ICASSP 2019)."""
    scaled = np.dot(heard, truth) / np.dot(truth, truth) * truth
    return float(10 * np.log10(np.sum(scaled**2) / np.sum((heard - scaled) ** 2)))


def noisy(voice: np.ndarray, snr_db: float, seed: int = 0) -> np.ndarray:
    """`voice` with white noise that far below its mean power."""
    power = float(np.mean(voice**2)) / 10 ** (snr_db / 10)
    noise = np.random.default_rng(seed).standard_normal(voice.size) * np.sqrt(power)
    return (voice + noise).astype(np.float32)
