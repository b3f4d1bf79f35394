"""What a person chooses for a fine-tuning of VoxCPM, and the YAML of the package's script as such choices. Light."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from core.engines.voxcpm.config_yaml import FinetuneConfig, Lambdas, LoraSettings, read_yaml
from core.errors import BadInput
from core.training.options import RunOptions

LEARNING_RATES = {"full": 1e-5, "lora": 1e-4}
"""The package's shipped configs."""
BATCH_SIZES = {"full": 4, "lora": 4}
LIGHT = {"full": 2, "lora": 12}
"""Light checkpoints kept: of a full run each is a whole model (gigabytes), of a LoRA some megabytes."""

# Field of RunOptions or VoxTrainOptions -> key of the YAML, where both mean the same.
_SAME = {
    "base": "pretrained_path",
    "train_manifest": "train_manifest",
    "val_manifest": "val_manifest",
    "sample_rate": "sample_rate",
    "out_sample_rate": "out_sample_rate",
    "batch_size": "batch_size",
    "accumulate": "grad_accum_steps",
    "num_workers": "num_workers",
    "steps": "num_iters",
    "log_every_steps": "log_interval",
    "probe_every_steps": "valid_interval",
    "save_every_steps": "save_interval",
    "learning_rate": "learning_rate",
    "weight_decay": "weight_decay",
    "warmup_steps": "warmup_steps",
    "max_steps": "max_steps",
    "max_batch_tokens": "max_batch_tokens",
    "max_grad_norm": "max_grad_norm",
    "hf_model_id": "hf_model_id",
    "distribute": "distribute",
}


