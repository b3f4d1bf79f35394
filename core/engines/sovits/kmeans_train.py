"""The runs that make k-means centres and retrieval indexes: files beside a voice model, by which a conversion's content
is drawn towards the voice.

An index is the units of all accepted clips themselves; where they are too many, 10000 centres stand in for them. Both
files are safetensors, float tables under the speaker's name or id.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from core.engines.sovits import material
from core.engines.sovits.import_voice import INDEX_FILE, KMEANS_FILE
from core.engines.sovits.kmeans_bank import Centres, clusters_for
from core.engines.sovits.kmeans_options import BesideOptions, IndexOptions, KmeansOptions
from core.engines.sovits.kmeans_target import Target, find_target
from core.errors import Conflict, ModelFileError
from core.features import cache
from core.training import generations, job, reproduce
from core.training.job import Session
from core.training.loop import Fit
from core.training.metrics import MetricsLog
from core.training.options import TrainOptions
from core.training.saving import patiently

if TYPE_CHECKING:
    from core.jobs.context import JobContext


def run_kmeans(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Find centres, or go on with it: `core.training.job.train` with `KmeansOptions`."""
    return job.train(params, ctx, KmeansOptions, _kmeans)


def run_index(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Collect units: `core.training.job.train` with `IndexOptions`."""
    return job.train(params, ctx, IndexOptions, _index)


def gather(session: Session[Any]) -> tuple[Target, material.Material]:
    """The model that the run is for, and the voice's clips with their features; the run's config.json and data.json.

    Raises Conflict where the encoder here is not the one that the model was trained with.
    """
    from core.dataset.voices import VoiceStore
    from core.features import encoders

    options = cast(BesideOptions, session.options)
    settings, info, run = session.ctx.settings, session.info, session.run
    target = find_target(settings, options.voice, options.model)
    encoder = encoders.create(target.encoder, str(session.device), settings)
    trained_with = target.card.get("encoder_fingerprint") or info.encoder_fingerprint
    if trained_with and trained_with != encoder.fingerprint:
        raise Conflict(
            f"The model '{target.folder.name}' was trained with another version of the encoder '{target.encoder}'.",
            "Put back the encoder's files of that time, or train the voice again.",
            where=str(target.folder),
        )
    info.encoder, info.pitch, info.encoder_fingerprint = target.encoder, target.pitch, encoder.fingerprint
    wanted = TrainOptions(
        voice=options.voice,
        encoder=target.encoder,
        pitch=target.pitch,
        probes=options.probes,
        holdout=options.holdout,
    )
    voice = VoiceStore(settings.voices_dir).get(options.voice)
    folder = settings.cache_dir / "features"
    data = material.gather(voice, wanted, encoder, folder, str(session.device), session.preparing)
    if session.ranks.first:
        session.note_data(data.data_hash, f"{len(data.train)} clips")
        material.write_data_file(run.data_file, data)
        if not run.config_file.is_file():
            run.config_file.write_bytes((target.folder / "config.json").read_bytes())
        info.notes += [note for note in data.notes if note not in info.notes]
    return target, data


def all_units(data: material.Material) -> Tensor:
    """Units [N, C] of all clips, half precision as the cache has them. Held-out clips are part of it: nothing is
    fitted to them that could be overheard."""
    seen = {example.features: example for example in [*data.train, *data.held_out]}
    return torch.cat([cache.load(path).units.half() for path in seen])


def _kmeans(session: Session[KmeansOptions]) -> dict[str, Any]:
    with session.first_before_others():
        target, data = gather(session)
    if not session.ranks.first:
        return session.finish(Fit(0, False), _nothing)
    units = all_units(data)
    centres, fit = _find(session, units, clusters_for(units.shape[0], session.options.clusters), data.data_hash)
    name, _ = target.speaker

    def give(_verify: bool) -> tuple[Path, dict[str, Any]]:
        return _write(target, KMEANS_FILE, name, centres.centres, units)

    return session.finish(fit, give)


def _index(session: Session[IndexOptions]) -> dict[str, Any]:
    with session.first_before_others():
        target, data = gather(session)
    if not session.ranks.first:
        return session.finish(Fit(0, False), _nothing)
    units = all_units(data)
    bank = units
    if units.shape[0] > session.options.most:
        centres, fit = _find(session, units, clusters_for(units.shape[0], 0), data.data_hash)
        bank = centres.centres
    else:
        _note_start(session, 0)
        session.info.step = session.info.steps = 1
        fit = Fit(1, False)
    _, row = target.speaker

    def give(_verify: bool) -> tuple[Path, dict[str, Any]]:
        return _write(target, INDEX_FILE, str(row), bank, units)

    return session.finish(fit, give)


def _nothing(_verify: bool) -> tuple[Path, dict[str, Any]]:
    raise AssertionError("only the first rank writes")


def _note_start(session: Session[Any], step: int) -> None:
    """The papers of a run: its manifest, and this start."""
    here = {"device": "cpu", "threads": session.threads, "ranks": 1}
    reproduce.write_manifest(session.run, session.info, session.options, {**here, "precision": "fp32"})
    session.info.sessions.append({"at": time.time(), "from_step": step, **here})
    session.info.state = "running"
    session.run.write(session.info)


def _find(session: Session[Any], units: Tensor, count: int, data_hash: str) -> tuple[Centres, Fit]:
    """Centres of the units, going on from the last checkpoint; saved now and then, and where a stop is asked for."""
    run, info, options, ctx = session.run, session.info, session.options, session.ctx
    found, notes = generations.load_newest(run.checkpoints)
    info.notes += notes
    step = found.step if found is not None else 0
    if found is not None:
        centres = Centres(found.tensors["kmeans"]["centres"], found.tensors["kmeans"]["seen"])
    else:
        centres = Centres.start(units, count, options.seed)
    _note_start(session, step)
    about = session.about(data_hash)

    def save() -> None:
        tensors = {"kmeans": {"centres": centres.centres, "seen": centres.seen}}
        generations.save_generation(run.checkpoints, step, tensors, {"step": step}, about)
        info.step = info.saved_step = step
        run.write(info)
        generations.prune(run.checkpoints, options.keep)

    stopped = False
    began = time.monotonic()
    with MetricsLog(run.path, purge_step=step + 1 if found is not None else None) as metrics:
        while step < options.steps and not (stopped := ctx.cancel_requested):
            loss = centres.step(units, step, options.seed)
            step += 1
            if step % options.log_every_steps == 0 or step in (1, options.steps):
                metrics.scalars(step, {"loss/total": loss, "clusters": float(count)}, time.time())
                told = f"step {step}/{options.steps} · {count} centres of {units.shape[0]} units · distance {loss:.3f}"
                ctx.report(job.PREPARED + (job.TRAINED - job.PREPARED) * step / options.steps, told)
            if step % options.save_every_steps == 0 and step < options.steps:
                stopped = not patiently(save, run, info, ctx)
    info.trained_s += time.monotonic() - began
    if step > 0 and info.saved_step != step:
        patiently(save, run, info, ctx)
    info.step = step
    return centres, Fit(step, stopped)


def _write(target: Target, file: str, name: str, bank: Tensor, units: Tensor) -> tuple[Path, dict[str, Any]]:
    """Put the table beside the model once it reads back, is of numbers, and draws a second of the voice's units.

    Raises ModelFileError; the file that was there stays then.
    """
    from core import atomic
    from core.engines.sovits.convert_blend import Blend, load_bank
    from core.training.generations import save_tensors

    with atomic.file(target.folder / file) as temporary:
        save_tensors(temporary, {name: bank}, {"format": "pt"})
        read = load_bank(temporary, *target.speaker, target.config.model.ssl_dim)
        some = units[:: max(1, units.shape[0] // 50)].float()
        drawn = Blend(read, 0.5, "kmeans" if file == KMEANS_FILE else "retrieval")(some)
        if not bool(torch.isfinite(drawn).all()):
            raise ModelFileError("What was made draws units to values that are not numbers.", "Check the clips.")
    nearness = float((drawn - some).square().sum(dim=1).mean())
    return target.folder, {"entries": float(bank.shape[0]), "moved": round(nearness, 6)}
