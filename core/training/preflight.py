"""Questions asked before a training run starts, each with a verdict and what to do about it. Light: no torch here."""

import math
from dataclasses import dataclass
from pathlib import Path

from core import device
from core.checks import Check
from core.errors import StudioError, human_bytes
from core.settings import Settings
from core.training import runs
from core.training.options import TrainOptions

FEW_MINUTES = 5.0
ENOUGH_MINUTES = 15.0


@dataclass(frozen=True)
class Cost:
    """What a preset takes. Parameters are counted from the models; memory was measured on them in float32."""

    generator_parameters: float
    discriminator_parameters: float
    base_bytes: float
    """Process memory beside weights and activations: python, torch, the encoder while features are made."""
    bytes_per_item: float
    """Activations of one item of a batch."""
    batch_size: int

    @property
    def generation_bytes(self) -> float:
        """One checkpoint: weights and two AdamW moments of both modules, float32."""
        return 12.0 * (self.generator_parameters + self.discriminator_parameters)

    def memory_bytes(self, batch_size: int) -> float:
        """Weights, gradients, moments, and the activations of a batch."""
        return self.base_bytes + 4.0 / 3.0 * self.generation_bytes + batch_size * self.bytes_per_item


COSTS = {
    "standard": Cost(52.4e6, 46.8e6, 0.9e9, 1.1e9, 6),
    "tiny": Cost(28.7e6, 46.8e6, 0.9e9, 0.9e9, 6),
    "lite": Cost(2.8e6, 0.12e6, 0.9e9, 0.09e9, 10),
}
_UNIT_BYTES_PER_S = 50 * 768 * 2 + 86 * 8
"""Features of a second of speech, by the widest encoder."""


def preflight(settings: Settings, options: TrainOptions) -> list[Check]:
    """Every check for a run with these options. Nothing is changed, nothing heavy is loaded."""
    if options.resume:
        return _resume_checks(settings, options.resume)
    minutes, checks = _data(settings, options)
    cost = COSTS[options.preset]
    return [
        *checks,
        _encoder(settings, options),
        _pitch(options),
        _disk(settings, options, cost, minutes),
        _device(settings, options),
        _memory(settings, options, cost),
        _others(settings),
        *_start_from(options),
    ]


def _data(settings: Settings, options: TrainOptions) -> tuple[float, list[Check]]:
    from core.dataset.clips import ClipTable
    from core.dataset.voices import VoiceStore

    try:
        clips = ClipTable(VoiceStore(settings.voices_dir).get(options.voice)).load()
    except StudioError as err:
        return 0.0, [Check("data", "fail", err.message, err.hint or "Choose another voice.")]
    accepted = [clip for clip in clips if clip.verdict == "accepted"]
    minutes = sum(clip.duration_s for clip in accepted) / 60.0
    detail = f"{len(accepted)} accepted clips, {minutes:.1f} minutes"
    waiting = sum(clip.verdict == "review" for clip in clips)
    if waiting:
        detail += f"; {waiting} wait for a decision"
    if not accepted:
        return 0.0, [Check("data", "fail", detail, "Prepare recordings and accept clips on the Dataset page.")]
    if len(accepted) < 4:
        fix = "With so few clips none is held out, so nothing tells whether the voice has learned. Add recordings."
        return minutes, [Check("data", "warn", detail, fix)]
    if minutes < FEW_MINUTES:
        fix = f"It will work, but poorly: {ENOUGH_MINUTES:.0f} minutes or more give a voice worth keeping."
        return minutes, [Check("data", "warn", detail, fix)]
    return minutes, [Check("data", "ok", detail)]


def _encoder(settings: Settings, options: TrainOptions) -> Check:
    from core.features.encoders import available

    infos = {info.name: info for info in available(settings)}
    info = infos.get(options.encoder)
    if info is None:
        return Check("encoder", "fail", f"'{options.encoder}' is unknown", f"Choose one of {', '.join(infos)}.")
    if not info.ready:
        return Check("encoder", "fail", f"'{info.name}' is not here", info.why_not)
    return Check("encoder", "ok", f"'{info.name}' is ready")


