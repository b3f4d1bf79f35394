"""Which code trains what: the engines that a run can be of. Targets are named, not imported: this file is light."""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.checks import Check
from core.errors import BadInput
from core.settings import Settings
from core.training.options import RunOptions, checked
from core.training.runs import RunInfo, open_run

if TYPE_CHECKING:
    from core.jobs.context import JobContext

DEFAULT = "sovits"


@dataclass(frozen=True)
class TrainEngine:
    """One kind of run. The strings are "package.module:name".

    Attributes:
        options: a subclass of RunOptions whose `engine` is this engine's name.
        run: (params, ctx) -> the job's result; begins with `core.training.session.begin`.
        preflight: (settings, options) -> list[Check]; changes nothing, loads nothing heavy.
        code: folders of the repository that its weights depend on, beside those that every run's do.
        export: (generation, config file, folder) -> files written, in the form of the program that the engine comes
            from; empty: there is none.
        export_presets: those that the program knows.
        config: (path) -> options of a run, from a config file of that program; empty: none is understood.
    """

    options: str
    run: str
    preflight: str
    code: tuple[str, ...]
    export: str = ""
    export_presets: tuple[str, ...] = ()
    trial: str = ""
    config: str = ""


ENGINES: dict[str, TrainEngine] = {
    "sovits": TrainEngine(
        options="core.training.options:TrainOptions",
        run="core.engines.sovits.train:run_train",
        preflight="core.engines.sovits.preflight:preflight",
        code=("core/engines/sovits", "core/nn", "core/features"),
        export="core.engines.sovits.export:export_upstream",
        export_presets=("standard", "tiny"),
        trial="core.engines.sovits.preflight:tried",
    ),
    "voxcpm": TrainEngine(
        options="core.engines.voxcpm.train_options:VoxTrainOptions",
        run="core.engines.voxcpm.train:run_train",
        preflight="core.engines.voxcpm.train_preflight:preflight",
        code=("core/engines/voxcpm", "core/speech"),
        config="core.engines.voxcpm.train_options:params_of_yaml",
        export="core.engines.voxcpm.export:export_checkpoint",
        export_presets=("full", "lora"),
    ),
    "sovits-diffusion": TrainEngine(
        options="core.engines.sovits.kmeans_options:DiffusionOptions",
        run="core.engines.sovits.diffusion_train:run_train",
        preflight="core.engines.sovits.kmeans_preflight:preflight",
        code=("core/engines/sovits", "core/nn", "core/features"),
    ),
    "sovits-kmeans": TrainEngine(
        options="core.engines.sovits.kmeans_options:KmeansOptions",
        run="core.engines.sovits.kmeans_train:run_kmeans",
        preflight="core.engines.sovits.kmeans_preflight:preflight",
        code=("core/engines/sovits", "core/features"),
    ),
    "sovits-index": TrainEngine(
        options="core.engines.sovits.kmeans_options:IndexOptions",
        run="core.engines.sovits.kmeans_train:run_index",
        preflight="core.engines.sovits.kmeans_preflight:preflight",
        code=("core/engines/sovits", "core/features"),
    ),
    "vocoder": TrainEngine(
        options="core.engines.sovits.vocoder_options:VocoderOptions",
        run="core.engines.sovits.vocoder_train:run_train",
        preflight="core.engines.sovits.vocoder_preflight:preflight",
        code=("core/engines/sovits", "core/nn", "core/features"),
    ),
}


def find(name: str) -> TrainEngine:
    """The engine of that name. Raises BadInput."""
    if name not in ENGINES:
        raise BadInput(f"There is no engine {name!r} to train.", f"Use one of {', '.join(ENGINES)}.", where="engine")
    return ENGINES[name]


def _resolve(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def options_class(name: str) -> type[RunOptions]:
    """The options of an engine's runs. Raises BadInput for an unknown engine."""
    model: type[RunOptions] = _resolve(find(name).options)
    return model


def params_of_config(name: str, path: str) -> dict[str, Any]:
    """Options of a run from a config file of the program that an engine comes from. Raises BadInput."""
    target = find(name).config
    if not target:
        raise BadInput(f"The engine {name!r} takes no config file.", "Leave it out.", where="config")
    params: dict[str, Any] = _resolve(target)(path)
    return params


def options_of(params: dict[str, Any]) -> RunOptions:
    """A job's parameters as the options of their engine (`engine`; without one so-vits-svc). Raises BadInput."""
    return checked(options_class(str(params.get("engine") or DEFAULT)), params)


def engine_of(info: RunInfo) -> str:
    """The engine of a run; runs older than the field are so-vits-svc."""
    return str(info.options.get("engine") or DEFAULT)


def exporter_of(info: RunInfo) -> Any:
    """What writes a run's checkpoints for the program that its engine comes from (see `TrainEngine.export`), or None.
    Calling it imports the engine; asking for it does not."""
    engine = ENGINES.get(engine_of(info))
    if engine is None or not engine.export or info.preset not in engine.export_presets:
        return None
    return lambda *args: _resolve(engine.export)(*args)


def preflight(settings: Settings, options: RunOptions) -> list[Check]:
    """Every check for a run with these options; nothing is changed. Raises NotFound for a run to resume."""
    from core.training import preflight as common

    engine = engine_of(open_run(settings.runs, options.resume).read()) if options.resume else options.engine
    checks: list[Check] = _resolve(find(engine).preflight)(settings, options)
    if options.cluster:
        here = [check for check in checks if check.name not in common.OF_THIS_MACHINE]
        return [*here, common.cluster(settings, options)]
    return [*checks, *common.together(settings, options)]


def run_trial(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """The job "trial": a few steps with these options, to know what memory they take.

    Args:
        params: options of the run to come.

    Returns:
        {"check": the line of the pre-flight}.

    Raises:
        BadInput: options that are not, or an engine that has no trial.
    """
    options = options_of(params)
    trial = find(options.engine).trial
    if not trial:
        raise BadInput(f"Runs of {options.engine!r} cannot be tried beforehand.", "Start the run.", where="engine")
    ctx.progress(0.1, "a few steps")
    check: Check = _resolve(trial)(ctx.settings, options)
    return {"check": check.to_dict()}


def run_train(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """The job "train": a run of any engine, by one process, several, or a cluster. With "resume" it is that
    run's engine.

    Raises:
        StudioError: what is wrong and what to do; a run that had begun then says so itself.
    """
    wanted = params.get("resume")
    engine = engine_of(open_run(ctx.settings.runs, str(wanted)).read()) if wanted else params.get("engine") or DEFAULT
    from core.training import cluster, ranks

    if not ranks.joined():
        model = options_class(str(engine))
        stored = open_run(ctx.settings.runs, str(wanted)).read().options if wanted else {}
        options = checked(model, {**stored, **{name: value for name, value in params.items() if value is not None}})
        if options.cluster and not cluster.inside():
            return cluster.train(params, ctx, model)
        if ranks.count(options) > 1:
            return ranks.train(params, ctx, model)
    result: dict[str, Any] = _resolve(find(str(engine)).run)(params, ctx)
    return result
