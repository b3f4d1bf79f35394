"""Questions asked before a training run starts, each with a verdict and what to do about it. Light: no torch here."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core import device
from core.checks import Check
from core.errors import StudioError, human_bytes
from core.settings import Settings
from core.training import runs
from core.training.health import smaller
from core.training.options import TrainOptions

if TYPE_CHECKING:
    from core.dataset.clips import Clip

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
_BYTES_PER_S = 44100 * 2
_PROBE_BYTES = 700e3
"""One recording of a probe, 15 s of FLAC."""
RAM_BYTES = 4e9
"""Python, torch with CUDA, decoded clips up to 2 GB, batches made ahead."""


def preflight(settings: Settings, options: TrainOptions) -> list[Check]:
    """Every check for a run with these options. Nothing is changed, nothing heavy is loaded."""
    if options.resume:
        return _resume_checks(settings, options.resume)
    accepted, checks = _data(settings, options)
    cost = COSTS[options.preset]
    minutes = sum(clip.duration_s for clip in accepted) / 60.0
    return [
        *checks,
        *_files(settings, options, accepted),
        _encoder(settings, options),
        _pitch(options),
        *_features(settings, options, accepted),
        _disk(settings, options, cost, minutes),
        _device(settings, options),
        _memory(settings, options, cost, accepted),
        *_ram(settings),
        _others(settings),
        _start_from(options),
    ]


def tried(settings: Settings, options: TrainOptions) -> Check:
    """The memory line again, measured by a few steps on the longest clip in a process of its own. Takes seconds to
    minutes; needs no clips on disk but their lengths."""
    from core.engines.sovits.trial import measure_in_fresh_process

    accepted, _ = _data(settings, options)
    longest_s = max((clip.duration_s for clip in accepted), default=10.0)
    where = device.pick(settings.device)
    asked = options.batch_size or COSTS[options.preset].batch_size
    try:
        found = measure_in_fresh_process(options, where, longest_s)
    except StudioError as err:
        return Check("memory", "fail", err.message, err.hint)
    detail = (
        f"measured: {human_bytes(found['peak_bytes'])} and {found['step_s']:.2f} s a step "
        f"for batches of {found['batch_size']} on {where}"
    )
    if found["batch_size"] == asked:
        return Check("memory", "ok", detail)
    fix = f"Batches of {asked} do not fit; take {found['batch_size']} with {found['accumulate']} accumulated."
    return Check("memory", "warn", detail, fix)


def _data(settings: Settings, options: TrainOptions) -> "tuple[list[Clip], list[Check]]":
    from core.dataset.clips import ClipTable
    from core.dataset.voices import VoiceStore

    try:
        clips = ClipTable(VoiceStore(settings.voices_dir).get(options.voice)).load()
    except StudioError as err:
        return [], [Check("data", "fail", err.message, err.hint or "Choose another voice.")]
    accepted = [clip for clip in clips if clip.verdict == "accepted"]
    minutes = sum(clip.duration_s for clip in accepted) / 60.0
    detail = f"{len(accepted)} accepted clips, {minutes:.1f} minutes"
    waiting = sum(clip.verdict == "review" for clip in clips)
    if waiting:
        detail += f"; {waiting} wait for a decision"
    if not accepted:
        return [], [Check("data", "fail", detail, "Prepare recordings and accept clips on the Dataset page.")]
    if len(accepted) < 4:
        fix = "With so few clips none is held out, so nothing tells whether the voice has learned. Add recordings."
        return accepted, [Check("data", "warn", detail, fix)]
    if minutes < FEW_MINUTES:
        fix = f"It will work, but poorly: {ENOUGH_MINUTES:.0f} minutes or more give a voice worth keeping."
        return accepted, [Check("data", "warn", detail, fix)]
    return accepted, [Check("data", "ok", detail)]


def _files(settings: Settings, options: TrainOptions, accepted: "list[Clip]") -> list[Check]:
    """Clips that are gone, or that are not as preparation writes them, by their size: reading all would take long."""
    from core.dataset.voices import VoiceStore

    if not accepted:
        return []
    folder = VoiceStore(settings.voices_dir).get(options.voice).path
    wrong = []
    for clip in accepted:
        try:
            n_bytes = (folder / clip.audio).stat().st_size
        except OSError:
            n_bytes = 0
        # 16 bits, mono, 44.1 kHz, and a header; a tenth of a second is allowed for rounding
        if abs(n_bytes - clip.duration_s * _BYTES_PER_S) > 0.1 * _BYTES_PER_S + 1024:
            wrong.append(clip.id)
    if wrong:
        names = ", ".join(wrong[:3]) + (" ..." if len(wrong) > 3 else "")
        detail = f"{len(wrong)} of {len(accepted)} accepted clips are missing or changed: {names}"
        return [Check("clips", "fail", detail, "Prepare the voice again, or reject these clips.")]
    return [Check("clips", "ok", "every accepted clip is there and has its length")]


def _features(settings: Settings, options: TrainOptions, accepted: "list[Clip]") -> list[Check]:
    """How many clips have features of this encoder and pitch in the cache; what is missing is made at the start."""
    if not accepted:
        return []
    found = 0
    for note in (settings.cache_dir / "features").glob("*/spec.json"):
        try:
            spec = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if spec.get("encoder") == options.encoder and spec.get("pitch") == options.pitch:
            there = sum((note.parent / f"{clip.sha256}.safetensors").is_file() for clip in accepted)
            found = max(found, there)
    missing = len(accepted) - found
    if missing:
        detail = f"{found} of {len(accepted)} clips have features; {missing} are made before training starts"
        return [Check("features", "ok", detail)]
    return [Check("features", "ok", "every clip has its features; each is checked against its clip when it is read")]


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
    n_every = options.steps // options.keep_every_steps if options.keep_every_steps else 0
    full = min(options.keep + 2 + n_every, n_saves + 1) * cost.generation_bytes
    light = min(options.keep_light + 1, n_saves) * 2.0 * cost.generator_parameters if options.keep_light else 0.0
    n_renders = math.ceil(options.steps / (options.probe_every_steps or options.save_every_steps))
    probes = n_renders * options.probes * _PROBE_BYTES
    voice = 2 * 4.0 * cost.generator_parameters
    need = full + light + probes + voice + minutes * 60.0 * _UNIT_BYTES_PER_S + 50e6
    free = device.disk(settings.runs).free_bytes
    detail = (
        f"{human_bytes(need)} needed (checkpoints {human_bytes(full + light)}, recordings {human_bytes(probes)}), "
        f"{human_bytes(free)} free at {settings.runs}"
    )
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


def _memory(settings: Settings, options: TrainOptions, cost: Cost, accepted: "list[Clip]") -> Check:
    info = device.info(settings.device)
    batch = options.batch_size or cost.batch_size
    need = cost.memory_bytes(batch)
    what = "GPU memory" if info.kind == "cuda" else "memory"
    longest = max((clip.duration_s for clip in accepted), default=0.0)
    detail = (
        f"about {human_bytes(need)} of {what} for batches of {batch} (longest clip {longest:.1f} s), "
        f"{human_bytes(info.free_bytes)} free"
    )
    if need <= info.free_bytes:
        return Check("memory", "ok", detail)
    offer = smaller(batch, options.accumulate)
    while offer is not None and cost.memory_bytes(offer["batch_size"]) > info.free_bytes:
        offer = smaller(**offer)
    if offer is not None:
        fix = (
            f"A batch size of {offer['batch_size']} with {offer['accumulate']} accumulated batches should fit, "
            "and learns the same."
        )
        return Check("memory", "warn", detail, fix)
    return Check("memory", "fail", detail, "Close other programs, or choose a smaller preset.")


def _ram(settings: Settings) -> list[Check]:
    """The computer's own memory beside a GPU's, and what else uses the GPU."""
    info = device.info(settings.device)
    if info.kind != "cuda":
        return []
    free = device.info("cpu").free_bytes
    detail = f"{human_bytes(free)} free, about {human_bytes(RAM_BYTES)} needed for clips and batches"
    fix = "Close other programs; with too little the system ends the training."
    checks = [Check("ram", "ok" if free >= RAM_BYTES else "warn", detail, "" if free >= RAM_BYTES else fix)]
    used = info.total_bytes - info.free_bytes
    if used > 0.1 * info.total_bytes or (info.utilisation or 0.0) > 0.2:
        detail = f"{human_bytes(used)} of {info.name} are in use, {info.utilisation or 0.0:.0%} busy"
        return [
            *checks,
            Check("gpu", "warn", detail, "Other programs use the GPU: training is slower, or may not fit."),
        ]
    return [*checks, Check("gpu", "ok", f"{info.name} is free")]


def _others(settings: Settings) -> Check:
    going = [info.name for info in runs.list_runs(settings.runs) if info.state in ("preparing", "running")]
    if going:
        detail = f"'{going[0]}' is training"
        return Check("other runs", "warn", detail, "A second training waits in the queue until it ends.")
    return Check("other runs", "ok", "no other training is going on")


def _start_from(options: TrainOptions) -> Check:
    if not options.init_from:
        if options.preset == "lite":
            return Check("base model", "ok", "this preset starts from nothing")
        fix = "Choose a G_0.pth of so-vits-svc 4.1 to start from, or expect to train several times as long."
        return Check("base model", "warn", "none chosen: the model starts from nothing", fix)
    path = Path(options.init_from)
    if not path.is_file():
        return Check("base model", "fail", f"{path} is not there", "Choose a model.safetensors or G_*.pth.")
    return Check("base model", "ok", f"starts from {path.name}")


def _resume_checks(settings: Settings, name: str) -> list[Check]:
    try:
        run = runs.open_run(settings.runs, name)
        info = run.read()
    except StudioError as err:
        return [Check("run", "fail", err.message, err.hint)]
    if runs.is_going(run.path, info):
        return [Check("run", "fail", f"'{name}' is going on already", "Stop it first.")]
    need = COSTS[info.preset].generation_bytes if info.preset in COSTS else 0.0
    free = device.disk(run.path).free_bytes
    room = f"{human_bytes(free)} free, a checkpoint takes up to {human_bytes(need)}"
    return [
        Check("run", "ok", f"'{name}' goes on from step {info.saved_step or 0}"),
        Check("disk", "ok", room)
        if free >= need
        else Check("disk", "fail", room, f"Free {human_bytes(need - free)}: else it waits at its next save."),
    ]