class VoxTrainOptions(RunOptions):
    """Settings of a VoxCPM run. `probe_every_steps` is the interval of validation; samples come with every save."""

    may_change: ClassVar[tuple[str, ...]] = (
        *RunOptions.may_change,
        *("max_batch_tokens", "gradient_checkpointing", "num_workers", "max_grad_norm"),
    )

    unused: ClassVar[Mapping[str, str]] = {"init_from": "`base` is the model to start from"}

    engine: Literal["voxcpm"] = "voxcpm"
    preset: Literal["full", "lora"] = "lora"
    base: str = ""
    """Model to start from: a folder, or a name of the catalogue; empty: the best that is here."""
    steps: int = Field(default=2000, ge=1)
    keep_light: int = Field(default=LIGHT["lora"], ge=0, le=1000)
    """Where it is not given: 2 of a full run, whose light checkpoints are whole models, 12 of a LoRA."""
    train_manifest: str = ""
    """train.jsonl to learn from; empty: the voice's accepted clips that have a transcript."""
    val_manifest: str = ""
    """Validation manifest; empty: some clips are held back."""
    sample_rate: int = Field(default=0, ge=0, le=96000)
    """Rate of the model's encoder, Hz; 0: the model's own. Another one than the model's is refused."""
    out_sample_rate: int = Field(default=0, ge=0, le=96000)
    """Rate of the model's speech, Hz; as `sample_rate`."""
    num_workers: int = Field(default=2, ge=0, le=128)
    """Threads that decode clips while their latents are made."""
    weight_decay: float = Field(default=0.01, ge=0.0, le=1.0)
    warmup_steps: int = Field(default=100, ge=0)
    """Steps until the highest learning rate; then it falls to 0 along a cosine."""
    max_steps: int = Field(default=0, ge=0)
    """Step at which the learning rate reaches 0; 0: the last step."""
    max_batch_tokens: int = Field(default=0, ge=0)
    """Most positions (text tokens and patches, padding included) computed at once; 0: any number."""
    max_grad_norm: float = Field(default=1.0, ge=0.0)
    """Gradients longer than this are cut; 0: never."""
    lambda_diff: float = Field(default=1.0, ge=0.0)
    lambda_stop: float = Field(default=1.0, ge=0.0)
    """Weights of the losses: of the diffusion, and of the end of speech."""
    lora: LoraSettings | None = None
    """What a LoRA adapts, and its rank; None with the preset lora: as the package ships it for the model."""
    hf_model_id: str = ""
    distribute: bool = False
    """Note the base model's public name instead of its folder in the LoRA."""
    gradient_checkpointing: Literal["off", "on"] = "off"
    """on: activations are computed again for the backward pass: less memory, a third more time."""
    optimiser: Literal["adamw", "adamw8bit", "paged_adamw8bit"] = "adamw"
    """adamw8bit: two bytes of state a weight instead of eight, by the package bitsandbytes; paged: the state moves to
    the computer's memory where the GPU's is short."""
    probes: int = Field(default=2, ge=1, le=256)
    """Held-out clips, never trained on (without val_manifest; at least 2 % of all)."""
    holdout: list[str] = Field(default_factory=list)
    """Ids of the clips to hold out; empty: chosen by hash."""
    sentences: list[str] = Field(default_factory=list, max_length=16)
    """Said at every save; empty: two of the language of the clips."""

    @model_validator(mode="before")
    @classmethod
    def _few_large_ones(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("keep_light") is None:
            return {**data, "keep_light": LIGHT.get(data.get("preset", "lora"), LIGHT["lora"])}
        return data

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.lora is not None and self.preset != "lora":
            raise ValueError("lora settings are given, but the preset is full")
        if not (self.lambda_diff or self.lambda_stop):
            raise ValueError("lambda_diff and lambda_stop are both 0: nothing is learnt")
        return self


def lora_settings(options: VoxTrainOptions, is_v2: bool) -> LoraSettings | None:
    """The LoRA of a run; None for a full one. Without settings: rank 32 for VoxCPM 2, 8 before, LM and DiT."""
    if options.preset != "lora":
        return None
    rank, alpha = (32, 32) if is_v2 else (8, 16)
    return options.lora or LoraSettings(enable_lm=True, enable_dit=True, r=rank, alpha=alpha)


def params_of_yaml(path: str | Path) -> dict[str, Any]:
    """Options of a run from a YAML of the package's script, without the voice.

    `save_path` gives the run its name: runs lie where the studio's runs lie. Paths are made absolute. Raises BadInput
    that names every unknown or mistyped setting.
    """
    return params_of_config(read_yaml(path))


def params_of_config(config: FinetuneConfig) -> dict[str, Any]:
    """`params_of_yaml` of settings that are read already."""
    data = {field: getattr(config, key) for field, key in _SAME.items()}
    data["val_manifest"] = data["val_manifest"] or ""
    for field in ("train_manifest", "val_manifest"):
        if data[field]:
            data[field] = str(Path(data[field]).expanduser().absolute())
    base = Path(data["base"]).expanduser()
    if base.is_dir():
        data["base"] = str(base.absolute())
    data |= {"lambda_diff": config.lambdas.diff, "lambda_stop": config.lambdas.stop}
    data |= {"engine": "voxcpm", "preset": "lora" if config.lora else "full"}
    if config.lora is not None:
        data["lora"] = config.lora.model_dump()
    name = Path(config.save_path).name
    return {**data, **({"name": name} if name else {})}


def to_config(
    options: VoxTrainOptions, base: Path, rates: tuple[int, int], is_v2: bool, **paths: str
) -> FinetuneConfig:
    """The settings of a run as the package's script takes them.

    Args:
        options: of the run.
        base: the model's folder.
        rates: the model's, Hz: of its encoder, of its speech.
        is_v2: VoxCPM 2.
        paths: train_manifest, val_manifest, save_path.

    What the script does not know (an 8-bit optimiser, checkpointing) is left out. Raises BadInput.
    """
    values = {key: getattr(options, field) for field, key in _SAME.items()}
    values |= {"pretrained_path": str(base), "sample_rate": rates[0]}
    values["out_sample_rate"] = rates[1] if rates[1] != rates[0] else 0
    values["batch_size"] = options.batch_size or BATCH_SIZES[options.preset]
    values["learning_rate"] = options.learning_rate or LEARNING_RATES[options.preset]
    values["valid_interval"] = options.probe_every_steps or options.save_every_steps
    values["max_steps"] = options.max_steps or options.steps
    lora = lora_settings(options, is_v2)
    try:
        return FinetuneConfig(
            **{**values, **paths},
            lambdas=Lambdas.model_validate({"diff": options.lambda_diff, "stop": options.lambda_stop}),
            lora=lora,
        )
    except ValueError as err:
        raise BadInput(f"The run's settings cannot be written as a YAML: {err}", where="config") from err
