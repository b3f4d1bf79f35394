"""The fine-tuning job of VoxCPM: from clips with transcripts to a model, or a LoRA, that speaks."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.engines.voxcpm import export, train_data
from core.engines.voxcpm.config_yaml import LoraSettings, write_yaml
from core.engines.voxcpm.learner import VoxLearner
from core.engines.voxcpm.loading import Network, file_dtype, read_config, weights_file
from core.engines.voxcpm.models import find_model
from core.engines.voxcpm.samples import Samples
from core.engines.voxcpm.token_batches import TokenBatches
from core.engines.voxcpm.train_data import Material
from core.engines.voxcpm.train_options import BATCH_SIZES, VoxTrainOptions, lora_settings, to_config
from core.engines.voxcpm.trainable import Trainable, checkpoint_activations, load_for_training
from core.engines.voxcpm.verify import verify_in_fresh_process
from core.errors import BadInput, Conflict
from core.speech.prompt import file_sha256
from core.training import job, light
from core.training.descent import fast_maths
from core.training.job import Session
from core.training.loop import Loop
from core.training.measures import Measures
from core.training.metrics import MetricsLog
from core.training.publish import publish

if TYPE_CHECKING:
    from core.jobs.context import JobContext

TRAIN_MANIFEST, VAL_MANIFEST = "train.jsonl", "val.jsonl"


def run_train(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Fine-tune a model, or go on with a run: `core.training.job.train` with `VoxTrainOptions`."""
    return job.train(params, ctx, VoxTrainOptions, _train)


def _train(session: Session[VoxTrainOptions]) -> dict[str, Any]:
    run, info, options, settings = session.run, session.info, session.options, session.ctx.settings
    from core.dataset.voices import VoiceStore

    voice = VoiceStore(settings.voices_dir).get(options.voice)
    base = find_model(settings, options.base, voice)
    architecture, config = read_config(base)
    lora = lora_settings(options, architecture == "voxcpm2")
    session.ctx.progress(0.0, f"Loading {base.name}")
    net = load_for_training(base, str(session.device), lora)
    _same_base(session, net, base, lora)
    _rates_agree(options, net)
    with session.first_before_others():
        data = train_data.gather(options, net, voice, settings.cache_dir / "voxcpm", session.preparing)
        if session.ranks.first:
            _write_papers(session, net, base, data)
    if options.gradient_checkpointing == "on":
        checkpoint_activations(net.model)
    fast_maths(session.device, options.precision, same_shapes=False)
    network = Trainable(net.model)
    batches = TokenBatches(
        data.train,
        size=options.batch_size or BATCH_SIZES[options.preset],
        parts=session.global_batch(1),
        max_tokens=options.max_batch_tokens,
        max_length=net.max_length,
        seed=options.seed,
    )
    recordings = [example.audio for example in data.train]
    # Without a recording of the sentence nothing compares pitch.
    measures = Measures(voice, recordings, "", str(session.device), settings) if options.measures else None
    samples = Samples(net, network, data.train, data.held_out, options, run.path, measures)
    card = _card(session, net, base, data)
    public = options.hf_model_id if options.distribute and options.hf_model_id else str(base.absolute())

    def write(build: Path, link: bool) -> None:
        now = {**card, "step": loop.step, "created": time.time(), "val_loss": info.best_value}
        if lora is None:
            export.write_full(build, base, network.state_dict(), file_dtype(config), now, link=link)
        else:
            export.write_lora(build, public, network.state_dict(), lora, now)

    def listen(step: int) -> Path:
        samples.say(step, loop.by)
        return light.sealed(run.path / light.FOLDER, step, lambda build: write(build, link=True))

    def probe(step: int, metrics: MetricsLog) -> float:
        return samples(step, metrics, loop.by)

    loop = Loop(
        *(run, info, VoxLearner(network, options), batches, options, session.device),
        about=session.about(data.data_hash),
        probe=probe,
        listen=listen,
        ranks=session.ranks,
    )
    fit = session.fit(loop)

    def give(verify: bool) -> tuple[Path, dict[str, Any]]:
        figures: dict[str, Any] = dict(samples.last)

        def check(fresh: Path) -> None:
            figures.update(verify_in_fresh_process(fresh))

        folder = publish(voice.models / run.name, lambda build: write(build, link=False), check if verify else None)
        return folder, figures

    return session.finish(fit, give)


def _same_base(session: Session[VoxTrainOptions], net: Network, base: Path, lora: LoraSettings | None) -> None:
    """Raise Conflict if a run goes on from another model than it began with: a LoRA is nothing without its weights, and
    a whole model speaks to its VAE."""
    info = session.info
    fingerprint = net.fingerprint if lora is None else f"{net.fingerprint}-{file_sha256(weights_file(base))[:16]}"
    if info.encoder_fingerprint and info.encoder_fingerprint != fingerprint:
        raise Conflict(
            f"The run was begun with another model than the one in {base}.",
            "Put back the files of that time, or start a new run.",
            where=info.name,
        )
    info.encoder_fingerprint = fingerprint


def _rates_agree(options: VoxTrainOptions, net: Network) -> None:
    for name, value, own in (
        ("sample_rate", options.sample_rate, net.encode_rate_hz),
        ("out_sample_rate", options.out_sample_rate, net.sample_rate_hz),
    ):
        if value not in (0, own):
            raise BadInput(
                f"{name} is {value}, this model's is {own}.",
                f"Set {name} to {own} (the clips may have any rate).",
                where=name,
            )


def _write_papers(session: Session[VoxTrainOptions], net: Network, base: Path, data: Material) -> None:
    """config.json, data.json, and the run as the package's script takes it."""
    run, info = session.run, session.info
    session.note_data(data.data_hash, f"{len(data.train)} clips")
    train_data.write_data_file(run.data_file, data)
    if not run.config_file.is_file():
        atomic.write_bytes(run.config_file, (base / export.CONFIG).read_bytes())
    train_data.write_manifest(run.path / TRAIN_MANIFEST, data.train)
    train_data.write_manifest(run.path / VAL_MANIFEST, data.held_out)
    paths = {
        "train_manifest": str(run.path.absolute() / TRAIN_MANIFEST),
        "val_manifest": str(run.path.absolute() / VAL_MANIFEST),
        "save_path": str(run.path.absolute() / "script"),
    }
    rates = net.encode_rate_hz, net.sample_rate_hz
    write_yaml(run.path / export.YAML, to_config(session.options, base.absolute(), rates, net.is_v2, **paths))
    info.notes += [note for note in train_data.left_out_notes(data.left_out) + data.notes if note not in info.notes]


def _card(session: Session[VoxTrainOptions], net: Network, base: Path, data: Material) -> dict[str, Any]:
    info = session.info
    seconds = sum(one.n_patches for one in data.train) * net.encode_patch_samples / net.encode_rate_hz
    return {
        "engine": "voxcpm",
        "voice": info.voice,
        "run": session.run.name,
        "preset": info.preset,
        "architecture": net.architecture,
        "base": str(base.absolute()),
        "encoder_fingerprint": info.encoder_fingerprint,
        "minutes": round(seconds / 60.0, 2),
        "clips": len(data.train),
        "versions": info.versions,
    }
