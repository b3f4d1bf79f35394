"""The content encoder that ships with the studio.

A small convolutional network reads log-mels and says, 50 times a second, how much the
sound is like each of 256 speech units. What comes out is the square root of those
probabilities: a code of *what* is said with little left of *who* says it. Made by
``tools/encoder``; data, figures and licence are in ``pretrain/builtin/README.md``.

Shapes: N samples at 16 kHz, M mel frames (100 a second), T = N // 320 unit frames,
K mel bands, H width, C = 256 units. Unit frame i is centred on sample 320 * i.

Everything in here has a finite reach, so a long recording is encoded in windows whose
joined result is the one-shot result (same values up to float rounding).
"""

import hashlib
import json
import math
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import ModelFileError
from core.features.encoders.base import ContentEncoder

SAMPLE_RATE_HZ = 16000
HOP = 320
"""Samples from one unit frame to the next."""
MEL_HOP = 160
N_FFT = 512
WINDOW_SAMPLES = 400
N_MELS = 80
UNITS = 256
WIDTH = 256
EXPANSION = 3
KERNEL = 7
DILATIONS = (1, 2, 1, 2, 1, 2, 1, 2)
LEVEL_REACH = 100
"""Mel frames each side (1 s) over which the level is measured."""
LEVEL_FLOOR = 2e-4
"""Mean mel power under which sound counts as silence: white noise of about -65 dBFS."""
RELATIVE_FLOOR = 1e-5
CONTEXT_FRAMES = 100
"""Unit frames of context around a window; the reach is 36 (network) + 50 (level) + 3 (mel)."""
WINDOW_FRAMES = 1500
FORMAT_VERSION = 1


