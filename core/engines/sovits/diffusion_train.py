"""The run that trains a shallow diffusion model for a voice model; it ends as `diffusion/` beside that model."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from core.engines.sovits import beside
from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.dataset import RATE_HZ, TrainingSet, align_mode, whole_clip
from core.engines.sovits.diffusion.model import DiffusionSizes, Unit2Mel
from core.engines.sovits.diffusion_learner import BASE_BATCH, MARGIN, DiffusionLearner
from core.engines.sovits.import_base import without_speakers
from core.engines.sovits.import_place import diffusion_folder
from core.engines.sovits.kmeans_options import DiffusionOptions
from core.engines.sovits.kmeans_target import Target
from core.engines.sovits.kmeans_train import gather
from core.engines.sovits.material import Material
from core.engines.sovits.recipe import HOP, SegmentPlan
from core.errors import BadInput
from core.models.safe_load import load_tensors, strict_load
from core.nn.noise import Noise
from core.nn.vocoder_mel import VocoderMel
from core.training import job, random_state
from core.training.descent import fast_maths
from core.training.generations import save_tensors
from core.training.job import Session

if TYPE_CHECKING:
    from core.jobs.context import JobContext


def run_train(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Train a diffusion model, or go on with a run: `core.training.job.train` with `DiffusionOptions`."""
    return job.train(params, ctx, DiffusionOptions, _train)


def _train(session: Session[DiffusionOptions]) -> dict[str, Any]:
    info, options = session.info, session.options
    session.ctx.progress(0.0, "features")
    with session.first_before_others():
        target, data = gather(session)
    random_state.seed_everything(options.seed)
    sizes = sizes_of(options, target.config)
    model = Unit2Mel(sizes)
    _start(model, session, target)
    learner = DiffusionLearner(model, VocoderMel(), options.seed)
    mode = align_mode(target.config)
    frames = max(8, round(options.seconds * RATE_HZ / HOP)) + 2 * MARGIN
    fast_maths(session.device, options.precision, same_shapes=True)
    batch_size = session.global_batch(options.batch_size or BASE_BATCH)
    batches = TrainingSet(data.train, SegmentPlan(frames, fixed=True), batch_size, options.seed, mode)

    def judge() -> float:
        return held_out_loss(learner, data, mode, options.probes, session.device)

    fit = session.fit(beside.loop(session, learner, batches, data, "loss", judge))

    def give(verify: bool) -> tuple[Path, dict[str, Any]]:
        def write(build: Path) -> None:
            save_tensors(build / f"model_{info.step}.safetensors", model.state_dict(), {"format": "pt"})
            text = yaml.safe_dump(config_of(options, target, sizes), sort_keys=False, allow_unicode=True)
            (build / "config.yaml").write_text(text, encoding="utf-8")

        verifier = "core.engines.sovits.diffusion_verify" if verify else None
        figures = beside.hand_over(target.folder / "diffusion", write, data, verifier, "the diffusion model")
        return target.folder, {"held_out_loss": info.best_value, **figures}

    return session.finish(fit, give)


def sizes_of(options: DiffusionOptions, config: SovitsConfig) -> DiffusionSizes:
    """What is built: for the voice model's units and speakers."""
    return DiffusionSizes(
        n_units=config.model.ssl_dim,
        n_speakers=len(config.spk),
        n_layers=options.layers,
        n_channels=options.channels,
        n_hidden=options.hidden,
        k_step_max=options.k_step_max if options.preset == "shallow" else 0,
    )


def config_of(options: DiffusionOptions, target: Target, sizes: DiffusionSizes) -> dict[str, Any]:
    """diffusion.yaml as so-vits-svc 4.1 has it (spec, section 1.5), for this model."""
    return {
        "data": {
            "sampling_rate": RATE_HZ,
            "block_size": HOP,
            "duration": options.seconds,
            "encoder": target.config.model.speech_encoder,
            "cnhubertsoft_gate": 10,
            "encoder_sample_rate": 16000,
            "encoder_hop_size": 320,
            "encoder_out_channels": sizes.n_units,
            "training_files": "filelists/train.txt",
            "validation_files": "filelists/val.txt",
            "extensions": ["wav"],
            "unit_interpolate_mode": target.config.data.unit_interpolate_mode,
        },
        "model": {
            "type": "Diffusion",
            "n_layers": sizes.n_layers,
            "n_chans": sizes.n_channels,
            "n_hidden": sizes.n_hidden,
            "use_pitch_aug": sizes.pitch_augmentation,
            "timesteps": sizes.n_steps,
            "k_step_max": sizes.k_step_max,
            "n_spk": sizes.n_speakers,
        },
        "device": "cuda",
        "vocoder": {"type": "nsf-hifigan", "ckpt": "pretrain/nsf_hifigan/model"},
        "infer": {"speedup": 10, "method": "dpm-solver++"},
        "env": {"expdir": "logs/44k/diffusion", "gpu_id": 0},
        "train": {
            "num_workers": 4,
            "amp_dtype": "fp32",
            "batch_size": options.batch_size or 48,
            "cache_all_data": True,
            "cache_device": "cpu",
            "cache_fp16": True,
            "epochs": 100000,
            "interval_log": 10,
            "interval_val": 2000,
            "interval_force_save": 5000,
            "lr": 0.0001,
            "decay_step": 100000,
            "gamma": 0.5,
            "weight_decay": 0,
            "save_opt": False,
        },
        "spk": dict(target.config.spk),
    }


def _start(model: Unit2Mel, session: Session[DiffusionOptions], target: Target) -> None:
    """Weights to start from: the file that was named, or the base model where it is there and fits."""
    options, info = session.options, session.info
    if options.init_from:
        path = Path(options.init_from)
        if not path.is_file():
            raise BadInput(f"There is no file {path} to start from.", "Choose a model_*.pt.", where=str(path))
        strict_load(model, without_speakers(load_tensors(path), model.state_dict()), str(path))
        return
    path = diffusion_folder(session.ctx.settings, target.config.model.ssl_dim) / "model_0.safetensors"
    if not options.use_base or not path.is_file():
        return
    tensors = without_speakers(load_tensors(path), model.state_dict())
    wanted = model.state_dict()
    if {name: x.shape for name, x in tensors.items()} == {name: x.shape for name, x in wanted.items()}:
        strict_load(model, tensors, str(path))
        note = f"Starts from the base model {path.name}."
    else:
        note = f"The base model {path} is of another size: the run starts from nothing."
    if note not in info.notes:
        info.notes.append(note)


@torch.no_grad()
def held_out_loss(learner: DiffusionLearner, data: Material, mode: Any, probes: int, device: torch.device) -> float:
    """Mean loss on held-out clips at fixed steps with fixed noise: comparable over a run, and lower is better."""
    losses = []
    steps = learner.model.decoder.trained_steps
    for number, example in enumerate(data.held_out[:probes]):
        clip = whole_clip(example, mode).to(device)
        frames = min(clip.f0_hz.shape[1], beside.LONGEST_PROBE_FRAMES)
        cut = replace(
            clip,
            units=clip.units[..., :frames],
            f0_hz=clip.f0_hz[:, :frames],
            uv=clip.uv[:, :frames],
            volume=clip.volume[:, :frames],
            audio=clip.audio[..., : frames * HOP],
            lengths=clip.lengths.clamp(max=frames),
        )
        for quarter in range(1, 4):
            noise = Noise(torch.Generator().manual_seed(100 * number + quarter))
            t = torch.tensor([steps * quarter // 4], device=device)
            losses.append(float(learner.error(cut, torch.zeros(1, device=device), noise, t)))
    return sum(losses) / len(losses)
