"""RMVPE: a large network that hears the voice through accompaniment. Its file is the user's (catalogue: rmvpe)."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import ModelFileError
from core.features import F0_MAX_HZ, F0_MIN_HZ
from core.features.pitch.base import ANALYSIS_HZ, PitchPredictor
from core.features.pitch.postprocess import sample_track
from core.models.safe_load import load_tensors, strict_load
from core.nn.rmvpe import HOP, Rmvpe, rmvpe_mel, salience_to_hz

THRESHOLD = 0.05
FILES = ("rmvpe.pt", "model.pt", "rmvpe.safetensors")
_HOP_S = HOP / ANALYSIS_HZ
_PIECE = 1024  # frames of 10 ms that a piece gives
_CONTEXT = 128  # and what it hears at each side of them; both multiples of the network's 32
_BATCH = {"cpu": 1, "cuda": 16}  # pieces at once


class RmvpePitch(PitchPredictor):
    """Steady where there is accompaniment or reverberation; about ten times fcpe's work."""

    name = "rmvpe"

    def __init__(
        self,
        file: Path,
        device: str = "cpu",
        threshold: float = THRESHOLD,
        f0_min_hz: float = F0_MIN_HZ,
        f0_max_hz: float = F0_MAX_HZ,
    ) -> None:
        """Load the weights strictly.

        Args:
            file: `rmvpe.pt`, or the same as safetensors.
            device: ``cpu`` or ``cuda:N``.
            threshold: least confidence of a voiced frame, 0..1.
            f0_min_hz, f0_max_hz: range of the tracks returned.

        Raises:
            ModelFileError: the file is damaged or another model's.
        """
        super().__init__(f0_min_hz, f0_max_hz)
        self._device = torch.device(device)
        self._threshold = threshold
        model = Rmvpe()
        tensors = load_tensors(file)
        if "unet.encoder.bn.weight" not in tensors:
            raise ModelFileError(f"{file.name} is not the RMVPE pitch model.", "Choose rmvpe.pt.", where=str(file))
        strict_load(model, {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}, str(file))
        self._model = model.eval().requires_grad_(False).to(self._device)

    def _track(self, wav16k: NDArray[np.float32], at_s: NDArray[np.float64]) -> NDArray[np.float32]:
        mel = self._mel(wav16k)
        f0 = salience_to_hz(self._salience(mel), self._threshold)
        return sample_track(f0.numpy(), 0.0, _HOP_S, at_s)

    @torch.inference_mode()
    def _mel(self, wav16k: NDArray[np.float32]) -> torch.Tensor:
        """Log mel [128, N // 160 + 1]; the first frame lies at 0 s."""
        padded = np.pad(wav16k, (0, max(0, 1024 - wav16k.size)))  # reflection needs half a window
        return rmvpe_mel(torch.from_numpy(padded).to(self._device).unsqueeze(0))[0]

    @torch.inference_mode()
    def _salience(self, mel: torch.Tensor) -> torch.Tensor:
        """Confidence [T, 360] on the CPU. Long audio is heard in overlapping pieces of one shape, several at once."""
        n_frames = mel.shape[1]
        if n_frames <= _PIECE + 2 * _CONTEXT:
            self._pause()
            whole: torch.Tensor = self._model(mel.unsqueeze(0))[0]
            return whole.float().cpu()
        n_pieces = -(-n_frames // _PIECE)
        span = _PIECE + 2 * _CONTEXT
        padded = torch.nn.functional.pad(
            mel, (_CONTEXT, n_pieces * _PIECE + _CONTEXT - n_frames), value=float(mel.min())
        )
        pieces = padded.unfold(1, span, _PIECE).transpose(0, 1)  # [pieces, 128, span]
        heard = []
        for batch in pieces.split(_BATCH.get(self._device.type, 1)):
            self._pause()
            heard.append(self._model(batch.contiguous())[:, _CONTEXT : _CONTEXT + _PIECE].float().cpu())
        return torch.cat(heard).flatten(0, 1)[:n_frames]
