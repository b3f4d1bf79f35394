"""HiFT: mel at 50 Hz to audio at 24 kHz by a source, a filter and an inverse short Fourier transform (Li et al., 2023).

Tensor names are those of the released `hift.pt` with weight norm folded (`weights.folded`). Two forms: CosyVoice2's,
whose convolutions look both ways, and Fun-CosyVoice3's, which look back (and a few frames ahead at the entrance).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.engines.cosyvoice2.config import HiftConfig
from core.engines.cosyvoice2.source import harmonics, held_phases, sample_phases, turns_a_sample

_F0_TAPS, _F0_LAYERS, _F0_AHEAD = 3, 5, 3
_PRE_TAPS, _POST_TAPS = 7, 7
_MAX_MAGNITUDE = 1e2


class _Conv(nn.Conv1d):
    """A convolution that keeps the length: to both sides, to the past (`causal`), or to the future (`ahead`)."""

    def __init__(
        self, dim_in: int, dim: int, taps: int, dilation: int = 1, causal: bool = False, ahead: bool = False
    ) -> None:
        super().__init__(dim_in, dim, taps, dilation=dilation)
        reach = (taps - 1) * dilation
        self.pads = (0, reach) if ahead else (reach, 0) if causal else (reach // 2, reach // 2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.pads))


class _Snake(nn.Module):
    """x + sin^2(a x) / a (Ziyin et al., 2020), one a for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.alpha[None, :, None]
        return x + torch.sin(x * alpha).square() / (alpha + 1e-9)


class _ResBlock(nn.Module):
    def __init__(self, channels: int, taps: int, dilations: tuple[int, ...], causal: bool) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_Conv(channels, channels, taps, d, causal) for d in dilations)
        self.convs2 = nn.ModuleList(_Conv(channels, channels, taps, 1, causal) for _ in dilations)
        self.activations1 = nn.ModuleList(_Snake(channels) for _ in dilations)
        self.activations2 = nn.ModuleList(_Snake(channels) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for act_1, conv_1, act_2, conv_2 in zip(
            self.activations1, self.convs1, self.activations2, self.convs2, strict=True
        ):
            x = x + conv_2(act_2(conv_1(act_1(x))))
        return x


class _CausalUp(nn.Conv1d):
    """Each sample held `factor` times, then a causal convolution."""

    def __init__(self, dim_in: int, dim: int, taps: int, factor: int) -> None:
        super().__init__(dim_in, dim, taps)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x.repeat_interleave(self.factor, dim=2), (self.kernel_size[0] - 1, 0)))


class _CausalDown(nn.Conv1d):
    """A strided convolution that looks back, but for the samples of its own stride."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (self.stride[0] - 1, 0)))


class _PitchPredictor(nn.Module):
    """Mel [B, 80, T] to pitch [B, T] in Hz."""

    def __init__(self, dim_in: int, dim: int, causal: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(_F0_LAYERS):
            first = index == 0
            taps = _F0_AHEAD + 1 if causal and first else _F0_TAPS
            layers += [_Conv(dim_in if first else dim, dim, taps, causal=causal, ahead=causal and first), nn.ELU()]
        self.condnet = nn.Sequential(*layers)
        self.classifier = nn.Linear(dim, 1)

    def forward(self, mel: Tensor) -> Tensor:
        return self.classifier(self.condnet(mel).transpose(1, 2)).squeeze(2).abs()


class _Mixer(nn.Module):
    """The place of the harmonics' weights among the tensor names."""

    def __init__(self, n_harmonics: int) -> None:
        super().__init__()
        self.l_linear = nn.Linear(n_harmonics, 1)


