"""Which speech engines there are. Named, not imported: the page and the command line stay light."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadInput


@dataclass(frozen=True)
class EngineEntry:
    """One engine.

    Attributes:
        title: its name for people.
        loader: "module:function" with the signature (folder: Path, device: str) -> Engine.
        options: "module:class" of its settings; light.
        models: "module:function" with the signature (settings, name, voice | None) -> Path of a model's folder; light.
        catalogue: "module:name" of its released models, best first; light.
        parts: "module:function" with the signature of `parts`, where several models share one that is loaded.
    """

    title: str
    loader: str
    options: str
    models: str
    catalogue: str
    parts: str = ""


ENGINES: dict[str, EngineEntry] = {
    "voxcpm": EngineEntry(
        title="VoxCPM",
        loader="core.engines.voxcpm.engine:load",
        options="core.engines.voxcpm.options:VoxOptions",
        models="core.engines.voxcpm.models:find_model",
        catalogue="core.engines.voxcpm.models:MODELS",
        parts="core.engines.voxcpm.adapters:parts",
    ),
    "cosyvoice2": EngineEntry(
        title="CosyVoice2",
        loader="core.engines.cosyvoice2.engine:load",
        options="core.engines.cosyvoice2.options:CosyOptions",
        models="core.engines.cosyvoice2.models:find_model",
        catalogue="core.engines.cosyvoice2.models:MODELS",
    ),
    "nanovllm": EngineEntry(
        title="VoxCPM (nano-vllm)",
        loader="core.engines.voxcpm.nano:load",
        options="core.engines.voxcpm.nano_models:NanoOptions",
        models="core.engines.voxcpm.nano_models:find_model",
        catalogue="core.engines.voxcpm.nano_models:MODELS",
    ),
}


def engine_entry(name: str) -> EngineEntry:
    """The engine of that name. Raises BadInput."""
    if name not in ENGINES:
        raise BadInput(
            f"There is no speech engine {name!r}.", f"The engines are: {', '.join(ENGINES)}.", where="engine"
        )
    return ENGINES[name]


def options_class(name: str) -> Any:
    """The settings class of an engine. Raises BadInput."""
    return _target(engine_entry(name).options)


def find_model(engine: str, settings: Any, model: str, voice: Any = None) -> Path:
    """The folder of a model by name or path. Raises BadInput, NotFound, Unavailable."""
    return Path(_target(engine_entry(engine).models)(settings, model, voice))


def released_here(engine: str, settings: Any) -> list[str]:
    """Names of the released models of an engine that can be used now, best first. Raises BadInput."""
    from core.models.entry import locate_in

    models: Any = _target(engine_entry(engine).catalogue)
    return [one.name for one in models if not locate_in(settings.pretrain_dir / one.folder, one)]


def parts(engine: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """(folder that is loaded, settings with which it speaks as the model in `folder`): a LoRA is its base and itself,
    so that the LoRAs of one base need its memory once. Raises BadInput, ModelFileError (the base is not here)."""
    named = engine_entry(engine).parts
    found: tuple[Path, dict[str, Any]] = _target(named)(folder) if named else (folder, {})
    return found


def load_engine(name: str, folder: Path, device: str) -> Any:
    """Load a model. Raises BadInput (no such engine), ModelFileError, Unavailable."""
    return _target(engine_entry(name).loader)(folder, device)


def _target(target: str) -> Callable[..., Any]:
    module, _, attribute = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found
