"""What a weights file is, read from the names and shapes of its tensors alone; and how it differs from a config.

So a file can be described before a model is built, a mismatch can be said in words ("made for another content
encoder"), and a config can be made to fit where the file leaves no doubt.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from core.engines.sovits.config import SovitsConfig, parse_config

Shapes = Mapping[str, tuple[int, ...]]
Kind = Literal["generator", "lite", "discriminator", "diffusion", "vocoder", "rmvpe", "other"]

# Content encoders by the width of their units, most common first.
ENCODERS_BY_WIDTH: dict[int, tuple[str, ...]] = {
    256: ("vec256l9", "hubertsoft"),
    768: ("vec768l12", "dphubert", "wavlmbase+"),
    1024: ("whisper-ppg", "cnhubertlarge"),
    1280: ("whisper-ppg-large",),
}
_MARKS: tuple[tuple[str, Kind], ...] = (
    ("discriminators.0.conv_post.bias", "discriminator"),
    ("decoder.denoise_fn.input_projection.weight", "diffusion"),
    ("unet.encoder.bn.weight", "rmvpe"),
)
# Fields of a config that follow from the file, and how a person would say them.
_WORDS: dict[str, str] = {
    "ssl_dim": "width of the content units",
    "gin_channels": "width of the speaker embedding",
    "n_speakers": "number of speakers",
    "hidden_channels": "hidden channels",
    "inter_channels": "latent channels",
    "filter_channels": "filter channels",
    "n_layers": "layers of the encoder",
    "kernel_size": "kernel of the encoder",
    "vol_embedding": "loudness embedding",
    "use_automatic_f0_prediction": "automatic pitch",
    "use_transformer_flow": "transformer flow",
    "flow_share_parameter": "shared flow",
    "n_flow_layer": "layers of the flow",
    "n_layers_trans_flow": "layers of the transformer flow",
    "use_depthwise_conv": "depthwise convolutions",
    "vocoder_name": "decoder",
    "resblock": "kind of the decoder's blocks",
    "upsample_initial_channel": "channels of the decoder",
    "upsample_rates": "upsampling rates",
    "upsample_kernel_sizes": "upsampling kernels",
    "resblock_kernel_sizes": "kernels of the decoder's blocks",
}


def kind_of(shapes: Shapes) -> Kind:
    """What a table of tensors belongs to."""
    if "emb_g.weight" in shapes and any(name.startswith("enc_p.") for name in shapes):
        return "generator"
    for name, kind in _MARKS:
        if name in shapes:
            return kind
    if "conv_pre.bias" in shapes and "m_source.l_linear.weight" in shapes:
        return "vocoder"
    return "lite" if "speaker.weight" in shapes or any(name.startswith("head.") for name in shapes) else "other"


def _count(shapes: Shapes, pattern: str) -> int:
    """How many numbers a pattern with one group finds."""
    return len({match[1] for name in shapes if (match := re.match(pattern, name))})


def _weight(shapes: Shapes, name: str) -> tuple[int, ...]:
    """The shape of a convolution's weight, normed or folded."""
    return shapes.get(f"{name}.weight_v") or shapes[f"{name}.weight"]


