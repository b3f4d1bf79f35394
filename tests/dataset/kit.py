"""What the dataset tests share: a voice in a fresh workspace, a context, a preparation."""

from pathlib import Path
from typing import Any

import numpy as np

from core.audio.encode import write_audio
from core.dataset.clips import Clip, ClipTable
from core.dataset.prepare import run_prepare
from core.dataset.voices import Voice, VoiceStore
from core.jobs.context import ForegroundContext
from core.settings import load_settings

RATE = 16000
"""Clips are prepared at this rate where the test does not care, which is three times faster than 44.1 kHz."""


class Bench:
    """One workspace with one voice."""

    def __init__(self, workspace: Path, name: str = "Ann 声") -> None:
        self.settings = load_settings({"workspace": str(workspace)}, env={})
        self.store = VoiceStore(self.settings.voices_dir)
        self.voice: Voice = self.store.create(name)
        self.table = ClipTable(self.voice)

    def record(self, name: str, audio: np.ndarray, rate_hz: int = RATE) -> Path:
        """Put a recording into `raw_audio` directly."""
        return write_audio(self.voice.raw / name, audio, rate_hz)

    def prepare(self, files: list[str] | None = None, **options: Any) -> dict[str, Any]:
        """Run the job in this process."""
        params: dict[str, Any] = {"voice": self.voice.name, "options": {"rate_hz": RATE, **options}}
        if files is not None:
            params["files"] = files
        return run_prepare(params, ForegroundContext(self.settings))

    def clips(self) -> list[Clip]:
        """The table."""
        return self.table.load()

    def files(self) -> dict[str, bytes]:
        """Everything in `sliced_audio`, by name."""
        return {p.name: p.read_bytes() for p in sorted(self.voice.sliced.iterdir()) if p.name != ".clips.lock"}
