"""The three sizes a voice can be trained in.

`standard` and `tiny` are so-vits-svc 4.1's two templates and give checkpoints that upstream loads. `lite` is this
studio's own model (`core.engines.sovits.lite`): same inputs and outputs, for a CPU and for first tries.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from core.engines.sovits.config import DataConfig, ModelConfig, SovitsConfig, TrainConfig
from core.errors import BadInput

PresetName = Literal["standard", "tiny", "lite"]
PRESETS: tuple[str, ...] = get_args(PresetName)

_MODEL: dict[str, dict[str, Any]] = {
    "standard": {},
    "tiny": {
        "filter_channels": 512,
        "upsample_initial_channel": 400,
        "use_depthwise_conv": True,
        "flow_share_parameter": True,
    },
    "lite": {
        "vocoder_name": "lite",
        "hidden_channels": 192,
        "gin_channels": 64,
        "n_layers": 8,
        "vol_embedding": True,
        "use_automatic_f0_prediction": False,
    },
}


def preset(
    name: str, *, encoder: str, encoder_dim: int, speakers: Sequence[str], vol_embedding: bool = False
) -> SovitsConfig:
    """The config of a new run.

    `encoder` names the content encoder and `encoder_dim` is its C in units [T, C]. `speakers` get ids in their order.
    `vol_embedding`: the model hears loudness, and clips are made louder and softer while it learns.
    Upstream ties filter and speaker-embedding widths to the encoder's: 768 wide for 768 units, 256 wide embedding for
    256 units, and so on; the same rule is used here for any width. Raises BadInput for an unknown preset, no speaker,
    or a speaker named twice.
    """
    if name not in _MODEL:
        raise BadInput(f"unknown preset {name!r}", f"Use one of: {', '.join(PRESETS)}.", where="preset")
    if not speakers or len(set(speakers)) != len(speakers):
        raise BadInput("a model needs at least one speaker, each named once", where="speakers")
    sizes: dict[str, Any] = {
        "ssl_dim": encoder_dim,
        "gin_channels": encoder_dim,
        "filter_channels": max(768, encoder_dim),
        "n_speakers": len(speakers),
        "speech_encoder": encoder,
        "vol_embedding": vol_embedding,
    }
    return SovitsConfig(
        train=TrainConfig(vol_aug=vol_embedding),
        data=DataConfig(unit_interpolate_mode="nearest"),
        model=ModelConfig.model_validate(sizes | _MODEL[name]),
        spk={speaker: row for row, speaker in enumerate(speakers)},
    )
