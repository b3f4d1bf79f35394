"""What is asked before a vocoder is fine-tuned. Light: no torch here."""

from dataclasses import replace

from core.checks import Check
from core.engines.sovits.kmeans_preflight import voice_model
from core.engines.sovits.vocoder_options import VocoderOptions, find_base
from core.errors import StudioError
from core.settings import Settings
from core.training import preflight as common
from core.training.preflight import Sizes
from core.training.runs import RunInfo

GENERATOR_PARAMETERS = 14.2e6
JUDGE_PARAMETERS = 63.2e6
"""Of the discriminators at 1024 channels, for the seven periods of openvpi's config; they go with the square."""
BATCH_SIZE, SEGMENT_FRAMES = 10, 32
BASE_BYTES = 0.71e9
"""Process memory beside weights and activations."""
BYTES_PER_FRAME = 8.45e6
"""Activations that are kept for the backward pass, of one frame of one item: counted from the full networks at segments
of 8 and 16 frames. The weights with their norm applied are kept beside them, once."""
PASSING = 1.17
"""Peak of activations by those that are kept, as in `core.engines.sovits.preflight`."""
_UNIT_BYTES_PER_S = 50 * 768 * 2 + 86 * 8


def generation_bytes(options: VocoderOptions) -> float:
    """One checkpoint: weights and two AdamW moments of both modules, float32."""
    return 12.0 * (GENERATOR_PARAMETERS + JUDGE_PARAMETERS * (options.judge_channels / 1024) ** 2)


def memory_bytes(options: VocoderOptions, batch_size: int) -> float:
    """Weights, gradients, moments, and the activations of a batch."""
    frames = options.segment_frames or SEGMENT_FRAMES
    whole = generation_bytes(options)
    kept = whole / 3.0 + batch_size * frames * BYTES_PER_FRAME
    return BASE_BYTES + 4.0 / 3.0 * whole + PASSING * kept


def preflight(settings: Settings, options: VocoderOptions) -> list[Check]:
    """Every check for a run with these options. Nothing is changed, nothing heavy is loaded."""
    if options.resume:
        return common.resume(settings, options.resume, _full_bytes)
    accepted, checks = common.voice_clips(settings, options.voice)
    seconds = sum(clip.duration_s for clip in accepted)
    longest_s = max((clip.duration_s for clip in accepted), default=0.0)
    model = 4.0 * GENERATOR_PARAMETERS
    sizes = Sizes(full=generation_bytes(options), light=0.0, model=model, cache=seconds * _UNIT_BYTES_PER_S, n_probes=0)
    return [
        *checks,
        *common.clip_files(settings, options.voice, accepted),
        voice_model(settings, options),
        _base(settings, options),
        common.disk(settings, options, sizes),
        _device(settings),
        common.memory(
            *(settings, options.batch_size or BATCH_SIZE, options.accumulate),
            lambda size: memory_bytes(options, size),
            longest_s,
        ),
        *common.computer(settings),
        common.others(settings),
    ]


def _full_bytes(info: RunInfo) -> float:
    return generation_bytes(VocoderOptions.model_validate(info.options))


def _base(settings: Settings, options: VocoderOptions) -> Check:
    try:
        path = find_base(settings, options.base)
    except StudioError as err:
        return Check("base model", "fail", err.message, err.hint)
    return Check("base model", "ok", f"starts from {path}")


def _device(settings: Settings) -> Check:
    check = common.computes_on(settings, slow_on_cpu=True)
    if check.verdict != "warn":
        return check
    return replace(check, fix="On a CPU a step takes many seconds: fine-tune on a machine with a GPU.")
