"""The YAML of VoxCPM's own training script: read strictly, written so that the script takes it.

The script passes over keys it does not know and takes `1e-5` for a word; both cost people a night's training. Here a
typo is an error that names the key it was perhaps meant to be.
"""

import difflib
import re
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core import atomic
from core.errors import BadInput

_MAX_BYTES = 1 << 20
_TARGETS = ["q_proj", "v_proj", "k_proj", "o_proj"]
_PROJECTIONS = ["enc_to_lm_proj", "lm_to_dit_proj", "res_to_dit_proj", "fusion_concat_proj"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Lambdas(_Strict):
    """Weights of the losses."""

    diff: float = Field(default=1.0, ge=0.0, alias="loss/diff", description="of the diffusion")
    stop: float = Field(default=1.0, ge=0.0, alias="loss/stop", description="of the end of speech")


class LoraSettings(_Strict):
    """Low-rank adaptation: which layers, and how large."""

    enable_lm: bool = Field(default=False, description="adapt both language models")
    enable_dit: bool = Field(default=False, description="adapt the diffusion transformer")
    enable_proj: bool = Field(default=False, description="adapt the projections between them")
    r: int = Field(default=8, ge=1, le=1024, description="rank")
    alpha: int = Field(default=16, ge=1, le=4096, description="scale; the update counts alpha / r")
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0, description="share of the update that is dropped")
    target_modules_lm: list[str] = Field(default=_TARGETS, description="layers of the language models")
    target_modules_dit: list[str] = Field(default=_TARGETS, description="layers of the diffusion transformer")
    target_proj_modules: list[str] = Field(default=_PROJECTIONS, description="projections")

    @model_validator(mode="after")
    def _adapts_something(self) -> Self:
        if not (self.enable_lm or self.enable_dit or self.enable_proj):
            raise ValueError("enable_lm, enable_dit or enable_proj must be on, or nothing is trained")
        return self


class FinetuneConfig(_Strict):
    """Every setting of the script, with its defaults."""

    pretrained_path: str = Field(description="folder of the model to start from")
    train_manifest: str = Field(default="", description="train.jsonl; empty: the voice's own")
    val_manifest: str | None = Field(default="", description="validation manifest; empty: some clips are held back")
    sample_rate: int = Field(default=16000, ge=8000, le=96000, description="rate of the model's encoder, Hz")
    out_sample_rate: int = Field(default=0, ge=0, le=96000, description="rate of its speech, Hz; 0: the model's")
    batch_size: int = Field(default=1, ge=1, le=1024, description="clips a step")
    grad_accum_steps: int = Field(default=1, ge=1, le=1024, description="steps whose gradients are added up")
    num_workers: int = Field(default=2, ge=0, le=128, description="processes that read clips")
    num_iters: int = Field(default=100_000, ge=1, description="optimiser steps in all")
    log_interval: int = Field(default=100, ge=1, description="steps between two lines of the log")
    valid_interval: int = Field(default=1000, ge=1, description="steps between two validations")
    save_interval: int = Field(default=10_000, ge=1, description="steps between two checkpoints")
    learning_rate: float = Field(default=1e-4, gt=0.0, le=1.0, description="highest learning rate")
    weight_decay: float = Field(default=0.01, ge=0.0, le=1.0, description="weight decay of AdamW")
    warmup_steps: int = Field(default=1000, ge=0, description="steps until the highest learning rate")
    max_steps: int = Field(default=100_000, ge=1, description="length of the learning rate's schedule, steps")
    max_batch_tokens: int = Field(default=0, ge=0, description="most positions of a batch, padding included; 0: any")
    max_grad_norm: float = Field(default=0.0, ge=0.0, description="gradients longer than this are cut; 0: never")
    save_path: str = Field(default="", description="folder of the checkpoints")
    tensorboard: str = Field(default="", description="folder of TensorBoard's events; empty: in save_path")
    lambdas: Lambdas = Field(default=Lambdas(), description="weights of the losses")
    lora: LoraSettings | None = Field(default=None, description="low-rank adaptation; absent: all weights are trained")
    hf_model_id: str = Field(default="", description="name of the base model, noted with a LoRA")
    distribute: bool = Field(default=False, description="note the base model's name, not its path, with a LoRA")


