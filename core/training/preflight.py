"""Questions asked before a training run of any engine starts, each with a verdict and what to do about it. Light: no
torch here. An engine's own pre-flight puts together those that it needs and adds its own (names and fixes of a `Check`
have words in the page: ui/i18n/*/training.json, check.NAME)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core import device
from core.checks import Check
from core.errors import StudioError, human_bytes
from core.settings import Settings
from core.training import ranks, runs
from core.training.health import smaller
from core.training.options import RunOptions

if TYPE_CHECKING:
    from core.dataset.clips import Clip

FEW_MINUTES = 5.0
ENOUGH_MINUTES = 15.0
_BYTES_PER_S = 44100 * 2
_PROBE_BYTES = 700e3
"""One recording of a probe, 15 s of FLAC."""
_LOG_BYTES = 50e6
RAM_BYTES = 4e9
"""Python, torch with CUDA, batches made ahead. What is read from mapped files gives way to others."""


@dataclass(frozen=True)
class Sizes:
    """What a run puts on the disk, in bytes."""

    full: float
    """One checkpoint to resume from."""
    light: float
    """One to listen to."""
    model: float
    """The exported model."""
    cache: float = 0.0
    """Features and other things made once of the data."""
    n_probes: int = 1
    """Recordings at each probe."""


def voice_clips(settings: Settings, voice: str, few_minutes: float = FEW_MINUTES) -> "tuple[list[Clip], list[Check]]":
    """The voice's accepted clips, and the line that says how many they are."""
    from core.dataset.clips import ClipTable
    from core.dataset.voices import VoiceStore

    try:
        clips = ClipTable(VoiceStore(settings.voices_dir).get(voice)).load()
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
    if minutes < few_minutes:
        enough = ENOUGH_MINUTES / FEW_MINUTES * few_minutes
        fix = f"It will work, but poorly: {enough:.0f} minutes or more give a voice worth keeping."
        return accepted, [Check("data", "warn", detail, fix)]
    return accepted, [Check("data", "ok", detail)]


def clip_files(settings: Settings, voice: str, accepted: "Sequence[Clip]") -> list[Check]:
    """Clips that are gone, or that are not as preparation writes them, by their size: reading all would take long."""
    from core.dataset.voices import VoiceStore

    if not accepted:
        return []
    folder = VoiceStore(settings.voices_dir).get(voice).path
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


def disk(settings: Settings, options: RunOptions, sizes: Sizes) -> Check:
    """Room for what is kept: generations, the best one, the one being written, and the model twice while it is
    replaced."""
    n_saves = math.ceil(options.steps / options.save_every_steps)
    n_every = options.steps // options.keep_every_steps if options.keep_every_steps else 0
    full = min(options.keep + 2 + n_every, n_saves + 1) * sizes.full
    light = min(options.keep_light + 1, n_saves) * sizes.light if options.keep_light else 0.0
    n_renders = math.ceil(options.steps / (options.probe_every_steps or options.save_every_steps))
    probes = n_renders * sizes.n_probes * _PROBE_BYTES
    need = full + light + probes + 2 * sizes.model + sizes.cache + _LOG_BYTES
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


def computes_on(settings: Settings, slow_on_cpu: bool) -> Check:
    """Which device. `slow_on_cpu`: what to train takes seconds a step without a GPU."""
    info = device.info(settings.device)
    if info.kind == "cuda":
        busy = f", {info.utilisation:.0%} busy" if info.utilisation is not None else ""
        return Check("device", "ok", f"{info.name}{busy}")
    if settings.device.startswith("cuda"):
        return Check("device", "fail", f"{settings.device} was asked for and is not there", "Set the device to auto.")
    if slow_on_cpu:
        fix = "On a CPU a step of this preset takes seconds: choose the preset 'lite', or a machine with a GPU."
        return Check("device", "warn", f"no GPU: {info.name}", fix)
    return Check("device", "ok", f"no GPU: {info.name}")


