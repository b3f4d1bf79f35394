"""What is asked before a VoxCPM fine-tuning starts. Light: no torch here."""

import json
from dataclasses import dataclass
from pathlib import Path

from core import device
from core.checks import Check
from core.engines.voxcpm.eight_bit import why_not
from core.engines.voxcpm.lines import Line, read_manifest
from core.engines.voxcpm.models import find_model
from core.engines.voxcpm.sizes import LATENTS_HZ, Sizes
from core.engines.voxcpm.train_options import BATCH_SIZES, VoxTrainOptions, lora_settings
from core.errors import StudioError, human_bytes
from core.settings import Settings
from core.speech import sentences
from core.training import preflight as common
from core.training.preflight import Sizes as OnDisk
from core.training.runs import RunInfo

FEW_MINUTES = 3.0
UNKNOWN_S = 15.0
"""Taken for the length of a manifest's longest clip where it does not tell."""


@dataclass(frozen=True)
class _Data:
    """What is known of the clips without decoding them."""

    texts: list[str]
    seconds: float
    longest_s: float
    checks: list[Check]


def preflight(settings: Settings, options: VoxTrainOptions) -> list[Check]:
    """Every check for a run with these options. Nothing is changed, nothing heavy is loaded."""
    if options.resume:
        return common.resume(settings, options.resume, lambda info: _full_bytes(settings, info))
    data = _of_manifest(options) if options.train_manifest else _of_voice(settings, options)
    try:
        base = find_model(settings, options.base)
        sizes = Sizes.read(base)
    except StudioError as err:
        return [*data.checks, Check("base model", "fail", err.message, err.hint)]
    kept = _on_disk(options, sizes, data)
    return [
        *data.checks,
        Check("base model", "ok", _learning(options, sizes, base)),
        *_optimiser(options),
        common.disk(settings, options, kept),
        common.computes_on(settings, slow_on_cpu=True),
        _memory(settings, options, sizes, data),
        *common.computer(settings),
        common.others(settings),
    ]


def _learning(options: VoxTrainOptions, sizes: Sizes, base: Path) -> str:
    lora = lora_settings(options, sizes.is_v2)
    n, full = sizes.parameters / 1e6, human_bytes(_checkpoint_bytes(options, sizes))
    kept = f"a checkpoint takes {full}, a light one {human_bytes(_light_bytes(options, sizes))}"
    if lora is None:
        return f"{base.name}, {n:.0f} million weights, all of them learn; {kept}"
    return f"{base.name}, {n:.0f} million weights, {sizes.trained(lora) / 1e6:.1f} million of a LoRA learn; {kept}"


def _of_voice(settings: Settings, options: VoxTrainOptions) -> _Data:
    accepted, checks = common.voice_clips(settings, options.voice, FEW_MINUTES)
    texts = [clip.text for clip in accepted]
    spoken = [clip for clip in accepted if sentences.speakable(clip.text)]
    longest = max((clip.duration_s for clip in spoken), default=0.0)
    more = common.clip_files(settings, options.voice, accepted)
    seconds = sum(clip.duration_s for clip in spoken)
    return _Data(texts, seconds, longest, [*checks, *more, *_transcripts(texts)])


def _of_manifest(options: VoxTrainOptions) -> _Data:
    try:
        lines, wrong = read_manifest(options.train_manifest)
        if options.val_manifest:
            read_manifest(options.val_manifest)
    except StudioError as err:
        return _Data([], 0.0, UNKNOWN_S, [Check("data", "fail", err.message, err.hint)])
    gone = [line for line in lines if not line.audio.is_file()]
    known = _durations(Path(options.train_manifest))
    detail = f"{len(lines)} clips in {Path(options.train_manifest).name}"
    detail += f"; {len(wrong)} lines are no clips ({wrong[0][0]}: {wrong[0][1]})" if wrong else ""
    check = Check("data", "warn" if wrong else "ok", detail, "They are left out: correct them." if wrong else "")
    texts = [line.text for line in lines]
    checks = [check, *_missing(lines, gone), *_transcripts(texts)]
    return _Data(texts, sum(known), max(known, default=UNKNOWN_S), checks)