def mel_bank(warp: float = 1.0) -> Tensor:
    """Triangular filters on the mel scale of O'Shaughnessy, [N_FFT // 2 + 1, K].

    Args:
        warp: the frequency axis of the sound is stretched by this factor before it is
            filtered (1.1: formants move up by a tenth). Training uses it; what is moved
            beyond 8 kHz is lost, what is missing stays empty.

    Half the width of a filter is the distance to its neighbour, but at least 50 Hz: the
    lowest filters would otherwise fall between two bins.
    """
    top_mel = 2595 * math.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    centres = 700 * (10 ** (torch.linspace(0, top_mel, N_MELS + 2, dtype=torch.float64) / 2595) - 1)
    bins_hz = torch.linspace(0, SAMPLE_RATE_HZ / 2, N_FFT // 2 + 1, dtype=torch.float64)[:, None] * warp
    centre = centres[1:-1]
    below = (centre - centres[:-2]).clamp(min=50)
    above = (centres[2:] - centre).clamp(min=50)
    rising = 1 - (centre - bins_hz) / below
    falling = 1 - (bins_hz - centre) / above
    return torch.minimum(rising, falling).clamp(min=0).float()


@lru_cache(maxsize=1)
def _window() -> Tensor:
    margin = (N_FFT - WINDOW_SAMPLES) // 2
    return F.pad(torch.hann_window(WINDOW_SAMPLES), (margin, margin))


def power_spectrum(wav: Tensor) -> Tensor:
    """[N] samples to [M, N_FFT // 2 + 1] power, M = 2 * (N // HOP); frame j is centred on sample 160 * j."""
    n_frames = 2 * (wav.shape[0] // HOP)
    if n_frames == 0:
        return wav.new_zeros(0, N_FFT // 2 + 1)
    padded = F.pad(wav, (N_FFT // 2, N_FFT // 2))
    frames = padded.unfold(0, N_FFT, MEL_HOP)[:n_frames] * _window()
    return torch.fft.rfft(frames).abs().square()


def level_free(mel: Tensor) -> Tensor:
    """[B, M, K] mel power to the network's input: log, relative to the mean level within a second.

    Dividing by the local level makes the units independent of gain without looking at the
    whole utterance, so a one-second chunk and an hour are treated alike.
    """
    energy = mel.sum(-1, keepdim=True).transpose(1, 2)
    size = 2 * LEVEL_REACH + 1
    level = F.avg_pool1d(energy, size, stride=1, padding=LEVEL_REACH, count_include_pad=False).transpose(1, 2)
    return (torch.log(mel / level.clamp(min=LEVEL_FLOOR * N_MELS) + RELATIVE_FLOOR) + 6) / 3


class Block(nn.Module):
    """Depthwise convolution, then a two-layer perceptron per frame, added to the input. [B, T, H] both ways."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.taps = nn.Parameter(torch.randn(KERNEL, width) / math.sqrt(KERNEL))
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, EXPANSION * width)
        self.down = nn.Linear(EXPANSION * width, width)

    def forward(self, x: Tensor) -> Tensor:
        # Shifted sums beat a grouped convolution on a CPU, forwards and backwards.
        n, reach = x.shape[1], (KERNEL // 2) * self.dilation
        padded = F.pad(x, (0, 0, reach, reach))
        y = sum(padded[:, k * self.dilation : k * self.dilation + n] * self.taps[k] for k in range(KERNEL))
        return x + self.down(F.gelu(self.up(self.norm(y)), approximate="tanh"))


class UnitNet(nn.Module):
    """[B, M, K] level-free log-mels to [B, M // 2, C] unit logits; reach 36 unit frames each side."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Conv1d(N_MELS, WIDTH, 5, stride=2, padding=2)
        self.entry_norm = nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList(Block(WIDTH, d) for d in DILATIONS)
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, UNITS)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.entry_norm(self.entry(mel.transpose(1, 2)).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def _load(path: Path) -> tuple[UnitNet, dict[str, str], str]:
    """Network, metadata and fingerprint of one encoder file; ModelFileError when it does not fit exactly."""
    from safetensors import SafetensorError, safe_open

    where = str(path)
    try:
        fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(
            f"The built-in encoder cannot be read: {error}",
            "Restore pretrain/builtin/encoder.safetensors from the repository.",
            where=where,
        ) from error
    if metadata.get("format_version") != str(FORMAT_VERSION):
        raise ModelFileError(
            f"The built-in encoder has format {metadata.get('format_version')}, this studio reads {FORMAT_VERSION}.",
            "Use the encoder file of this version of the studio.",
            where=where,
        )
    with torch.device("meta"):
        net = UnitNet()
    own = {name: tuple(t.shape) for name, t in net.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if own != found:
        wrong = sorted(n for n in own.keys() | found.keys() if own.get(n) != found.get(n))
        raise ModelFileError(
            f"{len(wrong)} tensors of the built-in encoder do not fit: {', '.join(wrong[:10])}",
            "Restore pretrain/builtin/encoder.safetensors from the repository.",
            where=where,
        )
    net.load_state_dict(tensors, assign=True)
    return net.eval().requires_grad_(False), metadata, fingerprint


class BuiltinEncoder(ContentEncoder):
    """The built-in content encoder.

    ``encode`` gives T = N // 320 frames of C = 256 numbers >= 0 whose squares sum to 256
    (the root of the unit probabilities, scaled so that a channel's mean square is 1).
    Fewer than 320 samples give an empty [0, 256]. Non-finite samples count as silence.
    """

    name = "builtin"
    dim = UNITS

    def __init__(self, path: Path, device: str = "cpu") -> None:
        """Load the weights.

        Args:
            path: ``encoder.safetensors``.
            device: torch device name on which to run.

        Raises:
            ModelFileError: the file is missing, damaged or of another format.
        """
        net, metadata, self.fingerprint = _load(path)
        self.device = torch.device(device)
        self.temperature = float(json.loads(metadata.get("settings", "{}")).get("temperature", 1.0))
        self._net = net.to(self.device)
        self._bank = mel_bank().to(self.device)

    @torch.inference_mode()
    def encode(self, wav16k: Tensor) -> Tensor:
        """[N] samples at 16 kHz to [N // 320, 256] float32 units on the CPU."""
        if wav16k.dim() != 1:
            raise ValueError(f"encode wants samples [N], got shape {tuple(wav16k.shape)}")
        n_frames = wav16k.shape[0] // HOP
        out = torch.empty(n_frames, UNITS)
        for start in range(0, n_frames, WINDOW_FRAMES):
            end = min(start + WINDOW_FRAMES, n_frames)
            first, last = max(0, start - CONTEXT_FRAMES), min(n_frames, end + CONTEXT_FRAMES)
            out[start:end] = self._window_units(wav16k, first, last)[start - first : end - first]
        return out

    def logits(self, wav16k: Tensor) -> Tensor:
        """[N] samples to [N // 320, 256] unit logits, in one piece (for tools; memory grows with N)."""
        with torch.inference_mode():
            return self._logits(wav16k, 0, wav16k.shape[0] // HOP)

    def _window_units(self, wav16k: Tensor, first: int, last: int) -> Tensor:
        probabilities = torch.softmax(self._logits(wav16k, first, last) / self.temperature, dim=-1)
        return (probabilities * UNITS).sqrt().cpu()

    def _logits(self, wav16k: Tensor, first: int, last: int) -> Tensor:
        """Logits of unit frames first..last, computed from the samples those frames see."""
        # Half an analysis window more on either side, so that an inner cut sees no false zeros.
        before = min(first * HOP, HOP)
        wav = wav16k[first * HOP - before : last * HOP + HOP].to(self.device, torch.float32)
        wav = torch.nan_to_num(wav, nan=0.0, posinf=0.0, neginf=0.0)
        if wav.shape[0] < HOP:
            return torch.empty(0, UNITS, device=self.device)
        skip = before // HOP
        power = power_spectrum(wav)[2 * skip : 2 * (skip + last - first)]
        return self._net(level_free((power @ self._bank)[None]))[0]
