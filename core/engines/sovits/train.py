"""The training job of so-vits-svc: from a voice's accepted clips to an exported voice model."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.engines.sovits import export, material
from core.engines.sovits.config import SovitsConfig, load_config, save_config
from core.engines.sovits.dataset import TrainingSet, align_mode
from core.engines.sovits.import_base import start_from
from core.engines.sovits.learner import VoiceLearner
from core.engines.sovits.presets import preset
from core.engines.sovits.probe import Probes
from core.engines.sovits.recipes import create_recipe
from core.engines.sovits.verify import verify_in_fresh_process
from core.errors import Conflict
from core.training import job, light, random_state
from core.training.descent import fast_maths
from core.training.job import Session
from core.training.loop import Loop
from core.training.measures import Measures
from core.training.options import TrainOptions
from core.training.runs import Run, RunInfo

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.jobs.context import JobContext


def run_train(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Train a voice, or go on with a run: `core.training.job.train` with `TrainOptions`."""
    return job.train(params, ctx, TrainOptions, _train)


def _train(session: Session[TrainOptions]) -> dict[str, Any]:
    run, info, options, settings = session.run, session.info, session.options, session.ctx.settings
    where = str(session.device)
    from core.dataset.voices import VoiceStore

    voice = VoiceStore(settings.voices_dir).get(options.voice)
    session.ctx.progress(0.0, "features")
    with session.first_before_others():
        data, config = _material(session, voice)
    random_state.seed_everything(options.seed)  # features draw nothing that may show in the weights
    recipe = create_recipe(config, options)
    note = start_from(recipe, config, options, settings) if not info.saved_step else ""
    if note and note not in info.notes:
        info.notes.append(note)
    fast_maths(session.device, options.precision, recipe.segments().fixed)
    mode = align_mode(config)
    batch_size = session.global_batch(options.batch_size or recipe.base_batch_size)
    batches = TrainingSet(data.train, recipe.segments(), batch_size, options.seed, mode)
    recordings = [example.audio for example in data.train]
    measures = Measures(voice, recordings, options.pitch, where, settings) if options.measures else None
    probes = Probes(recipe, data.held_out[: options.probes], mode, session.device, run.path / "probes", measures)
    card = _card(run, info, data)

    def now(step: int) -> dict[str, Any]:
        return {**card, "step": step, "created": time.time()}

    def listen(step: int) -> Path:
        return light.save_light(run.path / light.FOLDER, step, recipe.light_tensors(), run.config_file, now(step))

    loop = Loop(
        *(run, info, VoiceLearner(recipe, options.seed), batches, options, session.device),
        about=session.about(data.data_hash),
        probe=probes,
        listen=listen,
        ranks=session.ranks,
    )
    fit = session.fit(loop)

    def give(verify: bool) -> tuple[Path, dict[str, Any]]:
        figures: dict[str, Any] = dict(probes.last)

        def check(fresh: Path) -> None:
            figures.update(verify_in_fresh_process(fresh, data.held_out[0]))

        last = {**now(info.step), "probe_mel_distance": info.best_value}
        folder = voice.models / run.name
        export.export_model(folder, recipe.generator, run.config_file, last, check if verify else None)
        return folder, figures

    return session.finish(fit, give)


def _material(session: Session[TrainOptions], voice: "Voice") -> tuple[material.Material, SovitsConfig]:
    """The clips with their features and the model's configuration; config.json and data.json of the run."""
    from core.features import encoders

    run, info, options, settings = session.run, session.info, session.options, session.ctx.settings
    encoder = encoders.create(options.encoder, str(session.device), settings)
    if info.encoder_fingerprint and info.encoder_fingerprint != encoder.fingerprint:
        raise Conflict(
            f"The run was trained with another version of the encoder '{options.encoder}'.",
            "Put back the encoder's files of that time, or start a new run.",
            where=info.name,
        )
    info.encoder_fingerprint = encoder.fingerprint
    cache = settings.cache_dir / "features"
    data = material.gather(voice, options, encoder, cache, str(session.device), session.preparing)
    if session.ranks.first:
        session.note_data(data.data_hash, f"{len(data.train)} clips")
        material.write_data_file(run.data_file, data)
        info.notes += [note for note in data.notes if note not in info.notes]
    return data, _config_of(run, options, encoder.dim)


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
    config = preset(
        options.preset,
        encoder=options.encoder,
        encoder_dim=encoder_dim,
        speakers=[options.voice],
        vol_embedding=options.vol_embedding,
    )
    save_config(config, run.config_file)
    return config
