"""The so-vits-svc 4.1 generator: content units, pitch and speaker to a 44.1 kHz waveform.

Written from the formulas of the project's spec; the tensor names and shapes are those of upstream's `G_<step>.pth`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.encoders import PitchDecoder, PosteriorEncoder, PriorEncoder
from core.engines.sovits.pitch import coarse_f0, hz_of_log_f0, log_f0, normalize_log_f0
from core.nn.fast_hifigan import FastNsfHifiGan, supported
from core.nn.flow import CouplingFlow, ResidualFlow, TransformerFlow
from core.nn.hifigan import NsfHifiGan
from core.nn.masks import cut, length_mask, random_starts
from core.nn.noise import Noise, as_noise
from core.nn.snake_hifigan import SnakeNsfHifiGan
from core.nn.weight_norm import fold_weight_norm

SEGMENT_FRAMES = 20


@dataclass(frozen=True)
class TrainOutput:
    """What one training pass gives. T frames of the padded batch, S frames of the cut that was decoded."""

    audio: Tensor  # [B, 1, S * hop], generated
    starts: Tensor  # int64 [B], first frame of each cut
    mask: Tensor  # [B, 1, T]
    z: Tensor  # [B, inter, T], the posterior's sample
    z_p: Tensor  # the same through the flow
    m_p: Tensor
    logs_p: Tensor
    m_q: Tensor
    logs_q: Tensor
    predicted_lf0: Tensor | None  # [B, 1, T]; None where the model predicts no pitch
    normal_lf0: Tensor | None
    lf0: Tensor | None


class SovitsGenerator(nn.Module):
    """The whole generator. Lengths are in frames of `hop` samples (512)."""

    def __init__(self, config: SovitsConfig) -> None:
        super().__init__()
        model = config.model
        self.config = config
        self.hop = model.hop_samples
        sizes = (model.filter_channels, model.n_heads, model.n_layers, model.kernel_size, model.p_dropout)
        self.emb_g = nn.Embedding(model.n_speakers, model.gin_channels)
        if model.vol_embedding:
            self.emb_vol = nn.Linear(1, model.hidden_channels)
        self.pre = nn.Conv1d(model.ssl_dim, model.hidden_channels, 5, padding=2)
        self.enc_p = PriorEncoder(model.inter_channels, model.hidden_channels, *sizes)
        self.dec: NsfHifiGan | FastNsfHifiGan = build_decoder(config)
        self.enc_q: PosteriorEncoder | None = PosteriorEncoder(
            config.data.filter_length // 2 + 1,
            model.inter_channels,
            model.hidden_channels,
            model.gin_channels,
            model.use_depthwise_conv,
        )
        self.flow = build_flow(config)
        if model.use_automatic_f0_prediction:
            self.f0_decoder = PitchDecoder(model.hidden_channels, *sizes, model.gin_channels)
        self.emb_uv = nn.Embedding(2, model.hidden_channels)

    @property
    def predicts_f0(self) -> bool:
        """Whether the model was built with automatic pitch."""
        return self.config.model.use_automatic_f0_prediction

    def speaker(self, sid: Tensor) -> Tensor:
        """Condition of speakers: ids [B] or [B, 1] to [B, gin, 1]; weights [B, T, S] or [T, S] to [B, gin, T]."""
        if sid.is_floating_point():
            weights = sid if sid.dim() == 3 else sid.unsqueeze(0)
            return (weights @ self.emb_g.weight[: weights.shape[-1]]).transpose(1, 2)
        return self.emb_g(sid.reshape(-1)).unsqueeze(2)

    def front(self, c: Tensor, mask: Tensor, uv: Tensor, vol: Tensor | None) -> Tensor:
        """Units [B, C, T], voicing [B, T] and volume [B, T] to the encoders' input [B, H, T]."""
        x = self.pre(c) * mask + self.emb_uv(uv.long()).transpose(1, 2)
        if self.config.model.vol_embedding:
            if vol is None:
                raise ValueError("this model was trained with volume: pass vol [B, T]")
            x = x + self.emb_vol(vol.unsqueeze(2)).transpose(1, 2)
        return x

    def forward(
        self,
        c: Tensor,
        f0: Tensor,
        uv: Tensor,
        spec: Tensor,
        lengths: Tensor,
        sid: Tensor,
        vol: Tensor | None = None,
        *,
        segment_frames: int = SEGMENT_FRAMES,
        generator: torch.Generator | Noise | None = None,
        starts: Tensor | None = None,
        f0_scale: Tensor | None = None,
    ) -> TrainOutput:
        """One training pass over padded clips.

        c [B, C, T], f0 [B, T] in Hz (interpolated), uv [B, T], spec [B, bins, T] linear magnitude, lengths [B] in
        frames, sid [B], vol [B, T]. Only a cut of `segment_frames` per clip is decoded, at `starts` [B] or at random.
        `f0_scale` [B] replaces the random factor (0.8 to 1.2) on normalised pitch.
        """
        if self.enc_q is None:
            raise ValueError("this generator was prepared for inference and cannot train")
        noise = as_noise(generator)
        g = self.speaker(sid)
        mask = length_mask(lengths, c.shape[2]).to(c.dtype)
        x = self.front(c, mask, uv, vol)
        lf0 = normal = predicted = None
        if self.predicts_f0:
            lf0 = log_f0(f0).unsqueeze(1)
            scale = f0_scale if f0_scale is not None else 0.8 + 0.4 * noise.uniform((len(c),), f0)
            normal = normalize_log_f0(lf0, mask, uv, scale)
            predicted = self.f0_decoder(x, normal, mask, g)
        m_p, logs_p = self.enc_p(x, mask, coarse_f0(f0))
        z, m_q, logs_q = self.enc_q(spec, mask, g, noise)
        z_p = self.flow(z, mask, g)
        if starts is None:
            starts = random_starts(lengths, segment_frames, noise.uniform((len(c),), f0))
        audio = self.dec(cut(z, starts, segment_frames), cut(f0, starts, segment_frames), g, noise)
        return TrainOutput(audio, starts, mask, z, z_p, m_p, logs_p, m_q, logs_q, predicted, normal, lf0)

    @torch.inference_mode()
    def infer(
        self,
        c: Tensor,
        f0: Tensor,
        uv: Tensor,
        sid: Tensor,
        vol: Tensor | None = None,
        noise_scale: float = 0.4,
        predict_f0: bool = False,
        generator: torch.Generator | Noise | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Units to a waveform.

        c [B, C, T], f0 [B, T] in Hz (0 unvoiced, or interpolated), uv [B, T] 1 where voiced, sid [B] ids or speaker
        weights [B, T, S], vol [B, T] where the model has it. Returns audio [B, 1, T * hop] in -1..1 and the pitch used
        [B, T]. With `predict_f0` the model's own pitch replaces f0 (ignored by a model without automatic pitch).
        The same generator state gives the same audio, and the same as upstream for the same seed on a CPU.
        """
        noise = as_noise(generator)
        g = self.speaker(sid)
        mask = c.new_ones(c.shape[0], 1, c.shape[2])
        x = self.front(c, mask, uv, vol)
        if predict_f0 and self.predicts_f0:
            normal = normalize_log_f0(log_f0(f0).unsqueeze(1), mask, uv)
            f0 = hz_of_log_f0(self.f0_decoder(x, normal, mask, g)).squeeze(1)
        mean, logs = self.enc_p(x, mask, coarse_f0(f0))
        z_p = mean + noise.normal(mean.shape, mean) * torch.exp(logs) * noise_scale
        z = self.flow(z_p, mask, g, reverse=True)
        return self.dec(z, f0, g, noise), f0


def build_decoder(config: SovitsConfig) -> NsfHifiGan:
    """The decoder that the config names."""
    model = config.model
    decoder = SnakeNsfHifiGan if model.vocoder_name == "nsf-snake-hifigan" else NsfHifiGan
    return decoder(
        model.inter_channels,
        model.upsample_initial_channel,
        model.upsample_rates,
        model.upsample_kernel_sizes,
        model.resblock,
        model.resblock_kernel_sizes,
        model.resblock_dilation_sizes,
        model.gin_channels,
        config.data.sampling_rate,
    )


def build_flow(config: SovitsConfig) -> CouplingFlow:
    """The flow that the config asks for."""
    model = config.model
    if model.use_transformer_flow:
        return TransformerFlow(
            model.inter_channels,
            model.hidden_channels,
            model.filter_channels,
            model.n_heads,
            model.n_layers_trans_flow,
            model.n_flow_layer,
            model.gin_channels,
            dropout=model.p_dropout,
            shared=model.flow_share_parameter,
        )
    return ResidualFlow(
        model.inter_channels,
        model.hidden_channels,
        model.n_flow_layer,
        model.gin_channels,
        depthwise=model.use_depthwise_conv,
        shared=model.flow_share_parameter,
    )


def build_generator(config: SovitsConfig) -> nn.Module:
    """A generator with fresh weights: upstream's for its vocoders, the studio's own for `lite`.

    Both answer to the same `infer(...)`; how each is trained is its recipe's matter.
    """
    if config.model.vocoder_name == "lite":
        from core.engines.sovits.lite import LiteGenerator

        return LiteGenerator(config)
    return SovitsGenerator(config)


def prepare_for_inference(generator: nn.Module, device: str = "cpu") -> nn.Module:
    """Make a generator fast and small for `infer`, in place; it cannot be trained or saved for upstream afterwards.

    Weight norm is folded once, the posterior encoder (training only) is dropped, gradients are switched off, and with
    `device` "cpu" the decoder is rearranged for one (`core.nn.fast_hifigan`); use it on that device then. The output
    stays the same to about 1e-5. Does nothing beyond eval mode to a generator of another family. Returns it.
    """
    generator.eval().requires_grad_(False)
    if isinstance(generator, SovitsGenerator):
        generator.enc_q = None
        fold_weight_norm(generator)
        if device == "cpu" and type(generator.dec) is NsfHifiGan and supported():
            generator.dec = FastNsfHifiGan(generator.dec)
    return generator