def memory(
    settings: Settings, batch: int, accumulate: int, need_bytes: Callable[[int], float], longest_s: float
) -> Check:
    """Whether batches of this size fit, and which smaller ones would. `need_bytes`: all that a batch size uses."""
    info = device.info(settings.device)
    need = need_bytes(batch)
    what = "GPU memory" if info.kind == "cuda" else "memory"
    detail = (
        f"about {human_bytes(need)} of {what} for batches of {batch} (longest clip {longest_s:.1f} s), "
        f"{human_bytes(info.free_bytes)} free"
    )
    if need <= info.free_bytes:
        return Check("memory", "ok", detail)
    offer = smaller(batch, accumulate)
    while offer is not None and need_bytes(offer["batch_size"]) > info.free_bytes:
        offer = smaller(**offer)
    if offer is not None:
        fix = (
            f"A batch size of {offer['batch_size']} with {offer['accumulate']} accumulated batches should fit, "
            "and learns the same."
        )
        return Check("memory", "warn", detail, fix)
    return Check("memory", "fail", detail, "Close other programs, or choose a smaller preset.")


def computer(settings: Settings) -> list[Check]:
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


def others(settings: Settings) -> Check:
    """Other trainings of this studio."""
    going = [info.name for info in runs.list_runs(settings.runs) if info.state in ("preparing", "running")]
    if going:
        detail = f"'{going[0]}' is training"
        return Check("other runs", "warn", detail, "A second training waits in the queue until it ends.")
    return Check("other runs", "ok", "no other training is going on")


def weights_to_start_from(options: RunOptions, without: Check) -> Check:
    """The file of `init_from`. `without`: the answer where none is chosen."""
    if not options.init_from:
        return without
    path = Path(options.init_from)
    if not path.is_file():
        return Check("base model", "fail", f"{path} is not there", "Choose a model.safetensors or G_*.pth.")
    return Check("base model", "ok", f"starts from {path.name}")


def resume(settings: Settings, name: str, full_bytes: Callable[[runs.RunInfo], float]) -> list[Check]:
    """Whether a run can go on. `full_bytes`: size of one checkpoint of such a run."""
    try:
        run = runs.open_run(settings.runs, name)
        info = run.read()
    except StudioError as err:
        return [Check("run", "fail", err.message, err.hint)]
    if runs.is_going(run.path, info):
        return [Check("run", "fail", f"'{name}' is going on already", "Stop it first.")]
    need = full_bytes(info)
    free = device.disk(run.path).free_bytes
    room = f"{human_bytes(free)} free, a checkpoint takes up to {human_bytes(need)}"
    return [
        Check("run", "ok", f"'{name}' goes on from step {info.saved_step or 0}"),
        Check("disk", "ok", room)
        if free >= need
        else Check("disk", "fail", room, f"Free {human_bytes(need - free)}: else it waits at its next save."),
    ]


def together(settings: Settings, options: RunOptions) -> list[Check]:
    """The processes and GPUs that train together; nothing where it is one process."""
    try:
        named, n_ranks = ranks.gpus(options.devices), ranks.count(options)
    except StudioError as err:
        return [Check("devices", "fail", err.message, err.hint)]
    if n_ranks == 1 and not named:
        return []
    found = device.gpu_list() if settings.device != "cpu" else []
    detail = f"{n_ranks} processes, {len(found)} GPUs here"
    missing = [str(index) for index in named if index >= len(found)]
    if missing:
        fix = "Name GPUs that are there, each by its number: 0 is the first."
        return [Check("devices", "fail", f"GPU {', '.join(missing)} is not here ({len(found)} found)", fix)]
    if found and n_ranks > len(found):
        return [Check("devices", "fail", detail, "Take as many processes as there are GPUs, or set the device to cpu.")]
    if not found and n_ranks > device.cpu_count():
        return [Check("devices", "warn", f"{n_ranks} processes, {device.cpu_count()} CPUs", "More only wait.")]
    return [Check("devices", "ok", f"GPUs {options.devices}" if named else detail)]


OF_THIS_MACHINE = ("device", "memory", "ram", "gpu", "other runs", "devices")
"""Checks that say nothing about a run on a cluster."""


def cluster(settings: Settings, options: RunOptions) -> Check:
    """Whether the cluster answers. That it sees the workspace is only known once the run is there."""
    from core.training.ray_jobs import RayJobs

    try:
        version = RayJobs(options.cluster).version()
    except StudioError as err:
        return Check("cluster", "fail", err.message, err.hint)
    detail = f"Ray {version} at {options.cluster}; it must see {settings.workspace} and this studio at the same paths"
    return Check("cluster", "ok", detail)
