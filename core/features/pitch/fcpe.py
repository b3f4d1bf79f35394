"""FCPE: a convolutional pitch tracker. Model and weights come with the torchfcpe package (MIT)."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.features import F0_MAX_HZ, F0_MIN_HZ
from core.features.pitch.base import ANALYSIS_HZ, PitchPredictor
from core.features.pitch.postprocess import sample_track

_HOP_S = 0.01
_WINDOW_SAMPLES = 1024
_VOICED = 0.05  # least confidence of a voiced frame
_PIECE_S = 60.0  # longer audio is read in pieces, so that memory stays flat
_OVERLAP_S = 2.0


class FcpePitch(PitchPredictor):
    """Fast on a CPU (about 25 times real time on one core) and robust to noise and accompaniment."""

    name = "fcpe"

    def __init__(
        self,
        device: str = "cpu",
        f0_min_hz: float = F0_MIN_HZ,
        f0_max_hz: float = F0_MAX_HZ,
        threshold: float | None = None,
    ) -> None:
        """Load the packaged weights.

        Args:
            device: ``cpu`` or ``cuda:N``.
            f0_min_hz, f0_max_hz: range of the tracks returned.
            threshold: least confidence of a voiced frame, 0..1; None: 0.05.
        """
        super().__init__(f0_min_hz, f0_max_hz)
        self._threshold = _VOICED if threshold is None else threshold
        self._device = torch.device(device)
        self._model = _load_packaged().to(self._device).eval()

    def _track(self, wav16k: NDArray[np.float32], at_s: NDArray[np.float64]) -> NDArray[np.float32]:
        f0 = np.zeros(at_s.size, np.float32)
        start_s = 0.0
        while start_s * ANALYSIS_HZ < wav16k.size:
            self._pause()
            here = (at_s >= start_s) & (at_s < start_s + _PIECE_S)
            from_s = max(0.0, start_s - _OVERLAP_S)
            piece = wav16k[round(from_s * ANALYSIS_HZ) : round((start_s + _PIECE_S + _OVERLAP_S) * ANALYSIS_HZ)]
            if here.any():
                f0[here] = sample_track(self._run(piece), from_s, _HOP_S, at_s[here])
            start_s += _PIECE_S
        return f0

    @torch.inference_mode()
    def _run(self, wav16k: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return f0 [N // 160 + 1] of one piece; frame k is the pitch at k * 10 ms.

        Its window lies around (k + 0.5) * 10 ms, but the network was taught with labels at k * 10 ms:
        on chirps the error is least there.
        """
        padded = np.pad(wav16k, (0, max(0, _WINDOW_SAMPLES - wav16k.size)))
        audio = torch.from_numpy(padded).to(self._device)[None, :, None]
        f0 = self._model(audio, sr=ANALYSIS_HZ, decoder_mode="local_argmax", threshold=self._threshold)
        return f0[0, :, 0].float().cpu().numpy()


def _load_packaged() -> torch.nn.Module:
    """Build the package's model and load its file with our safe loader; its own loader writes to stdout."""
    import torchfcpe
    from torchfcpe.models_infer import InferCFNaiveMelPE
    from torchfcpe.tools import DotDict

    from core.models.safe_load import load_checkpoint

    checkpoint = load_checkpoint(Path(torchfcpe.__file__).parent / "assets" / "fcpe_c_v001.pt")
    config = checkpoint["config_dict"]
    config["model"].update(conv_dropout=0.0, atten_dropout=0.0, use_harmonic_emb=False)
    return InferCFNaiveMelPE(DotDict(config), checkpoint["model"])
