"""The content encoder that ships with the studio.

The lower part of a speech recogniser's encoder, retrained: it reads log-mels and says,
50 times a second, how much the sound is like each of 256 speech units. What comes out is
the square root of those probabilities: a code of *what* is said with little left of *who*
says it. Made by ``tools/encoder``; data, figures and licence are in
``pretrain/builtin/README.md``.

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
WIDTH = 384
HEADS = 6
EXPANSION = 4
LAYERS = 2
REACH = 64
"""Unit frames that a layer attends to on either side (1.28 s); also its block length."""
LEVEL_REACH = 100
"""Mel frames each side (1 s) over which the level is measured."""
LEVEL_FLOOR = 1.5e-6
"""Mean mel power under which sound counts as silence: white noise of about -65 dBFS."""
RELATIVE_FLOOR = 1e-5
CONTEXT_FRAMES = 192
"""Unit frames of context around a window; the reach is 2 * 64 (attention) + 50 (level) + 4 (mel, entry)."""
WINDOW_FRAMES = 768
FORMAT_VERSION = 2
BREAK_HZ, HZ_A_MEL, LOG_STEP = 1000.0, 200 / 3, math.log(6.4) / 27
"""Slaney's mel scale (Auditory Toolbox, 1998): linear up to 1 kHz, then 27 mels for a factor of 6.4."""


def _mel_to_hz(mel: Tensor) -> Tensor:
    bend = BREAK_HZ / HZ_A_MEL
    return torch.where(mel < bend, mel * HZ_A_MEL, BREAK_HZ * torch.exp((mel - bend).clamp(min=0) * LOG_STEP))


def mel_bank(warp: float = 1.0) -> Tensor:
    """Triangular filters of equal area on Slaney's mel scale, [N_FFT // 2 + 1, K].

    Args:
        warp: the frequency axis of the sound is stretched by this factor before it is
            filtered (1.1: formants move up by a tenth). Training uses it; what is moved
            beyond 8 kHz is lost, what is missing stays empty.
    """
    top_mel = BREAK_HZ / HZ_A_MEL + math.log(SAMPLE_RATE_HZ / 2 / BREAK_HZ) / LOG_STEP
    edges = _mel_to_hz(torch.linspace(0, top_mel, N_MELS + 2, dtype=torch.float64))
    bins_hz = torch.linspace(0, SAMPLE_RATE_HZ / 2, N_FFT // 2 + 1, dtype=torch.float64)[:, None] * warp
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    return (torch.minimum(rising, falling).clamp(min=0) * 2 / (high - low)).float()


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
    """[B, M, K] mel power to the network's input: log10, relative to the mean level within a second.

    Dividing by the local level makes the units independent of gain without looking at the
    whole utterance, so a one-second chunk and an hour are treated alike. Offset and scale
    bring speech to where the recogniser had it: (log10 + 4) / 4 at a usual level of -8 dB.
    """
    energy = mel.mean(-1, keepdim=True).transpose(1, 2)
    size = 2 * LEVEL_REACH + 1
    level = F.avg_pool1d(energy, size, stride=1, padding=LEVEL_REACH, count_include_pad=False).transpose(1, 2)
    return (torch.log10(mel / level.clamp(min=LEVEL_FLOOR) + RELATIVE_FLOOR) + 3.2) / 4


class LocalAttention(nn.Module):
    """Self-attention within REACH frames, with a learned bias for each distance. [B, T, H] both ways.

    Frames go in blocks of REACH; a block sees itself and its two neighbours, so cost and
    memory grow with T, and a frame's result does not depend on where it stands.
    """

    def __init__(self) -> None:
        super().__init__()
        self.in_proj = nn.Linear(WIDTH, 3 * WIDTH)
        self.out_proj = nn.Linear(WIDTH, WIDTH)
        self.distance_bias = nn.Parameter(torch.zeros(HEADS, 2 * REACH + 1))

    def forward(self, x: Tensor) -> Tensor:
        n_items, n_frames, _ = x.shape
        n_blocks = -(-n_frames // REACH)
        q, k, v = self.in_proj(x).view(n_items, n_frames, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        padding = n_blocks * REACH - n_frames
        q = F.pad(q, (0, 0, 0, padding)).unflatten(2, (n_blocks, REACH))
        k, v = (F.pad(t, (0, 0, REACH, REACH + padding)).unfold(2, 3 * REACH, REACH) for t in (k, v))
        scores = (q @ k) / math.sqrt(q.shape[-1]) + self._bias()
        key_at = torch.arange(n_blocks, device=x.device)[:, None] * REACH + torch.arange(
            -REACH, 2 * REACH, device=x.device
        )
        outside = (key_at < 0) | (key_at >= n_frames)
        scores = scores.masked_fill(outside[:, None], -torch.inf)
        mixed = torch.softmax(scores, -1) @ v.transpose(-1, -2)
        return self.out_proj(mixed.flatten(2, 3)[:, :, :n_frames].transpose(1, 2).flatten(2))

    def _bias(self) -> Tensor:
        """[heads, 1, REACH, 3 * REACH]: the bias of each distance, -inf beyond REACH."""
        distance = torch.arange(-REACH, 2 * REACH) - torch.arange(REACH)[:, None]
        near = (distance.abs() <= REACH).to(self.distance_bias.device)
        index = (distance.clamp(-REACH, REACH) + REACH).to(self.distance_bias.device)
        return self.distance_bias[:, None, index].masked_fill(~near, -torch.inf)


class Block(nn.Module):
    """A transformer layer, normalised before each half (Xiong et al. 2020). [B, T, H] both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.attention = LocalAttention()
        self.norm = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, EXPANSION * WIDTH)
        self.down = nn.Linear(EXPANSION * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.down(F.gelu(self.up(self.norm(x))))


class UnitNet(nn.Module):
    """[B, M, K] level-free log-mels to [B, M // 2, C] unit logits."""

    def __init__(self) -> None:
        super().__init__()
        self.entry = nn.Conv1d(N_MELS, WIDTH, 3, padding=1)
        self.entry_stride = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.offset = nn.Parameter(torch.zeros(WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.final_norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, UNITS)

    def forward(self, mel: Tensor) -> Tensor:
        x = F.gelu(self.entry_stride(F.gelu(self.entry(mel.transpose(1, 2))))).transpose(1, 2) + self.offset
        for block in self.blocks:
            x = block(x)
        return self.head(self.final_norm(x))


def quantise(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices and filters as int8 with one float32 step a row (``<name>.step``), the rest as float16."""
    packed: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.dim() < 2 or name.endswith("distance_bias"):
            packed[name] = weight.half().contiguous()
            continue
        step = (weight.flatten(1).abs().amax(1) / 127).clamp(min=1e-12)
        packed[name] = (weight / step.view(-1, *[1] * (weight.dim() - 1))).round().to(torch.int8).contiguous()
        packed[f"{name}.step"] = step.float().contiguous()
    return packed


def dequantise(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """The float32 weights that ``quantise`` packed."""
    steps = {name.removesuffix(".step"): step for name, step in packed.items() if name.endswith(".step")}
    return {
        name: value.float() * steps[name].view(-1, *[1] * (value.dim() - 1)) if name in steps else value.float()
        for name, value in packed.items()
        if not name.endswith(".step")
    }


def _load(path: Path) -> tuple[UnitNet, dict[str, str], str]:
    """Network, metadata and fingerprint of one encoder file; ModelFileError when it does not fit exactly."""
    from safetensors import SafetensorError, safe_open

    where = str(path)
    try:
        fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = dequantise({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118  (not a dict)
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
