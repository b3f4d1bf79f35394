"""The run that fine-tunes NSF-HiFi-GAN on a voice; it ends as `vocoder/` beside a model of that voice."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from core import atomic
from core.engines.sovits import beside
from core.engines.sovits.dataset import RATE_HZ, Example, TrainingSet, align_mode, whole_clip
from core.engines.sovits.kmeans_train import gather
from core.engines.sovits.learner import VoiceLearner
from core.engines.sovits.recipe import HOP
from core.engines.sovits.vocoder import Vocoder, load_decoder, read_vocoder_config
from core.engines.sovits.vocoder_learner import VocoderRecipe
from core.engines.sovits.vocoder_options import VocoderOptions, find_base
from core.errors import Conflict
from core.nn.weight_norm import split_weight_norm
from core.training import job, random_state
from core.training.descent import fast_maths
from core.training.generations import save_tensors
from core.training.job import Session

if TYPE_CHECKING:
    from core.jobs.context import JobContext

FOLDER, MODEL_FILE, CONFIG_FILE = "vocoder", "model.safetensors", "config.json"


def run_train(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Fine-tune a vocoder, or go on with a run: `core.training.job.train` with `VocoderOptions`."""
    return job.train(params, ctx, VocoderOptions, _train)


def _train(session: Session[VocoderOptions]) -> dict[str, Any]:
    run, info, options = session.run, session.info, session.options
    session.ctx.progress(0.0, "features")
    with session.first_before_others():
        _config(session)
        target, data = gather(session)
    random_state.seed_everything(options.seed)
    vocoder = Vocoder(read_vocoder_config(run.config_file))
    recipe = VocoderRecipe(vocoder, options.segment_frames, options.judge_channels)
    held_out = data.held_out[: options.probes]
    if not info.saved_step:
        _start(session, recipe, held_out)
    fast_maths(session.device, options.precision, same_shapes=True)
    batch_size = session.global_batch(options.batch_size or recipe.base_batch_size)
    mode = align_mode(target.config)
    batches = TrainingSet(data.train, recipe.segments(), batch_size, options.seed, mode)

    def judge() -> float:
        return held_out_distance(recipe, held_out, session.device)

    fit = session.fit(beside.loop(session, VoiceLearner(recipe, options.seed), batches, data, "mel", judge))

    def give(verify: bool) -> tuple[Path, dict[str, Any]]:
        def write(build: Path) -> None:
            save_tensors(build / MODEL_FILE, vocoder.decoder.state_dict(), {"format": "pt"})
            (build / CONFIG_FILE).write_bytes(run.config_file.read_bytes())

        verifier = "core.engines.sovits.vocoder_verify" if verify else None
        figures = beside.hand_over(target.folder / FOLDER, write, data, verifier, "the vocoder")
        return target.folder, {"held_out_mel": info.best_value, **figures}

    return session.finish(fit, give)


def _config(session: Session[VocoderOptions]) -> None:
    """The run's config.json: that of the base.

    Raises:
        NotFound, Unavailable: there is no base.
        BadInput: its config is none.
        Conflict: it works at another rate or step than the features.
    """
    if session.run.config_file.is_file():
        return
    path = find_base(session.ctx.settings, session.options.base).with_name(CONFIG_FILE)
    config = read_vocoder_config(path)
    if (config.sampling_rate, config.hop_size) != (RATE_HZ, HOP):
        raise Conflict(
            f"The vocoder works at {config.sampling_rate} Hz in steps of {config.hop_size} samples, the clips' "
            f"features are at {RATE_HZ} Hz in steps of {HOP}.",
            "Start from openvpi's NSF-HiFi-GAN of 44.1 kHz and hop 512.",
            where=str(path),
        )
    if session.ranks.first:
        atomic.write_bytes(session.run.config_file, path.read_bytes())


def _start(session: Session[VocoderOptions], recipe: VocoderRecipe, held_out: list[Example]) -> None:
    """Load the base, and note what it is and how near it comes to the held-out clips before it learns."""
    path = find_base(session.ctx.settings, session.options.base)
    load_decoder(recipe.vocoder, path)
    split_weight_norm(recipe.generator)
    recipe.generator.requires_grad_(True)
    if not session.ranks.first:
        return
    recipe.generator.to(session.device).eval()
    before = held_out_distance(recipe, held_out, session.device)
    note = f"Starts from {path}, which is {before:.3f} (mean distance of log mels) from the held-out clips."
    if note not in session.info.notes:
        session.info.notes.append(note)


@torch.no_grad()
def held_out_distance(recipe: VocoderRecipe, held_out: list[Example], device: torch.device) -> float:
    """Mean distance of log mels (nats) of held-out clips and what the vocoder makes of them; lower is better.

    At most 10 s of each; the noise is the same at each call, so that figures of a run compare.
    """
    distances = []
    for number, example in enumerate(held_out):
        clip = whole_clip(example, "nearest").to(device)
        made = recipe.copy_of(clip, beside.LONGEST_PROBE_FRAMES, seed=100 + number)
        distances.append(float(recipe.mel_distance(made, clip.audio[..., : made.shape[-1]])))
    return sum(distances) / len(distances)