def generator_fields(shapes: Shapes, hop: int = 512) -> dict[str, Any]:
    """The `model` fields of a config that a generator's tensors decide. Raises KeyError where one is missing.

    Heads and dilations leave no trace in shapes; `hop` (samples a frame) gives the first upsampling rate.
    """
    hidden, ssl_dim, _ = shapes["pre.weight"]
    n_speakers, gin = shapes["emb_g.weight"]
    transformer = "flow.flows.0.enc.cond_pre.weight" in shapes
    first_ffn = shapes["enc_p.enc_.ffn_layers.0.conv_1.weight"]
    n_stages = _count(shapes, r"dec\.ups\.(\d+)\.")
    n_blocks = _count(shapes, r"dec\.resblocks\.(\d+)\.") // n_stages
    # A noise convolution's kernel is twice the product of the rates after its stage; the last has kernel 1.
    after = [max(1, shapes[f"dec.noise_convs.{i}.weight"][2] // 2) for i in range(n_stages)]
    rates = [before // behind for before, behind in zip([hop, *after], after, strict=False)]
    block = "convs1" if "dec.resblocks.0.convs1.0.bias" in shapes else "convs"
    fields: dict[str, Any] = {
        "ssl_dim": ssl_dim,
        "gin_channels": gin,
        "n_speakers": n_speakers,
        "hidden_channels": hidden,
        "inter_channels": shapes["enc_p.proj.weight"][0] // 2,
        "filter_channels": first_ffn[0],
        "kernel_size": first_ffn[2],
        "n_layers": _count(shapes, r"enc_p\.enc_\.attn_layers\.(\d+)\."),
        "vol_embedding": "emb_vol.weight" in shapes,
        "use_automatic_f0_prediction": "f0_decoder.proj.weight" in shapes,
        "use_transformer_flow": transformer,
        "flow_share_parameter": any(name.startswith("flow.wn.") for name in shapes),
        "use_depthwise_conv": "flow.flows.0.enc.in_layers.0.depth_conv.bias" in shapes,
        "vocoder_name": "nsf-snake-hifigan" if "dec.snake_post.act.alpha" in shapes else "nsf-hifigan",
        "resblock": "1" if block == "convs1" else "2",
        "upsample_initial_channel": _weight(shapes, "dec.conv_pre")[0],
        "upsample_rates": tuple(rates),
        "upsample_kernel_sizes": tuple(_weight(shapes, f"dec.ups.{i}")[2] for i in range(n_stages)),
        "resblock_kernel_sizes": tuple(_weight(shapes, f"dec.resblocks.{i}.{block}.0")[2] for i in range(n_blocks)),
    }
    if transformer:
        fields["n_flow_layer"] = _count(shapes, r"flow\.flows\.(\d+)\.")
        fields["n_layers_trans_flow"] = _count(shapes, r"flow\.flows\.0\.enc\.self_attn_layers\.(\d+)\.")
    else:
        fields["n_flow_layer"] = _count(shapes, r"flow\.flows\.0\.enc\.in_layers\.(\d+)\.")
    return fields


@dataclass(frozen=True)
class Difference:
    """A field in which a file and a config disagree."""

    name: str
    in_file: Any
    in_config: Any

    @property
    def words(self) -> str:
        """For a person."""
        return f"{_WORDS[self.name]}: {_say(self.in_file)} in the file, {_say(self.in_config)} in the config"


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def differences(shapes: Shapes, config: SovitsConfig) -> list[Difference]:
    """Where a generator's tensors and a config disagree; empty where they fit."""
    fields = generator_fields(shapes, config.model.hop_samples)
    found = [Difference(name, value, getattr(config.model, name)) for name, value in fields.items()]
    return [difference for difference in found if difference.in_file != difference.in_config]


def explain(shapes: Shapes, config: SovitsConfig) -> tuple[str, str] | None:
    """(what is wrong, what to do) where a file does not fit a config, in a user's words; None where it fits.

    Raises KeyError where the file is a generator, but a mutilated one.
    """
    kind = kind_of(shapes)
    if kind != "generator":
        return _WRONG_KIND[kind]
    wrong = {difference.name: difference for difference in differences(shapes, config)}
    if not wrong:
        return None
    said = "; ".join(difference.words for difference in wrong.values())
    if "ssl_dim" in wrong:
        width, encoder = wrong["ssl_dim"].in_file, config.model.speech_encoder
        names = " or ".join(ENCODERS_BY_WIDTH.get(width, ())) or "an encoder that so-vits-svc does not have"
        old = " (so-vits-svc 4.0 models are made for vec256l9)" if width == 256 else ""
        what = (
            f"it is made for another content encoder: its units are {width} wide{old}, "
            f"the config's ({encoder}) are {config.model.ssl_dim}. All that differs: {said}"
        )
        return what, f"Use the config.json that came with it, or set speech_encoder to {names} and let it be fitted."
    if "n_speakers" in wrong:
        in_file, in_config = wrong["n_speakers"].in_file, wrong["n_speakers"].in_config
        what = f"it knows {in_file} speakers, the config {in_config}. All that differs: {said}"
        return what, "Use the config.json that came with it, or let the config be fitted to the file."
    return f"its architecture is another than the config's: {said}", (
        "Use the config.json that came with it, or let the config be fitted to the file."
    )


_WRONG_KIND: dict[str, tuple[str, str]] = {
    "discriminator": ("it is a discriminator (a D_*.pth file), which only training needs", "Choose the G_*.pth file."),
    "diffusion": (
        "it is a shallow diffusion model, not the main model",
        "Choose the G_*.pth file here, and this one as the diffusion model.",
    ),
    "vocoder": ("it is a vocoder, not a voice model", "Choose the G_*.pth file."),
    "rmvpe": ("it is the RMVPE pitch model, not a voice model", "Choose the G_*.pth file."),
    "lite": ("it is a lite model of this studio, its config is not", "Use the config.json that lies beside it."),
    "other": ("it is no so-vits-svc model of a version that the studio knows", "Choose a G_*.pth file of 4.0 or 4.1."),
}


def fit_config(config: SovitsConfig, shapes: Shapes) -> SovitsConfig:
    """The config with every field that the file decides taken from the file: the offered fix.

    Speakers whose rows the file does not have are dropped; rows without a name are called "speaker N". The encoder's
    name changes only where its width does not fit. Raises BadInput where no config fits.
    """
    fields = generator_fields(shapes, config.model.hop_samples)
    raw = config.model_dump(mode="json")
    raw["model"] |= {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
    n_dilations = len(fields["resblock_kernel_sizes"])
    raw["model"]["resblock_dilation_sizes"] = (raw["model"]["resblock_dilation_sizes"] * n_dilations)[:n_dilations]
    if fields["ssl_dim"] != config.model.ssl_dim:
        raw["model"]["speech_encoder"] = ENCODERS_BY_WIDTH.get(fields["ssl_dim"], (config.model.speech_encoder,))[0]
    count = fields["n_speakers"]
    kept = {name: row for name, row in config.spk.items() if row < count}
    raw["spk"] = kept or {f"speaker {row}": row for row in range(count)}
    raw["data"]["hop_length"] = prod(fields["upsample_rates"])
    return parse_config(raw, "the fitted config")