def _pitch(options: TrainOptions) -> Check:
    from core.features.pitch import PITCHES

    if options.pitch not in PITCHES:
        fix = f"Choose one of {', '.join(PITCHES)}."
        return Check("pitch", "fail", f"'{options.pitch}' is unknown", fix)
    return Check("pitch", "ok", f"'{options.pitch}'")


def _disk(settings: Settings, options: TrainOptions, cost: Cost, minutes: float) -> Check:
    # Kept generations, the best one, the one being written, and the exported voice twice while it is replaced.
    n_saves = math.ceil(options.steps / options.save_every_steps)
    generations = min(options.keep + 2, n_saves + 1) * cost.generation_bytes
    need = generations + 2 * 4.0 * cost.generator_parameters + minutes * 60.0 * _UNIT_BYTES_PER_S + 50e6
    free = device.disk(settings.runs).free_bytes
    detail = f"{human_bytes(need)} needed, {human_bytes(free)} free at {settings.runs}"
    if free < need:
        return Check("disk", "fail", detail, f"Free {human_bytes(need - free)}, or keep fewer checkpoints.")
    if free < 2 * need:
        return Check("disk", "warn", detail, "Little is left beside what the run takes.")
    return Check("disk", "ok", detail)


def _device(settings: Settings, options: TrainOptions) -> Check:
    info = device.info(settings.device)
    if info.kind == "cuda":
        busy = f", {info.utilisation:.0%} busy" if info.utilisation is not None else ""
        return Check("device", "ok", f"{info.name}{busy}")
    if settings.device.startswith("cuda"):
        return Check("device", "fail", f"{settings.device} was asked for and is not there", "Set the device to auto.")
    if options.preset != "lite":
        fix = "On a CPU a step of this preset takes seconds: choose the preset 'lite', or a machine with a GPU."
        return Check("device", "warn", f"no GPU: {info.name}", fix)
    return Check("device", "ok", f"no GPU: {info.name}")


def _memory(settings: Settings, options: TrainOptions, cost: Cost) -> Check:
    info = device.info(settings.device)
    batch = options.batch_size or cost.batch_size
    need = cost.memory_bytes(batch)
    what = "GPU memory" if info.kind == "cuda" else "memory"
    detail = f"about {human_bytes(need)} of {what} for batches of {batch}, {human_bytes(info.free_bytes)} free"
    if need <= info.free_bytes:
        return Check("memory", "ok", detail)
    fitting = int((info.free_bytes - cost.memory_bytes(0)) // cost.bytes_per_item)
    if fitting >= 1:
        return Check("memory", "warn", detail, f"A batch size of {fitting} should fit.")
    return Check("memory", "fail", detail, "Close other programs, or choose a smaller preset.")


def _others(settings: Settings) -> Check:
    going = [info.name for info in runs.list_runs(settings.runs) if info.state in ("preparing", "running")]
    if going:
        detail = f"'{going[0]}' is training"
        return Check("other runs", "warn", detail, "A second training waits in the queue until it ends.")
    return Check("other runs", "ok", "no other training is going on")


def _start_from(options: TrainOptions) -> list[Check]:
    if not options.init_from:
        return []
    path = Path(options.init_from)
    if not path.is_file():
        return [Check("base model", "fail", f"{path} is not there", "Choose a model.safetensors or G_*.pth.")]
    return [Check("base model", "ok", f"starts from {path.name}")]


def _resume_checks(settings: Settings, name: str) -> list[Check]:
    try:
        info = runs.open_run(settings.runs, name).read()
    except StudioError as err:
        return [Check("run", "fail", err.message, err.hint)]
    if info.state in ("preparing", "running") and runs.process_alive(info.pid, info.pid_started):
        return [Check("run", "fail", f"'{name}' is going on already", "Stop it first.")]
    return [Check("run", "ok", f"'{name}' goes on from step {info.saved_step or 0}")]
