"""What a run trains on: accepted clips with their features, and the few that are held out."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core import atomic
from core.engines.sovits.dataset import RATE_HZ, Example, wav_frames
from core.engines.sovits.recipe import HOP
from core.errors import BadInput
from core.features import cache
from core.training import holdout
from core.training.options import TrainOptions

if TYPE_CHECKING:
    from core.dataset.clips import Clip
    from core.dataset.voices import Voice
    from core.features.encoders.base import ContentEncoder
    from core.jobs.context import JobContext

log = logging.getLogger(__name__)

SHORTEST_FRAMES = 26
"""0.3 s; upstream leaves shorter clips out too, and a training segment needs 20 frames."""


@dataclass(frozen=True)
class Material:
    """Examples with features on disk."""

    train: list[Example]
    held_out: list[Example]
    """Never trained on, unless there are too few clips to spare one; then it repeats the first training clip."""
    notes: list[str]
    data_hash: str
    """Over the content of all clips and their roles."""

    @property
    def minutes(self) -> float:
        """Of training clips."""
        return sum(e.n_frames for e in self.train) * HOP / RATE_HZ / 60.0


def split(clips: "Sequence[Clip]", options: TrainOptions) -> "tuple[list[Clip], list[Clip], list[str]]":
    """(train, held out, notes). The choice depends on the clips' content alone, so it is the same on every machine.

    Raises:
        BadInput: nothing to train on, or a clip named in options.holdout is not there.
    """
    if not clips:
        raise BadInput(
            f"The voice '{options.voice}' has no accepted clips.", "Prepare recordings and accept some clips."
        )
    return holdout.split(clips, options.probes, options.holdout)


def gather(
    voice: "Voice", options: TrainOptions, encoder: "ContentEncoder", cache_dir: Path, device: str, ctx: "JobContext"
) -> Material:
    """Accepted clips of a voice, with features made or found in the cache.

    Raises:
        BadInput: no usable clips, or one that is not as preparation writes them.
    """
    from core.dataset.clips import ClipTable

    notes: list[str] = []
    usable: list[Clip] = []
    frames: dict[str, int] = {}
    for clip in ClipTable(voice).load():
        if clip.verdict != "accepted":
            continue
        frames[clip.id] = wav_frames(voice.path / clip.audio)
        if frames[clip.id] >= SHORTEST_FRAMES:
            usable.append(clip)
        else:
            notes.append(f"{clip.id} is shorter than 0.3 s and was left out.")
    train, held, more = split(usable, options)
    both = [*train, *held] if not more else train
    spec = cache.spec_of(encoder, options.pitch)
    paths = cache.extract([voice.path / c.audio for c in both], spec, cache_dir, device, ctx, encoder=encoder)
    by_id = {
        clip.id: Example(clip.id, voice.path / clip.audio, path, frames[clip.id])
        for clip, path in zip(both, paths, strict=True)
    }
    roles = sorted([("train", c.sha256) for c in train] + [("held", c.sha256) for c in held])
    data_hash = hashlib.sha256(json.dumps([spec.key, roles]).encode()).hexdigest()
    return Material([by_id[c.id] for c in train], [by_id[c.id] for c in held], notes + more, data_hash)


def write_data_file(path: Path, material: Material) -> None:
    """data.json of a run."""

    def rows(examples: list[Example]) -> list[dict[str, Any]]:
        return [{"id": e.clip_id, "features": e.features.stem, "n_frames": e.n_frames} for e in examples]

    atomic.write_json(
        path, {"data_hash": material.data_hash, "train": rows(material.train), "held_out": rows(material.held_out)}
    )


def f0_summary(examples: Sequence[Example]) -> dict[str, float | None]:
    """Median and 5 % / 95 % quantiles of voiced pitch over examples, in Hz; None where nothing is voiced."""
    voiced = [f0[f0 > 0] for f0 in (np.asarray(cache.load(e.features).f0) for e in examples)]
    values = np.concatenate(voiced) if voiced else np.zeros(0)
    if values.size == 0:
        return {"f0_median": None, "f0_low": None, "f0_high": None}
    low, median, high = (round(float(v), 2) for v in np.quantile(values, (0.05, 0.5, 0.95)))
    return {"f0_median": median, "f0_low": low, "f0_high": high}