class _Loader(yaml.SafeLoader):
    """YAML as data, with `1e-5` a number (YAML 1.2) and a key given twice an error."""


class _Dumper(yaml.SafeDumper):
    """Plain YAML; a word that looks like `1e-5` is quoted, so that it stays a word."""


for _kind in (_Loader, _Dumper):
    _kind.yaml_implicit_resolvers = {key: list(value) for key, value in _kind.yaml_implicit_resolvers.items()}
    _kind.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
    )


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)  # type: ignore[no-untyped-call]
        problem = f"the key {key!r} is not a word" if not isinstance(key, str) else None
        if problem is None and key in seen:
            problem = f"the key {key!r} is given twice"
        if problem:
            raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: str | Path) -> FinetuneConfig:
    """The settings of a file. Raises BadInput that names every unknown, mistyped or impossible one, with its place."""
    file = Path(path)
    try:
        size = file.stat().st_size
        text = file.read_text("utf-8-sig") if size <= _MAX_BYTES else ""
    except (OSError, UnicodeDecodeError) as err:
        raise BadInput(f"{file} cannot be read as a YAML text.", "Check the path.", where=str(file)) from err
    if size > _MAX_BYTES:
        raise BadInput(f"{file.name} is too large for a config.", "Choose the YAML file.", where=str(file))
    return parse_yaml(text, str(file))


def parse_yaml(text: str, where: str = "config") -> FinetuneConfig:
    """`read_yaml` of a text."""
    try:
        loader = _Loader(text)
        try:
            data = loader.get_single_data()
        finally:
            loader.dispose()  # type: ignore[no-untyped-call]
    except (yaml.YAMLError, RecursionError, ValueError) as err:
        mark = getattr(err, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(err, "problem", None) or "it is nested too deeply"
        raise BadInput(f"The config is not YAML{place}: {problem}.", "Correct that line.", where=where) from err
    if not isinstance(data, dict):
        raise BadInput("The config holds no settings.", "Write lines such as `batch_size: 4`.", where=where)
    try:
        return FinetuneConfig.model_validate(data)
    except ValidationError as err:
        parts = [_problem(problem) for problem in err.errors(include_url=False)]
        raise BadInput(f"Settings that cannot be used: {'; '.join(parts)}.", "Correct them.", where=where) from err


def _problem(problem: Any) -> str:
    name = ".".join(str(part) for part in problem["loc"]) or "config"
    if problem["type"] != "extra_forbidden":
        return f"{name}: {problem['msg']}"
    holders: dict[str, type[BaseModel]] = {"lora": LoraSettings, "lambdas": Lambdas}
    holder = holders.get(str(problem["loc"][0]), FinetuneConfig)
    known = [field.alias or key for key, field in holder.model_fields.items()]
    close = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
    return f"{name} is not known" + (f" (perhaps {close[0]})" if close else "")


def to_yaml(config: FinetuneConfig) -> str:
    """A YAML text that the script takes: numbers with a point, so that no reader takes one for a word."""
    data = config.model_dump(by_alias=True, exclude_none=True)
    for plain in ("hf_model_id", "distribute", "out_sample_rate"):
        if not data[plain]:
            del data[plain]  # the older scripts do not know them
    data["val_manifest"] = data.get("val_manifest") or ""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def write_yaml(path: str | Path, config: FinetuneConfig) -> None:
    """`to_yaml` to a file, atomically. Raises NoSpace, BadInput."""
    atomic.write_text(path, to_yaml(config))


def _number(dumper: _Dumper, value: float) -> yaml.ScalarNode:
    text = (
        f"{value:.17f}".rstrip("0") if 1e-15 <= abs(value) < 1e-3 and float(f"{value:.17f}") == value else repr(value)
    )
    mantissa, sign, exponent = text.partition("e")
    if sign and "." not in mantissa:
        text = f"{mantissa}.0e{exponent}"
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _word(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    # Unicode's own line ends are folded to spaces unless they are written as escapes.
    style = '"' if set("\x85\u2028\u2029") & set(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style)


_Dumper.add_representer(float, _number)
_Dumper.add_representer(str, _word)
