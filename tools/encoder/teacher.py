"""The targets: the second and third layer of Whisper tiny.en's encoder, grouped into 256 units.

Clips are packed into 30 s windows with gaps, so that one pass of the teacher covers
many. Three things take the speaker out of the targets: each voice's mean is removed; a
clip and its shifted copy (same timing) share their average; and the units are formed in
the directions that tell phones apart within and across voices (Fisher's linear
discriminant, fitted on espeak-ng speech whose phones are known).
"""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from tools.encoder import whisper
from tools.encoder.corpus import RATE_HZ, load_voice

HOP = 320
WINDOW_S = 30
GAP_FRAMES = 25
"""Half a second of silence between packed clips, as the recogniser knows it from speech."""
FEATURES = 768
DISCRIMINANT_DIMS = 64
UNITS = 256
TEMPERATURE = 0.25
"""Of the soft targets, in units of the mean squared distance to the nearest centroid."""


class Teacher:
    """Whisper's lower layers at 50 frames a second, frame i centred on sample 320 * i."""

    def __init__(self) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor

        self._mel = FeatureExtractor()
        self._weights = whisper.weights()

    def features(self, clips: list[np.ndarray]) -> list[np.ndarray]:
        """int16 clips (each under 30 s) to float16 [T, 768] each, T = len // 320."""
        room = WINDOW_S * RATE_HZ // HOP
        out: list[np.ndarray] = [np.zeros((0, FEATURES), np.float16)] * len(clips)
        batch: list[tuple[int, int, int]] = []
        at = GAP_FRAMES
        for i, clip in enumerate(clips):
            n = len(clip) // HOP
            if at + n + GAP_FRAMES > room and batch:
                self._run(clips, batch, out)
                batch, at = [], GAP_FRAMES
            batch.append((i, at, n))
            at += n + GAP_FRAMES
        if batch:
            self._run(clips, batch, out)
        return out

    def _run(self, clips: list[np.ndarray], batch: list[tuple[int, int, int]], out: list[np.ndarray]) -> None:
        window = np.zeros(WINDOW_S * RATE_HZ, np.float32)
        for i, at, n in batch:
            window[at * HOP : (at + n) * HOP] = clips[i][: n * HOP] / 32768.0
        mel = torch.from_numpy(np.asarray(self._mel(window)[:, : WINDOW_S * 100], np.float32))
        encoded = whisper.layer_outputs(self._weights, mel[None])[0].numpy()
        for i, at, n in batch:
            out[i] = encoded[at : at + n].astype(np.float16)


def _teach_voices(jobs: list[tuple[Path, Path]]) -> int:
    torch.set_num_threads(1)
    teacher = Teacher()
    for source, target in jobs:
        np.save(target, np.concatenate(teacher.features(load_voice(source))))
    return len(jobs)


def teach(corpus: Path, cache: Path, workers: int = 2) -> Path:
    """Features of every voice to ``cache/teacher/<voice>.npy`` ([sum of T, 768] float16, clips in order)."""
    folder = cache / "teacher"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(p, folder / f"{p.stem}.npy") for p in corpus.glob("*.npz")]
    jobs = sorted((j for j in jobs if not j[1].exists()), key=lambda j: -j[0].stat().st_size)
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_teach_voices, ([job] for job in jobs)))
    return folder


def joint_features(folder: Path, units: "Projection") -> dict[str, Tensor]:
    """Per voice: discriminant features averaged with its shifted copy's, less the voice's mean, [sum of T, 64]."""
    own = {}
    for path in sorted(folder.glob("*.npy")):
        features = units(torch.from_numpy(np.load(path)).float())
        own[path.stem] = features - features.mean(0)
    joint: dict[str, Tensor] = {}
    for name in (n for n in own if not n.startswith("shifted")):
        twin = f"shifted_{name}"
        joint[name] = (own[name] + own[twin]) / 2 if twin in own else own[name]
        if twin in own:
            joint[twin] = joint[name]
    return joint


class Projection:
    """Fisher's discriminant: teacher features [T, 768] to [T, 64], phone-telling directions only."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def __call__(self, features: Tensor) -> Tensor:
        return features @ self.matrix

    @classmethod
    def fit(cls, features: Tensor, labels: np.ndarray, voices: np.ndarray) -> "Projection":
        """From features [F, 768], a phone label and a voice for each frame.

        Within a phone the features have unit variance in every direction kept; each
        direction is then weighted by the share of its variance that phones explain, so
        that what tells little counts little.
        """
        x = features.double()
        for voice in np.unique(voices):
            rows = torch.from_numpy(voices == voice)
            x[rows] -= x[rows].mean(0)
        total = torch.cov(x.T)
        within = torch.zeros_like(total)
        for label in np.unique(labels):
            rows = torch.from_numpy(labels == label)
            within += torch.cov(x[rows].T, correction=0) * float(rows.double().mean())
        within += 1e-3 * torch.diag(within).mean() * torch.eye(len(within))
        values, vectors = torch.linalg.eigh(within)
        whiten = vectors / values.sqrt()
        between, directions = torch.linalg.eigh(whiten.T @ (total - within) @ whiten)
        between, directions = between[-DISCRIMINANT_DIMS:].clamp(min=0), directions[:, -DISCRIMINANT_DIMS:]
        return cls((whiten @ directions * (between / (1 + between))).float())


class Units:
    """Centroids in discriminant space: to soft units."""

    def __init__(self, centroids: Tensor, scale: float) -> None:
        self.centroids, self.scale = centroids, scale

    def distances(self, features: Tensor) -> Tensor:
        """[T, 64] centred features to [T, 256] squared distances (relative to the mean nearest one)."""
        return torch.cdist(features, self.centroids).square() / self.scale

    def soft(self, features: Tensor) -> Tensor:
        """[T, 64] to [T, 256] probabilities."""
        return torch.softmax(-self.distances(features) / TEMPERATURE, dim=-1)


def load_targets(path: Path) -> tuple[Projection, Units]:
    """The discriminant and the units that ``tools.encoder.train`` kept."""
    tensors = load_file(path)
    return Projection(tensors["projection"].float()), Units(tensors["centroids"].float(), float(tensors["scale"]))


def fit_units(points: Tensor, seed: int = 0, rounds: int = 60, sample: int = 20000) -> Units:
    """Mini-batch k-means on centred features [F, 64]."""
    generator = torch.Generator().manual_seed(seed)
    centroids = points[torch.randperm(len(points), generator=generator)[:UNITS]].clone()
    counts = torch.zeros(UNITS)
    for _ in range(rounds):
        batch = points[torch.randint(len(points), (sample,), generator=generator)]
        nearest = torch.cdist(batch, centroids).argmin(1)
        n = torch.bincount(nearest, minlength=UNITS).float()
        sums = torch.zeros_like(centroids).index_add_(0, nearest, batch)
        counts = counts * 0.9 + n
        step = (n / counts.clamp(min=1))[:, None]
        centroids = torch.where(
            n[:, None] > 0, centroids + step * (sums / n.clamp(min=1)[:, None] - centroids), centroids
        )
        empty = torch.nonzero(counts < sample * 2e-5).flatten()
        if len(empty):
            centroids[empty] = batch[torch.randint(sample, (len(empty),), generator=generator)]
            counts[empty] = counts.mean()
    nearest_distance = torch.cdist(points[:100000], centroids).square().min(1).values.mean()
    return Units(centroids, float(nearest_distance))