class Hift(nn.Module):
    """The vocoder. Use `vocoder.VocoderStream` to run it on a sound that arrives in pieces."""

    window: Tensor

    def __init__(self, config: HiftConfig) -> None:
        super().__init__()
        self.config = config
        causal, base, n_bins = config.causal, config.base_channels, config.n_fft + 2
        self.n_harmonics = config.nb_harmonics + 1
        self.m_source = _Mixer(self.n_harmonics)
        if causal:
            self.conv_pre = _Conv(config.in_channels, base, config.pre_lookahead + 1, ahead=True)
        else:
            self.conv_pre = _Conv(config.in_channels, base, _PRE_TAPS)
        widths = [base // 2 ** (stage + 1) for stage in range(len(config.upsample_rates))]
        self.ups, self.source_downs = nn.ModuleList(), nn.ModuleList()
        self.source_resblocks, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for stage, (factor, taps) in enumerate(zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)):
            before, width = base // 2**stage, widths[stage]
            if causal:
                self.ups.append(_CausalUp(before, width, taps, factor))
            else:
                self.ups.append(nn.ConvTranspose1d(before, width, taps, factor, padding=(taps - factor) // 2))
            self.source_downs.append(_source_down(n_bins, width, math.prod(config.upsample_rates[stage + 1 :]), causal))
            kinds = config.source_resblock_kernel_sizes[stage], config.source_resblock_dilation_sizes[stage]
            self.source_resblocks.append(_ResBlock(width, *kinds, causal))
            for kind in zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True):
                self.resblocks.append(_ResBlock(width, *kind, causal))
        self.conv_post = _Conv(widths[-1], n_bins, _POST_TAPS, causal=causal)
        self.f0_predictor = _PitchPredictor(config.in_channels, config.f0_channels, causal)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)

    @torch.inference_mode()
    def pitch(self, mel: Tensor) -> Tensor:
        """Mel [1, 80, T] to pitch [T] in Hz. The causal form computes in float64: its chunks must agree exactly."""
        if not self.config.causal:
            return self.f0_predictor(mel)[0].float()
        single = next(self.f0_predictor.parameters()).dtype
        if single != torch.float64:
            self.f0_predictor.double()
        return self.f0_predictor(mel.double())[0].float()

    @torch.inference_mode()
    def source(self, f0: Tensor, noise: Tensor, before: Tensor | None) -> Tensor:
        """The excitation [1, 1, T * hop] of `f0` [T]: see `source.sample_phases`; `noise` [T * hop, harmonics]."""
        config = self.config
        turns = turns_a_sample(f0, self.n_harmonics, config.sampling_rate)
        phases = (held_phases if config.causal else sample_phases)(turns, config.hop, before)
        held = f0.repeat_interleave(config.hop)
        return self.mix(harmonics(phases, held, noise, config.nsf_alpha, config.nsf_sigma, config.nsf_voiced_threshold))

    def mix(self, sines: Tensor) -> Tensor:
        """Harmonics [N, H] to one excitation [1, 1, N]."""
        return torch.tanh(self.m_source.l_linear(sines.to(self.window.dtype))).T[None]

    @torch.inference_mode()
    def decode(self, mel: Tensor, source: Tensor) -> Tensor:
        """Mel [1, 80, T] and excitation [1, 1, T * hop] to audio [1, T * hop]."""
        config = self.config
        spectrum = torch.stft(
            source[:, 0], config.n_fft, config.hop_len, window=self.window.to(source.dtype), return_complex=True
        )
        spectrum = torch.cat([spectrum.real, spectrum.imag], dim=1)
        x, last, n_kinds = self.conv_pre(mel), len(self.ups) - 1, len(config.resblock_kernel_sizes)
        for stage, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, config.lrelu_slope))
            if stage == last:
                x = F.pad(x, (1, 0), "reflect")
            x = x + self.source_resblocks[stage](self.source_downs[stage](spectrum))
            blocks = list(self.resblocks)[stage * n_kinds : (stage + 1) * n_kinds]
            x = torch.stack([block(x) for block in blocks]).mean(dim=0)
        x = self.conv_post(F.leaky_relu(x))
        n_bins = config.n_fft // 2 + 1
        magnitude, phase = x[:, :n_bins].exp().clip(max=_MAX_MAGNITUDE), x[:, n_bins:].sin()
        audio = torch.istft(
            torch.polar(magnitude.float(), phase.float()), config.n_fft, config.hop_len, window=self.window.float()
        )
        return audio.clamp(-config.audio_limit, config.audio_limit)


def _source_down(dim_in: int, dim: int, factor: int, causal: bool) -> nn.Module:
    if factor == 1:
        return nn.Conv1d(dim_in, dim, 1)
    if not causal:
        return nn.Conv1d(dim_in, dim, 2 * factor, factor, padding=factor // 2)
    return _CausalDown(dim_in, dim, 2 * factor, factor)


def reach(config: HiftConfig) -> tuple[int, int]:
    """How many frames before and after a frame its audio depends on, its own pitch's context before it aside.

    The sum of what each layer sees, in frames, along the longest way: that of the excitation.
    """
    rates = [math.prod(config.upsample_rates[: stage + 1]) for stage in range(len(config.upsample_rates))]

    def widest(kinds: list[tuple[int, tuple[int, ...]]], rate: int) -> float:
        return max(sum((taps - 1) / 2 * (dilation + 1) for dilation in dilations) / rate for taps, dilations in kinds)

    kinds = list(zip(config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True))
    source_kinds = list(zip(config.source_resblock_kernel_sizes, config.source_resblock_dilation_sizes, strict=True))
    ways = []
    after = (_POST_TAPS / 2 + 2 * config.n_fft / config.hop_len) / rates[-1]
    for stage in reversed(range(len(rates))):
        after += widest(kinds, rates[stage])
        ways.append(after + widest([source_kinds[stage]], rates[stage]) + 2 / rates[stage])
        after += (
            math.ceil(config.upsample_kernel_sizes[stage] / config.upsample_rates[stage])
            * config.upsample_rates[stage]
            / (2 * rates[stage])
        )
    if config.causal:
        left = math.ceil(2 * max(*ways, after)) + 2
        return left, config.pre_lookahead + 1
    spread = max(*ways, after + _PRE_TAPS / 2)
    return math.ceil(spread) + 1, math.ceil(max(max(ways) + _F0_LAYERS * (_F0_TAPS - 1) / 2 + 1, spread))
