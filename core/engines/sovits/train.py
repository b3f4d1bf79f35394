"""The training job: from a voice's accepted clips to an exported voice model."""

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from core import device as devices
from core.engines.sovits import export, material
from core.engines.sovits.config import SovitsConfig, load_config, save_config
from core.engines.sovits.dataset import TrainingSet, align_mode
from core.engines.sovits.presets import preset
from core.engines.sovits.probe import Probes
from core.engines.sovits.recipe import Recipe
from core.engines.sovits.recipes import create_recipe
from core.engines.sovits.trainer import Fit, Trainer
from core.engines.sovits.verify import verify_in_fresh_process
from core.errors import BadInput, Conflict
from core.training import light, parallel, random_state, reproduce
from core.training.alive import host
from core.training.measures import Measures
from core.training.metrics import MetricsLog
from core.training.options import TrainOptions
from core.training.parallel import Ranks
from core.training.runs import Run, RunInfo
from core.training.session import begin, guarded

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.jobs.context import JobContext

log = logging.getLogger(__name__)


def run_train(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Train a voice, or go on with a run.

    Under torchrun every process calls this with the same arguments; the first one writes and reports.

    Args:
        params: fields of `TrainOptions`. With "resume" only those of `may_change` count beside it.
        ctx: settings, progress and the wish to stop.

    Returns:
        {"run", "step", "steps", "model": folder of the exported voice, "stopped": bool, "probe": figures of a render};
        model and probe are None for a run that was stopped before its first step, and on all ranks but the first.

    Raises:
        StudioError: what is wrong and what to do; run.json then holds state "failed" and the same words.
    """
    where = parallel.local_device(devices.pick(ctx.settings.device))
    ranks = parallel.join(torch.device(where))
    if not ranks.first:
        run, info, options = ranks.share(None)
        return _train(run, info, options, ctx, where, ranks)
    run, info, options = begin(params, ctx.settings, TrainOptions)
    ranks.share((run, info, options))
    with guarded(run, info):
        return _train(run, info, options, ctx, where, ranks)


def _train(
    run: Run, info: RunInfo, options: TrainOptions, ctx: "JobContext", where: str, ranks: Ranks
) -> dict[str, Any]:
    settings = ctx.settings
    threads = devices.threads(settings.threads)
    torch.set_num_threads(threads)
    random_state.seed_everything(options.seed)
    from core.dataset.voices import VoiceStore

    voice = VoiceStore(settings.voices_dir).get(options.voice)
    ctx.progress(0.0, "features")
    if not ranks.first:
        ranks.wait()  # the first rank makes what the others then find
    data, encoder_dim = _material(voice, options, info, where, ctx)
    if ranks.first:
        _note_data(run, info, data)
        ranks.wait()
    config = _config_of(run, options, encoder_dim)
    random_state.seed_everything(options.seed)  # features draw nothing that may show in the weights
    recipe = create_recipe(config, options)
    if options.init_from:
        _start_from(recipe, Path(options.init_from))
    torch_device = torch.device(where)
    _fast_maths(torch_device, options, recipe)
    batch_size = (options.batch_size or recipe.base_batch_size) * options.accumulate * ranks.count
    mode = align_mode(config)
    dataset = TrainingSet(data.train, recipe.segments(), batch_size, options.seed, mode)
    recordings = [example.audio for example in data.train]
    measures = Measures(voice, recordings, options.pitch, where, settings) if options.measures else None
    probes = Probes(recipe, data.held_out[: options.probes], mode, torch_device, run.path / "probes", measures)
    about = {"config_sha256": _sha256(run.config_file), "data_hash": data.data_hash, "versions": info.versions}
    card = _card(run, info, data)

    def listen(step: int) -> Path:
        now = {**card, "step": step, "created": time.time()}
        return light.save_light(run.path / light.FOLDER, step, recipe.light_tensors(), run.config_file, now)

    trainer = Trainer(run, info, recipe, dataset, options, torch_device, about, probes, listen, ranks)
    resumed = trainer.restore()
    here = {"device": devices.info(where).name, "threads": threads, "ranks": ranks.count}
    if ranks.first:
        reproduce.write_manifest(run, info, options, {**here, "precision": trainer.precision})
        _note_session(run, info, trainer.step, resumed, here)
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
    fit = _fit(trainer, resumed, ctx)
    if not ranks.first:
        return {"run": run.name, "step": fit.step, "steps": info.steps, "model": None, "stopped": fit.stopped}
    last = {**card, "step": info.step, "created": time.time(), "probe_mel_distance": info.best_value}
    return _finish(run, info, recipe, data, voice.models / run.name, fit.stopped, last, probes.last)


def _fit(trainer: Trainer, resumed: bool, ctx: "JobContext") -> Fit:
    if not trainer.ranks.first:
        return trainer.fit(ctx, None)
    with MetricsLog(trainer.run.path, purge_step=trainer.step + 1 if resumed else None) as metrics:
        if not resumed:
            metrics.text(0, "options", "```json\n" + json.dumps(trainer.info.options, indent=1) + "\n```")
        return trainer.fit(ctx.sub(0.1, 0.98), metrics)


def _material(
    voice: "Voice", options: TrainOptions, info: RunInfo, where: str, ctx: "JobContext"
) -> tuple[material.Material, int]:
    """The clips with their features, and the encoder's dimension."""
    from core.features import encoders

    encoder = encoders.create(options.encoder, where, ctx.settings)
    if info.encoder_fingerprint and info.encoder_fingerprint != encoder.fingerprint:
        raise Conflict(
            f"The run was trained with another version of the encoder '{options.encoder}'.",
            "Put back the encoder's files of that time, or start a new run.",
            where=info.name,
        )
    info.encoder_fingerprint = encoder.fingerprint
    cache = ctx.settings.cache_dir / "features"
    return material.gather(voice, options, encoder, cache, where, ctx.sub(0.0, 0.1)), encoder.dim


def _note_session(run: Run, info: RunInfo, step: int, resumed: bool, here: dict[str, Any]) -> None:
    if not resumed and info.sessions:
        info.notes.append("Nothing had been saved when the run ended: it starts from its first step again.")
    info.sessions.append({"at": time.time(), "from_step": step, "host": host(), **here})
    info.state = "running"
    run.write(info)


def _finish(
    run: Run,
    info: RunInfo,
    recipe: Recipe,
    data: material.Material,
    folder: Path,
    stopped: bool,
    card: dict[str, Any],
    figures: dict[str, float],
) -> dict[str, Any]:
    """Export what there is. "completed" only after a fresh process has loaded it strictly and rendered a probe.

    A stopped run claims nothing, and a person waits for it to end: its voice is exported without that check.
    """
    probe: dict[str, Any] = dict(figures)

    def check(fresh: Path) -> None:
        probe.update(verify_in_fresh_process(fresh, data.held_out[0]))

    if info.step > 0:
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
        "encoder": info.encoder,
        "encoder_fingerprint": info.encoder_fingerprint,
        "pitch": info.pitch,
        **material.f0_summary(data.train),
        "minutes": round(data.minutes, 2),
        "clips": len(data.train),
        "versions": info.versions,
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
    before = info.manifest.get("data_hash")
    if run.data_file.is_file():
        before = json.loads(run.data_file.read_text(encoding="utf-8")).get("data_hash")
    if before is not None and before != data.data_hash:
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
