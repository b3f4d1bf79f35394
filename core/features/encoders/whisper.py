"""Whisper's encoder as a content encoder (whisper-ppg, whisper-ppg-large): a network for speech recognition.

A folder holds `config.json` and `model.safetensors` of the encoder alone, under the names of transformers;
`core.models.encoder_import` makes it of the original file (`medium.pt`, `large-v2.pt`). The network hears 30 s at a
time, shorter audio with silence behind it; the units of the silence are cut off.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import ModelFileError
from core.features.encoders.base import ContentEncoder
from core.features.encoders.windows import HOP, in_windows
from core.models.safe_load import load_tensors, strict_load
from core.nn.spectral import hann, mel_matrix

RATE_HZ, N_FFT, MEL_HOP = 16000, 400, 160
_CONTEXT = 75


def log_mel(wav: Tensor, n_mels: int) -> Tensor:
    """Whisper's log mel (Radford et al., 2022; the published code): [N] at 16 kHz to [n_mels, N // 160].

    log10 with a floor 8 below the loudest bin, brought to about -1..1.
    """
    frames = torch.stft(wav, N_FFT, MEL_HOP, window=hann(N_FFT, str(wav.device)), return_complex=True)
    power = frames[:, :-1].abs().square()
    mel = mel_matrix(RATE_HZ, N_FFT, n_mels, 0.0, None, str(wav.device)) @ power
    log = mel.clamp(min=1e-10).log10()
    return (torch.maximum(log, log.max() - 8.0) + 4.0) / 4.0


class WhisperEncoder(ContentEncoder):
    """Output of Whisper's encoder."""

    def __init__(self, folder: Path, name: str, device: str = "cpu") -> None:
        """Load the weights strictly.

        Raises:
            ModelFileError: a file is damaged, or tensors are missing, extra or of another shape.
        """
        from transformers import WhisperConfig
        from transformers.models.whisper.modeling_whisper import WhisperEncoder as Network

        self.name = name
        self._device = torch.device(device)
        weights = folder / "model.safetensors"
        try:
            config = WhisperConfig(**_read_config(folder / "config.json"))
            network: Any = Network(config)
        except (ValueError, TypeError, AttributeError) as error:
            raise ModelFileError(
                f"config.json does not describe Whisper's encoder: {error}",
                "Import the original file again.",
                where=str(folder / "config.json"),
            ) from error
        strict_load(network, load_tensors(weights), str(weights))
        self._model = network.eval().requires_grad_(False).to(self._device)
        self.dim = int(config.d_model)
        self._n_mels = int(config.num_mel_bins)
        self._positions = int(config.max_source_positions)  # 1500: 30 s
        with open(weights, "rb") as source:
            self.fingerprint = hashlib.file_digest(source, "sha256").hexdigest()[:16]

    @torch.inference_mode()
    def encode(self, wav16k: Tensor) -> Tensor:
        """Encode [N] to [N // 320, C]. Audio over 30 s, which upstream cuts off, goes in overlapping windows."""
        n_units = wav16k.shape[0] // HOP
        if n_units == 0:
            return torch.zeros(0, self.dim)
        context = min(_CONTEXT, self._positions // 4)
        span = self._positions if n_units <= self._positions else self._positions - 2 * context
        return in_windows(wav16k[: n_units * HOP], n_units, self._run, span=span, context=context, receptive=HOP)

    def _run(self, wav16k: Tensor) -> Tensor:
        wav = wav16k.to(self._device, torch.float32)
        missing = self._positions * HOP - wav.shape[0]
        mel = log_mel(F.pad(wav, (0, missing)), self._n_mels)
        hidden: Tensor = self._model(mel[None]).last_hidden_state[0]
        return hidden[: wav.shape[0] // HOP].float().cpu()


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} can not be read: {error}.", "Import the original file again.") from error
    if not isinstance(config, dict) or config.get("model_type") != "whisper":
        raise ModelFileError(f"{path} does not describe Whisper.", "Import the original file again.", where=str(path))
    return config