def _durations(manifest: Path) -> list[float]:
    """The `duration` of those lines that have one, seconds."""
    found = []
    for row in manifest.read_text("utf-8-sig").split("\n"):
        try:
            found.append(float(json.loads(row)["duration"]))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _missing(lines: list[Line], gone: list[Line]) -> list[Check]:
    if not gone:
        return [Check("clips", "ok", "every clip is there")]
    detail = f"{len(gone)} of {len(lines)} clips are not there, such as {gone[0].audio}"
    fix = "Relative paths are meant from the manifest's folder. What is not there is left out."
    return [Check("clips", "fail" if len(gone) == len(lines) else "warn", detail, fix)]


def _transcripts(texts: list[str]) -> list[Check]:
    if not texts:
        return []
    silent = sum(not sentences.speakable(text) for text in texts)
    if not silent:
        return [Check("transcripts", "ok", "every clip has one")]
    detail = f"{silent} of {len(texts)} clips have none"
    fix = "Transcribe the recordings, or cut them by subtitles; a clip without words is left out."
    return [Check("transcripts", "fail" if silent == len(texts) else "warn", detail, fix)]


def _optimiser(options: VoxTrainOptions) -> list[Check]:
    if options.optimiser == "adamw":
        return []
    reason = why_not()
    if reason:
        return [Check("optimiser", "fail", reason, "Choose the optimiser adamw.")]
    return [Check("optimiser", "ok", options.optimiser)]


def _memory(settings: Settings, options: VoxTrainOptions, sizes: Sizes, data: _Data) -> Check:
    """An estimate from counts (see core.engines.voxcpm.sizes), and what would make it fit."""
    cuda = device.info(settings.device).kind == "cuda"
    lora = lora_settings(options, sizes.is_v2)
    text = max(data.texts, key=len, default="")
    longest = min(sizes.positions(data.longest_s, text), sizes.max_length)
    eight_bit = options.optimiser != "adamw"
    checkpointed = options.gradient_checkpointing == "on"
    batch = options.batch_size or BATCH_SIZES[options.preset]

    def need(size: int, checkpointed: bool = checkpointed, eight_bit: bool = eight_bit) -> float:
        positions = longest * size
        if options.max_batch_tokens:
            positions = min(positions, max(longest, options.max_batch_tokens))
        return sizes.memory_bytes(positions, lora, cuda=cuda, checkpointed=checkpointed, eight_bit=eight_bit)

    check = common.memory(settings, batch, options.accumulate, need, data.longest_s)
    if check.verdict == "ok":
        return check
    free = device.info(settings.device).free_bytes
    ways = [("gradient_checkpointing=on", True, eight_bit)]
    if not why_not():
        ways += [("optimiser=adamw8bit", checkpointed, True)]
        ways += [("gradient_checkpointing=on and optimiser=adamw8bit", True, True)]
    for words, with_checkpoints, with_eight in ways:
        if need(batch, with_checkpoints, with_eight) <= free:
            return Check("memory", check.verdict, check.detail, f"{check.fix} With {words} it should fit as it is.")
    return check


def _checkpoint_bytes(options: VoxTrainOptions, sizes: Sizes) -> float:
    """One full checkpoint: what learns in float32, and the optimiser's two moments."""
    return (12.0 if options.optimiser == "adamw" else 6.0) * sizes.trained(lora_settings(options, sizes.is_v2))


def _on_disk(options: VoxTrainOptions, sizes: Sizes, data: _Data) -> OnDisk:
    full = _checkpoint_bytes(options, sizes)
    cache = data.seconds * LATENTS_HZ * sizes.feat_dim * 4
    n_samples = 1 + (len(options.sentences) or 2)
    light = _light_bytes(options, sizes)
    model = light if options.preset == "lora" else light + sizes.vae_bytes
    return OnDisk(full, light, model, cache, n_samples)


def _light_bytes(options: VoxTrainOptions, sizes: Sizes) -> float:
    """A LoRA in float32, or a whole model as its file is; what does not change is shared with the base model."""
    lora = lora_settings(options, sizes.is_v2)
    return 4.0 * sizes.trained(lora) if lora is not None else float(sizes.file_bytes * sizes.parameters)


def _full_bytes(settings: Settings, info: RunInfo) -> float:
    options = VoxTrainOptions.model_validate(info.options)
    try:
        return _checkpoint_bytes(options, Sizes.read(find_model(settings, options.base)))
    except StudioError:
        return 0.0
