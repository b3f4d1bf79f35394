"""The so-vits-svc 4.1 `config.json`: its sections, its defaults, and what each field means to this studio.

The file is the one that upstream trainers write and that people share beside a checkpoint. Sections are read strictly:
an unknown key is an error that names it, except for the few listed in `TOLERATED`, which upstream or its users leave
behind and which change nothing here. Values missing from older files get the value upstream assumes for them.
"""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import BadInput
from core.options import problems

SAMPLE_RATE_HZ = 44100
HOP = 512

VOCODERS = ("nsf-hifigan", "nsf-snake-hifigan", "lite")

# Keys that exist in files found in the wild and that nothing here reads. They are dropped at load.
TOLERATED: dict[str, frozenset[str]] = {
    "top": frozenset({"githash", "version"}),
    "train": frozenset({"num_workers"}),
    "data": frozenset({"duration", "min_level_db"}),
    "model": frozenset({"sampling_rate", "sample_rate"}),
}


class _Section(BaseModel):
    """A section of the file: frozen, no unknown keys but the tolerated ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    section: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _drop_tolerated(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        tolerated = TOLERATED.get(cls.section, frozenset())
        return {key: value for key, value in raw.items() if key not in tolerated}


class TrainConfig(_Section):
    """Training settings. Lengths are in samples at 44.1 kHz unless the name says otherwise."""

    section: ClassVar[str] = "train"
    log_interval: int = Field(default=200, ge=1)
    eval_interval: int = Field(default=800, ge=1)
    seed: int = 1234
    epochs: int = Field(default=10000, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    betas: tuple[float, float] = (0.8, 0.99)
    eps: float = Field(default=1e-9, gt=0)
    batch_size: int = Field(default=6, ge=1)
    fp16_run: bool = False
    half_type: Literal["fp16", "bf16"] = "fp16"
    lr_decay: float = Field(default=0.999875, gt=0, le=1)
    segment_size: int = Field(default=10240, ge=HOP)
    init_lr_ratio: float = 1  # unused upstream
    warmup_epochs: int = Field(default=0, ge=0)
    c_mel: float = 45
    c_kl: float = 1.0
    use_sr: bool = True  # unused upstream
    max_speclen: int = 512  # unused upstream
    port: str = "8001"  # unused: this studio trains in one process
    keep_ckpts: int = Field(default=3, ge=0)
    all_in_mem: bool = False
    vol_aug: bool = False


class DataConfig(_Section):
    """Signal settings. The studio knows one signal layout (44.1 kHz, hop 512), which every 4.x checkpoint uses."""

    section: ClassVar[str] = "data"
    training_files: str = "filelists/train.txt"
    validation_files: str = "filelists/val.txt"
    max_wav_value: float = 32768.0
    sampling_rate: int = SAMPLE_RATE_HZ
    filter_length: int = 2048
    hop_length: int = HOP
    win_length: int = 2048
    n_mel_channels: int = Field(default=80, ge=1)
    mel_fmin: float = 0.0
    mel_fmax: float | None = 22050
    # Absent from files older than this field, which were trained with "left".
    unit_interpolate_mode: str = "left"


class ModelConfig(_Section):
    """Sizes and switches of the generator. Channel counts unless the name says otherwise."""

    section: ClassVar[str] = "model"
    inter_channels: int = Field(default=192, ge=2, multiple_of=2)
    hidden_channels: int = Field(default=192, ge=2)
    filter_channels: int = Field(default=768, ge=1)
    n_heads: int = Field(default=2, ge=1)
    n_layers: int = Field(default=6, ge=1)
    kernel_size: int = Field(default=3, ge=1)
    p_dropout: float = Field(default=0.1, ge=0, lt=1)
    resblock: Literal["1", "2"] = "1"
    resblock_kernel_sizes: tuple[int, ...] = (3, 7, 11)
    resblock_dilation_sizes: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    upsample_rates: tuple[int, ...] = (8, 8, 2, 2, 2)
    upsample_initial_channel: int = Field(default=512, ge=32)
    upsample_kernel_sizes: tuple[int, ...] = (16, 16, 4, 4, 4)
    n_layers_q: int = 3  # unused upstream
    n_layers_trans_flow: int = Field(default=3, ge=1)
    n_flow_layer: int = Field(default=4, ge=1)
    use_spectral_norm: bool = False
    gin_channels: int = Field(default=768, ge=1)
    ssl_dim: int = Field(default=768, ge=1)
    n_speakers: int = Field(default=200, ge=1)
    vocoder_name: str = "nsf-hifigan"
    speech_encoder: str = "vec768l12"
    speaker_embedding: bool = False  # unused upstream
    vol_embedding: bool = False
    use_depthwise_conv: bool = False
    flow_share_parameter: bool = False
    use_automatic_f0_prediction: bool = True
    use_transformer_flow: bool = False

    @model_validator(mode="before")
    @classmethod
    def _fill_from_older_files(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        filled = dict(raw)
        # 4.0 files name no encoder; their 256 units can only be the layer-9 projection.
        if "speech_encoder" not in filled and filled.get("ssl_dim") == 256:
            filled["speech_encoder"] = "vec256l9"
        # Upstream turns any vocoder it does not know into its default; so does this reader, knowing one more.
        if filled.get("vocoder_name", "nsf-hifigan") not in VOCODERS:
            filled["vocoder_name"] = "nsf-hifigan"
        return filled

    @model_validator(mode="after")
    def _sizes_agree(self) -> "ModelConfig":
        if len(self.upsample_rates) != len(self.upsample_kernel_sizes):
            raise ValueError("upsample_rates and upsample_kernel_sizes differ in length")
        if len(self.resblock_kernel_sizes) != len(self.resblock_dilation_sizes):
            raise ValueError("resblock_kernel_sizes and resblock_dilation_sizes differ in length")
        if self.hidden_channels % self.n_heads:
            raise ValueError("hidden_channels is not divisible by n_heads")
        if self.upsample_initial_channel >> len(self.upsample_rates) < 1:
            raise ValueError("upsample_initial_channel is too small for that many upsample_rates")
        return self

    @property
    def hop_samples(self) -> int:
        """Samples per frame of the decoder: the product of the upsampling rates."""
        hop = 1
        for rate in self.upsample_rates:
            hop *= rate
        return hop


class SovitsConfig(_Section):
    """The whole file. `spk` maps a speaker's name to its row in the speaker embedding."""

    section: ClassVar[str] = "top"
    train: TrainConfig = TrainConfig()
    data: DataConfig = DataConfig()
    model: ModelConfig
    spk: dict[str, int] = Field(min_length=1)

    @model_validator(mode="after")
    def _speakers_fit(self) -> "SovitsConfig":
        for name, row in self.spk.items():
            if not 0 <= row < self.model.n_speakers:
                raise ValueError(f"speaker {name!r} has id {row}, outside 0..{self.model.n_speakers - 1}")
        if self.data.hop_length != self.model.hop_samples:
            raise ValueError(
                f"data.hop_length {self.data.hop_length} is not the product of model.upsample_rates "
                f"({self.model.hop_samples})"
            )
        return self


def parse_config(raw: Any, where: str = "config.json") -> SovitsConfig:
    """Check a decoded config. Raises BadInput naming every wrong field of `where`."""
    try:
        return SovitsConfig.model_validate(raw)
    except ValidationError as err:
        raise BadInput(
            f"{where} is not a usable so-vits-svc config: {problems(err)}",
            "Use the config.json that was saved beside the model.",
            where=where,
        ) from err


def load_config(path: Path) -> SovitsConfig:
    """Read a config.json. Raises BadInput if it is absent, not JSON, or not a so-vits-svc config."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise BadInput(
            f"no config file at {path}", "Put the model's config.json beside its weights.", where=str(path)
        ) from err
    except (json.JSONDecodeError, UnicodeDecodeError) as err:
        raise BadInput(
            f"{path} is not JSON: {err}", "Use the config.json that was saved beside the model.", where=str(path)
        ) from err
    return parse_config(raw, where=str(path))


def save_config(config: SovitsConfig, path: Path) -> None:
    """Write the config as JSON, atomically. Upstream's programs can read it (but not a `lite` model)."""
    from core import atomic

    atomic.write_text(path, json.dumps(config.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
