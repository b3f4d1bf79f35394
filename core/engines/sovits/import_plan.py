"""Which of the found files belong together: a generator, its config, and what is used beside it.

Files that share the longest way of folders belong together, if they are made for units of one width.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from core.engines.sovits.config import SovitsConfig, load_config
from core.engines.sovits.import_config import fitted, what_is_fitted
from core.engines.sovits.import_look import Found
from core.paths import safe_name

BESIDE = ("discriminator", "diffusion", "diffusion-config", "kmeans", "index")
_NUMBERED = re.compile(r"(G|D|model)_(\d+)")
# Folders that every so-vits-svc installation has: they name no voice.
_COMMON = {"44k", "32k", "logs", "models", "trained", "checkpoints", "so-vits-svc", "pretrain", "configs", ""}


@dataclass(frozen=True)
class VoicePlan:
    """A voice model to be.

    Attributes:
        voice, model: names of the voice and of its model's folder.
        generator: the weights.
        config: that fits them.
        beside: what goes with them, by kind.
        note: what was wrong with the config and is put right; empty where nothing was.
    """

    voice: str
    model: str
    generator: Found
    config: SovitsConfig
    beside: dict[str, Found] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """What an import will do with the found files; `files` are told again, with what pairing found wrong."""

    files: list[Found]
    voices: list[VoicePlan]
    bases: list[Found]
    """G_0, D_0 and model_0: where trainings start."""


def make_plan(files: Sequence[Found], given: str, voice: str | None = None, every: bool = False) -> Plan:
    """Pair the files.

    Args:
        files: as `import_look.look` found them.
        given: the name of what was given (a folder's, an archive's): the voice's, where nothing better names it.
        voice: name of the voice for all models; None: one for each.
        every: import every checkpoint of a training, not only the newest.
    """
    bases = [one for one in files if one.usable and _is_base(one)]
    generators = _chosen([one for one in files if one.kind == "generator" and one.usable and one not in bases], every)
    configs = [one for one in files if one.kind == "config" and one.usable]
    told = {one.name: one for one in files}
    plans: list[VoicePlan] = []
    for generator in generators:
        raw = _config_for(generator, configs)
        shapes = generator.facts["shapes"]
        config = fitted(raw, shapes)
        problem, fix = what_is_fitted(raw, shapes)
        told[generator.name] = replace(generator, problem=problem, fix=fix)
        name = voice or _voice_name(generator, config, given)
        plans.append(VoicePlan(name, safe_name(generator.path.stem, "model"), generator, config, {}, problem))
    for one in files:
        if one.kind in BESIDE and one.usable and one not in bases:
            told[one.name] = _attach(one, plans)
    return Plan([told[one.name] for one in files], plans, bases)


def _is_base(one: Found) -> bool:
    numbered = _NUMBERED.match(one.path.stem)
    return one.kind in ("generator", "discriminator", "diffusion") and numbered is not None and int(numbered[2]) == 0


def _chosen(generators: list[Found], every: bool) -> list[Found]:
    """The newest checkpoint of each folder, and whatever is not one of a series."""
    series: dict[PurePosixPath, Found] = {}
    single = []
    for one in generators:
        if every or not _NUMBERED.fullmatch(one.path.stem):
            single.append(one)
        elif one.folder not in series or one.facts["step"] > series[one.folder].facts["step"]:
            series[one.folder] = one
    return single + list(series.values())


def _shared(one: Found, other: Found) -> int:
    """How many folders lead to both."""
    count = 0
    for a, b in zip(one.folder.parts, other.folder.parts, strict=False):
        if a != b:
            break
        count += 1
    return count


def _config_for(generator: Found, configs: list[Found]) -> SovitsConfig | None:
    """The config that lies nearest; of several as near the one that fits, then the one called config.json."""
    loaded = {one.name: load_config(one.path) for one in configs}

    def rank(one: Found) -> tuple[bool, int, bool, bool]:
        fits = what_is_fitted(loaded[one.name], generator.facts["shapes"])[0] == ""
        return one.folder == generator.folder, _shared(one, generator), fits, one.path.name == "config.json"

    return loaded[max(configs, key=rank).name] if configs else None


def _voice_name(generator: Found, config: SovitsConfig, given: str) -> str:
    own = generator.folder.name
    if own.lower() not in _COMMON:
        return safe_name(own)
    if len(config.spk) == 1 and not next(iter(config.spk)).startswith("speaker "):
        return safe_name(next(iter(config.spk)))
    return safe_name(Path(given).stem if Path(given).suffix.lower() == ".zip" else given, "imported")


def _attach(one: Found, plans: list[VoicePlan]) -> Found:
    """Put a file beside the models that it belongs to; says why where there is none."""
    width = one.facts.get("width")
    fitting = [plan for plan in plans if width in (None, plan.config.model.ssl_dim)]
    if not plans:
        return replace(
            one,
            problem="There is no voice model with it.",
            fix="Import it together with its G_*.pth, or put it into a voice's model folder.",
            usable=False,
        )
    if not fitting:
        return replace(
            one,
            problem=f"It is made for another content encoder: its units have {width} values, the voice model's "
            f"{plans[0].config.model.ssl_dim}.",
            fix="It is left out. Make one for this model on the page Training.",
            usable=False,
        )
    best = max(_shared(one, plan.generator) for plan in fitting)
    for plan in fitting:
        there = plan.beside.get(one.kind)
        if _shared(one, plan.generator) == best and _belongs(one, plan) and _better(one, there):
            plan.beside[one.kind] = one
    return one


def _belongs(one: Found, plan: VoicePlan) -> bool:
    """A discriminator goes only with the generator of its own step."""
    if one.kind != "discriminator":
        return True
    return one.folder == plan.generator.folder and one.facts["step"] == plan.generator.facts["step"]


def _better(one: Found, there: Found | None) -> bool:
    return there is None or one.facts.get("step", 0) >= there.facts.get("step", 0)
