"""Renders of held-out clips while a run goes on."""

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.audio.encode import write_audio
from core.engines.sovits.dataset import RATE_HZ, Example, whole_clip
from core.engines.sovits.recipe import Batch, Recipe
from core.errors import StudioError
from core.features.align import AlignMode
from core.nn.spectral import mel_spectrogram
from core.training.generations import generation_name
from core.training.measures import Measures
from core.training.metrics import MetricsLog
from core.training.pictures import spectrogram_picture, stack_pictures
from core.training.proof import BadRender

log = logging.getLogger(__name__)

SEED = 52468
MAX_FRAMES = 1300
"""Longer probes (15 s) are cut: they are for a look and a listen."""


class Probes:
    """The held-out clips of a run, rendered again and again."""

    def __init__(
        self,
        recipe: Recipe,
        examples: Sequence[Example],
        mode: AlignMode,
        device: torch.device,
        folder: Path | None = None,
        measures: Measures | None = None,
    ) -> None:
        """
        Args:
            recipe: renders.
            examples: clips that are never trained on.
            mode: how units are aligned.
            device: where the recipe's modules are.
            folder: where recordings of every step are kept (step_00001000/probe_1.flac); None: nowhere.
            measures: figures beside the mel distance; None: none.
        """
        self._recipe = recipe
        self._device = device
        self._clips = [_cut(whole_clip(example, mode), MAX_FRAMES) for example in examples]
        self._names = [f"probe_{index + 1}" for index in range(len(examples))]
        self._shown: set[str] = set()
        self._folder, self._measures = folder, measures
        self.last: dict[str, float] = {}
        """Figures of the latest render: mel distance, what `measures` gives, seconds it took, RTF."""

    def __call__(self, step: int, metrics: MetricsLog) -> float:
        """Render every probe, log picture, audio and figures, return the mean log-mel distance to the recordings."""
        began = time.monotonic()
        rows: list[dict[str, float]] = []
        seconds, rendering_s = 0.0, 0.0
        for name, clip in zip(self._names, self._clips, strict=True):
            at = time.monotonic()
            audio = self.render(clip)
            rendering_s += time.monotonic() - at
            target = clip.audio[0, 0]
            seconds += len(target) / RATE_HZ
            mel, mel_target = mel_spectrogram(audio), mel_spectrogram(target)
            row = {"mel_distance": float((mel - mel_target).abs().mean())}
            if not math.isfinite(row["mel_distance"]):
                raise BadRender(
                    f"At step {step} the voice renders values that are not numbers.",
                    "Resume from the last checkpoint with a lower learning rate.",
                )
            if self._measures is not None:
                row |= self._measures(audio.numpy(), target.numpy(), RATE_HZ)
            rows.append(row)
            self._show(step, name, audio, target, (mel, mel_target), metrics)
        names = {name for row in rows for name in row}
        means = {name: float(np.mean([row[name] for row in rows if name in row])) for name in sorted(names)}
        rtf = rendering_s / max(seconds, 1e-9)
        self.last = {**means, "render_s": time.monotonic() - began, "rtf": rtf}
        metrics.scalars(step, {f"probe/{name}": value for name, value in {**means, "rtf": rtf}.items()}, time.time())
        return means["mel_distance"]

    def _show(
        self, step: int, name: str, audio: Tensor, target: Tensor, mels: tuple[Tensor, Tensor], metrics: MetricsLog
    ) -> None:
        mel, mel_target = mels
        top = float(mel_target.max())
        picture = stack_pictures(spectrogram_picture(mel_target.numpy(), top), spectrogram_picture(mel.numpy(), top))
        metrics.image(step, f"{name}/recording above, voice below", picture)
        metrics.audio(step, f"{name}/voice", audio.numpy(), RATE_HZ)
        first = name not in self._shown
        self._shown.add(name)
        if first:
            metrics.audio(step, f"{name}/recording", target.numpy(), RATE_HZ)
        if self._folder is None:
            return
        try:
            write_audio(self._folder / generation_name(step) / f"{name}.flac", audio.numpy(), RATE_HZ)
            if first:
                write_audio(self._folder / "recording" / f"{name}.flac", target.numpy(), RATE_HZ)
        except StudioError as err:  # a full disk: the checkpoint that follows waits for room, a recording need not
            log.warning("the recording of %s at step %d is not kept: %s", name, step, err.message)

    @torch.no_grad()
    def render(self, clip: Batch) -> Tensor:
        """[N] float32 on the CPU; modules must be in eval mode."""
        there = clip.to(self._device)
        audio = self._recipe.render(there.units, there.f0_hz, there.uv, there.volume, there.sid, SEED)
        return audio.float().cpu()


def _cut(clip: Batch, n_frames: int) -> Batch:
    hop = clip.audio.shape[-1] // clip.units.shape[-1]
    return Batch(
        units=clip.units[..., :n_frames],
        f0_hz=clip.f0_hz[:, :n_frames],
        uv=clip.uv[:, :n_frames],
        volume=clip.volume[:, :n_frames],
        audio=clip.audio[..., : n_frames * hop],
        lengths=clip.lengths.clamp(max=n_frames),
        sid=clip.sid,
    )
