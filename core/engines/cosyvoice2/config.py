"""What the parts of a CosyVoice model are made of. Sizes are those of the released `cosyvoice2.yaml` by default."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FlowConfig(_Strict):
    """What both kinds of flow share. `block` and `lookahead` in tokens, `token_mel_ratio` in frames a token."""

    vocab_size: int = 6561
    input_size: int = 512
    output_size: int = 80
    spk_embed_dim: int = 192
    token_mel_ratio: int = 2
    lookahead: int = 3
    block: int = 25


class UnetFlowConfig(FlowConfig):
    """CosyVoice2's flow: a transformer encoder, and a U-Net that solves."""

    encoder_dim: int = 512
    encoder_heads: int = 8
    encoder_hidden: int = 2048
    encoder_layers: int = 6
    encoder_up_layers: int = 4
    channels: int = 256
    heads: int = 8
    head_dim: int = 64
    n_blocks: int = 4
    mid_blocks: int = 12

    def estimator(self) -> dict[str, Any]:
        """What `unet.Estimator` takes. It reads noisy frames, encoded tokens, the speaker and the prompt."""
        return {
            "in_channels": 4 * self.output_size,
            "out_channels": self.output_size,
            "channels": self.channels,
            "heads": self.heads,
            "head_dim": self.head_dim,
            "n_blocks": self.n_blocks,
            "mid_blocks": self.mid_blocks,
        }


class DitFlowConfig(FlowConfig):
    """Fun-CosyVoice3's flow: look-ahead alone before a transformer that solves."""

    input_size: int = 80
    lookahead_channels: int = 1024
    dim: int = 1024
    depth: int = 22
    heads: int = 16
    head_dim: int = 64
    ff_mult: float = 2

    def estimator(self) -> dict[str, Any]:
        """What `dit.DitEstimator` takes."""
        return {
            "mel_dim": self.output_size,
            "mu_dim": self.output_size,
            "spk_dim": self.output_size,
            "dim": self.dim,
            "depth": self.depth,
            "heads": self.heads,
            "head_dim": self.head_dim,
            "ff_mult": self.ff_mult,
        }


_THREE = ((1, 3, 5), (1, 3, 5), (1, 3, 5))


class HiftConfig(_Strict):
    """The vocoder. `causal`: Fun-CosyVoice3's, which looks `pre_lookahead` frames ahead and no further."""

    in_channels: int = 80
    base_channels: int = 512
    nb_harmonics: int = 8
    sampling_rate: int = 24000
    nsf_alpha: float = 0.1
    nsf_sigma: float = 0.003
    nsf_voiced_threshold: float = 10
    upsample_rates: tuple[int, ...] = (8, 5, 3)
    upsample_kernel_sizes: tuple[int, ...] = (16, 11, 7)
    n_fft: int = 16
    hop_len: int = 4
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = _THREE
    source_resblock_kernel_sizes: tuple[int, ...] = (7, 7, 11)
    source_resblock_dilation_sizes: tuple[tuple[int, ...], ...] = _THREE
    lrelu_slope: float = 0.1
    audio_limit: float = 0.99
    f0_channels: int = Field(default=512, description="width of the pitch predictor")
    causal: bool = False
    pre_lookahead: int = 4

    @property
    def hop(self) -> int:
        """Samples a mel frame."""
        hop = self.hop_len
        for rate in self.upsample_rates:
            hop *= rate
        return hop


class LanguageModelConfig(_Strict):
    """The language model's head and how text and speech alternate in a stream (`mix_ratio`: text, speech)."""

    speech_tokens: int = 6561
    extra_ids: int = Field(default=3, description="ids of the head beyond speech; 200 in Fun-CosyVoice3")
    mix_ratio: tuple[int, int] = (5, 15)
    own_embedding: bool = Field(default=True, description="start and task have a table of their own; not in version 3")
    top_p: float = 0.8
    top_k: int = 25
    win_size: int = 10
    tau_r: float = 0.1
