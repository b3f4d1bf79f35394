"""A small voice and a run that has not started, and copies of them for the trials."""

import os
import shutil
import wave
from pathlib import Path

import numpy as np

from core.dataset.clips import Clip, ClipTable
from core.dataset.voices import VoiceStore
from core.engines.sovits.config import save_config
from core.engines.sovits.presets import preset
from core.features import cache, encoders
from core.settings import Settings, load_settings
from core.training.options import parse_options
from core.training.runs import Run, RunInfo, create_run

RATE_HZ = 44100
VOICE, RUN = "crash", "run"
STEPS, SAVE_EVERY = 6, 2
WIDTHS = {"hidden_channels": 16, "n_layers": 1, "gin_channels": 4}


class Stage:
    """The template workspace, and fresh copies of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = folder / "template"
        self._made = 0
        settings = self.settings(self.template)
        _make_voice(settings)
        _make_run(settings)

    def settings(self, workspace: Path) -> Settings:
        """Settings of a copy."""
        chosen = {"workspace": workspace, "runs_dir": workspace / "logs", "device": "cpu", "threads": 1}
        return load_settings(chosen, env={})

    def fresh(self) -> Path:
        """A copy of the template. Files are hard links: the studio never changes one in place, and must not."""
        self._made += 1
        copy = self.folder / f"trial-{self._made:05d}"
        shutil.copytree(self.template, copy, copy_function=os.link)
        return copy

    def keep_features(self, workspace: Path) -> None:
        """Take the features that a trial has made into the template."""
        shutil.copytree(self.settings(workspace).cache_dir, self.settings(self.template).cache_dir)


def run_of(workspace: Path) -> Run:
    """The one run of a workspace."""
    return Run(workspace / "logs" / RUN)


def _make_voice(settings: Settings) -> None:
    voice = VoiceStore(settings.voices_dir).create(VOICE)
    voice.sliced.mkdir(parents=True, exist_ok=True)
    clips = []
    for index in range(5):
        path = voice.sliced / f"clip{index}.wav"
        seconds = 0.6 + 0.1 * index
        t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
        phase = 2 * np.pi * np.cumsum(150 + 20 * index + 10 * np.sin(5 * t)) / RATE_HZ
        audio = 0.1 * sum(np.sin(k * phase) / k for k in range(1, 9)) * np.clip(np.sin(9 * t) + 0.6, 0, 1)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes((audio * 32767).astype("<i2").tobytes())
        digest = cache.file_sha256(path)
        place = path.relative_to(voice.path).as_posix()
        clips.append(
            Clip(
                f"clip{index}", place, "made.wav", 0.0, seconds, seconds, -20.0, -3.0, 40.0, 0.0, digest, "", "accepted"
            )
        )
    ClipTable(voice).save(clips)


def _make_run(settings: Settings) -> None:
    options = parse_options(
        {
            "voice": VOICE,
            "preset": "lite",
            "steps": STEPS,
            "batch_size": 2,
            "segment_frames": 8,
            "pitch": "dio",
            "save_every_steps": SAVE_EVERY,
            "log_every_steps": 1,
            "adversarial_from_step": 3,
            "probes": 1,
            "keep": 2,
            "keep_light": 2,
            "measures": False,
        }
    )
    run = create_run(settings.runs, RUN, VOICE, options.preset)
    dim = encoders.ENCODERS[options.encoder].dim
    config = preset("lite", encoder=options.encoder, encoder_dim=dim, speakers=[VOICE])
    small = config.model_copy(update={"model": config.model.model_copy(update=WIDTHS)})
    save_config(small, run.config_file)
    info = RunInfo(RUN, VOICE, "lite", options.encoder, state="stopped", steps=STEPS, pitch="dio", started_at=1.0)
    info.options = options.model_dump()
    run.write(info)
