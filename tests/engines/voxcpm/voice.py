"""A voice with a few short clips and transcripts, and runs that end in seconds."""

from pathlib import Path
from typing import Any

import numpy as np

from core.dataset.clips import Clip, ClipTable
from core.dataset.voices import Voice, VoiceStore
from core.jobs.context import ForegroundContext
from core.settings import Settings, load_settings
from core.speech.prompt import file_sha256
from tests.conftest import save_wav

TEXTS = ("Hello world.", "The quick brown fox.", "", "你好世界", "Hello.", "A short test.")
QUICK: dict[str, Any] = {
    "engine": "voxcpm", "steps": 4, "batch_size": 2, "save_every_steps": 2, "log_every_steps": 1, "warmup_steps": 1,
    "learning_rate": 1e-3, "sentences": ["Hi."], "measures": False, "num_workers": 0,
}  # fmt: skip


def studio_settings(workspace: Path) -> Settings:
    """On one thread of the CPU."""
    return load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})


def sound(seconds: float, seed: int) -> np.ndarray:
    """A tone that comes and goes, with a little noise: [n] at 44.1 kHz."""
    at = np.arange(int(44100 * seconds)) / 44100
    noise = 0.003 * np.random.default_rng(seed).standard_normal(at.size)
    return 0.2 * np.sin(2 * np.pi * (150 + 20 * seed) * at) * np.clip(np.sin(4 * np.pi * at), 0, 1) + noise


def make_voice(settings: Settings, name: str = "Ann", texts: tuple[str, ...] = TEXTS) -> Voice:
    """Accepted clips of 0.5 s and more; one of them has no transcript."""
    voice = VoiceStore(settings.voices_dir).create(name)
    clips = []
    for number, text in enumerate(texts):
        seconds = 0.5 + 0.1 * number
        path = save_wav(voice.sliced / f"c{number}.wav", sound(seconds, number), 44100)
        clips.append(
            Clip(
                id=f"c{number}", audio=path.relative_to(voice.path).as_posix(), source="s.wav", start_s=0.0,
                end_s=seconds, duration_s=seconds, lufs=-20.0, peak_db=-3.0, snr_db=40.0, clipped_fraction=0.0,
                sha256=file_sha256(path), text=text,
            )
        )  # fmt: skip
    ClipTable(voice).save(clips)
    return voice


def train(settings: Settings, stop_at: str = "", **params: Any) -> dict[str, Any]:
    """Run the job here; with `stop_at` a stop is asked for when a message begins so."""
    from core.training.engines import run_train

    def heard(fraction: float, message: str) -> None:
        if stop_at and message.startswith(stop_at):
            ctx.request_cancel()

    ctx = ForegroundContext(settings, heard)
    return run_train(params, ctx)
