"""The training job: from a voice's accepted clips to an exported voice model."""

import contextlib
import hashlib
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from core import __version__
from core import device as devices
from core.engines.sovits import export, material
from core.engines.sovits.config import SovitsConfig, load_config, save_config
from core.engines.sovits.dataset import TrainingSet, align_mode
from core.engines.sovits.presets import preset
from core.engines.sovits.probe import Probes
from core.engines.sovits.recipe import Recipe
from core.engines.sovits.recipes import create_recipe
from core.engines.sovits.trainer import Trainer
from core.engines.sovits.verify import verify_in_fresh_process
from core.errors import BadInput, Cancelled, Conflict, NoSpace, StudioError
from core.training import random_state
from core.training.metrics import MetricsLog
from core.training.options import TrainOptions, parse_options
from core.training.runs import Run, RunInfo, create_run, open_run, own_process, process_alive

if TYPE_CHECKING:
    from core.jobs.context import JobContext

log = logging.getLogger(__name__)


def run_train(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Train a voice, or go on with a run.

    Args:
        params: fields of `TrainOptions`. With "resume" only "steps" counts beside it.
        ctx: settings, progress and the wish to stop.

    Returns:
        {"run", "step", "steps", "model": folder of the exported voice, "stopped": bool, "probe": figures of a render};
        model and probe are None for a run that was stopped before its first step.

    Raises:
        StudioError: what is wrong and what to do; run.json then holds state "failed" and the same words.
    """
    run, info, options = _open_or_create(params, ctx)
    try:
        return _train(run, info, options, ctx)
    except Cancelled:
        info.state, info.error = "stopped", None
        raise
    except BaseException as err:  # recorded at the job's boundary, then handed on
        info.state = "failed"
        info.error = (
            err.to_dict() if isinstance(err, StudioError) else {"code": "error", "message": repr(err), "hint": ""}
        )
        raise
    finally:
        info.pid = info.pid_started = None
        # On a full disk the error above says it all; this must not take its place.
        with contextlib.suppress(NoSpace):
            run.write(info)


def _open_or_create(params: dict[str, Any], ctx: "JobContext") -> tuple[Run, RunInfo, TrainOptions]:
    settings = ctx.settings
    wanted = params.get("resume")
    if not wanted:
        options = parse_options(params)
        from core.dataset.voices import VoiceStore

        VoiceStore(settings.voices_dir).get(options.voice)  # before a folder is made for a voice that is not there
        run = create_run(settings.runs, options.name, options.voice, options.preset)
        info = RunInfo(
            run.name,
            options.voice,
            options.preset,
            options.encoder,
            steps=options.steps,
            pitch=options.pitch,
            started_at=time.time(),
            options=options.model_dump(),
        )
    else:
        run = open_run(settings.runs, str(wanted))
        info = run.read()
        if info.state in ("preparing", "running") and process_alive(info.pid, info.pid_started):
            raise Conflict(f"The run '{run.name}' is going on already (process {info.pid}).", "Stop it first.")
        changes = {"steps": params["steps"]} if params.get("steps") else {}
        options = parse_options({**info.options, **changes, "resume": None})
        info.options, info.steps, info.error = options.model_dump(), options.steps, None
    info.state = "preparing"
    info.pid, info.pid_started = own_process()
    info.versions = _versions()
    run.write(info)
    return run, info, options


def _train(run: Run, info: RunInfo, options: TrainOptions, ctx: "JobContext") -> dict[str, Any]:
    settings = ctx.settings
    where = devices.pick(settings.device)
    torch.set_num_threads(devices.threads(settings.threads))
    random_state.seed_everything(options.seed)
    from core.dataset.voices import VoiceStore
    from core.features import encoders

    voice = VoiceStore(settings.voices_dir).get(options.voice)
    ctx.progress(0.0, "features")
    encoder = encoders.create(options.encoder, where, settings)
    if info.encoder_fingerprint and info.encoder_fingerprint != encoder.fingerprint:
        raise Conflict(
            f"The run was trained with another version of the encoder '{options.encoder}'.",
            "Put back the encoder's files of that time, or start a new run.",
            where=run.name,
        )
    info.encoder_fingerprint = encoder.fingerprint
    data = material.gather(voice, options, encoder, settings.cache_dir / "features", where, ctx.sub(0.0, 0.1))
    _note_data(run, info, data)
    config = _config_of(run, options, encoder.dim)
    del encoder

    random_state.seed_everything(options.seed)  # features draw nothing that may show in the weights
    recipe = create_recipe(config, options)
    if options.init_from:
        _start_from(recipe, Path(options.init_from))
    torch_device = torch.device(where)
    _fast_maths(torch_device, options, recipe)
    dataset = TrainingSet(
        data.train,
        recipe.segments(),
        options.batch_size or recipe.base_batch_size,
        options.seed,
        align_mode(config),
    )
    probes = Probes(recipe, data.held_out[: options.probes], align_mode(config), torch_device)
    about = {"config_sha256": _sha256(run.config_file), "data_hash": data.data_hash, "versions": info.versions}
    trainer = Trainer(run, info, recipe, dataset, options, torch_device, about, probes)
    resumed = trainer.restore()
    info.state = "running"
    run.write(info)
    log.info(
        "run %s: %d clips (%.1f min), %d steps an epoch, %s on %s, from step %d",
        run.name,
        len(data.train),
        data.minutes,
        dataset.steps_per_epoch,
        trainer.precision,
        where,
        trainer.step,
    )
    with MetricsLog(run.path, purge_step=trainer.step + 1 if resumed else None) as metrics:
        if not resumed:
            metrics.text(0, "options", "```json\n" + json.dumps(info.options, indent=1) + "\n```")
        fit = trainer.fit(ctx.sub(0.1, 0.98), metrics)
    return _finish(run, info, recipe, data, voice.models / run.name, fit.stopped, probes.last)


def _finish(
    run: Run,
    info: RunInfo,
    recipe: Recipe,
    data: material.Material,
    folder: Path,
    stopped: bool,
    figures: dict[str, float],
) -> dict[str, Any]:
    """Export what there is. "completed" only after a fresh process has loaded it strictly and rendered a probe.

    A stopped run claims nothing, and a person waits for it to end: its voice is exported without that check.
    """
    probe: dict[str, Any] = dict(figures)

    def check(fresh: Path) -> None:
        probe.update(verify_in_fresh_process(fresh, data.held_out[0]))

    if info.step > 0:
        card = _card(run, info, data)
        export.export_model(folder, recipe.generator, run.config_file, card, None if stopped else check)
        info.model = str(folder)
    info.state = "stopped" if stopped else "completed"
    return {
        "run": run.name,
        "step": info.step,
        "steps": info.steps,
        "model": info.model,
        "stopped": stopped,
        "probe": probe or None,
    }


def _card(run: Run, info: RunInfo, data: material.Material) -> dict[str, Any]:
    return {
        "voice": info.voice,
        "run": run.name,
        "preset": info.preset,
        "step": info.step,
        "encoder": info.encoder,
        "encoder_fingerprint": info.encoder_fingerprint,
        "pitch": info.pitch,
        **material.f0_summary(data.train),
        "minutes": round(data.minutes, 2),
        "clips": len(data.train),
        "created": time.time(),
        "versions": info.versions,
        "probe_mel_distance": info.best_value,
        "engine": "sovits",
    }


def _config_of(run: Run, options: TrainOptions, encoder_dim: int) -> SovitsConfig:
    """The run's config.json, made on the first start and read on every later one."""
    if run.config_file.is_file():
        config = load_config(run.config_file)
        if config.model.ssl_dim != encoder_dim:
            raise Conflict(
                f"The run expects units of {config.model.ssl_dim} values, the encoder gives {encoder_dim}.",
                "Use the encoder that the run was started with.",
                where=run.name,
            )
        return config
    config = preset(options.preset, encoder=options.encoder, encoder_dim=encoder_dim, speakers=[options.voice])
    save_config(config, run.config_file)
    return config


def _start_from(recipe: Recipe, path: Path) -> None:
    from core.models.safe_load import load_tensors, strict_load

    if not path.is_file():
        raise BadInput(
            f"There is no file {path} to start from.", "Choose a model.safetensors or G_*.pth.", where=str(path)
        )
    strict_load(recipe.generator, load_tensors(path), str(path))


def _note_data(run: Run, info: RunInfo, data: material.Material) -> None:
    if run.data_file.is_file():
        before = json.loads(run.data_file.read_text(encoding="utf-8")).get("data_hash")
        if before != data.data_hash:
            note = f"The clips changed before step {info.step}: the run went on with {len(data.train)} clips."
            if note not in info.notes:
                info.notes.append(note)
    material.write_data_file(run.data_file, data)
    info.notes += [note for note in data.notes if note not in info.notes]


def _fast_maths(device: torch.device, options: TrainOptions, recipe: Recipe) -> None:
    if device.type != "cuda":
        return
    if options.precision != "fp32":
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
    # Trying algorithms pays only where shapes repeat.
    torch.backends.cudnn.benchmark = recipe.segments().fixed


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "studio": __version__,
    }
