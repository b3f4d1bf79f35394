"""What is asked before a part beside a voice model is trained. Light: no torch here."""

from core.checks import Check
from core.engines.sovits.kmeans_options import BesideOptions, DiffusionOptions, KmeansOptions
from core.engines.sovits.kmeans_target import find_target
from core.errors import StudioError
from core.settings import Settings
from core.training import preflight as common
from core.training.preflight import Sizes
from core.training.runs import RunInfo

_UNIT_BYTES_PER_S = 50 * 768 * 2 + 86 * 8
_FULL = {"sovits-kmeans": 62e6, "sovits-index": 62e6, "sovits-diffusion": 660e6}
"""Bytes of one checkpoint: weights and moments, or centres."""


def preflight(settings: Settings, options: BesideOptions) -> list[Check]:
    """Every check for a run with these options. Nothing is changed, nothing heavy is loaded."""
    if options.resume:
        return common.resume(settings, options.resume, _full_bytes)
    accepted, checks = common.voice_clips(settings, options.voice)
    seconds = sum(clip.duration_s for clip in accepted)
    full = _FULL[options.engine]
    sizes = Sizes(full=full, light=0.0, model=full / 3.0, cache=seconds * _UNIT_BYTES_PER_S, n_probes=0)
    heavy = isinstance(options, DiffusionOptions)
    return [
        *checks,
        *common.clip_files(settings, options.voice, accepted),
        voice_model(settings, options),
        common.disk(settings, options, sizes),
        common.computes_on(settings, slow_on_cpu=heavy),
        common.others(settings),
    ]


def _full_bytes(info: RunInfo) -> float:
    return _FULL.get(str(info.options.get("engine")), _FULL[KmeansOptions.model_fields["engine"].default])


def voice_model(settings: Settings, options: BesideOptions) -> Check:
    """Whether there is a model that the part could be for, and its encoder."""
    from core.features.encoders import available

    try:
        target = find_target(settings, options.voice, options.model)
    except StudioError as err:
        return Check("voice model", "fail", err.message, err.hint)
    infos = {info.name: info for info in available(settings)}
    info = infos.get(target.encoder)
    if info is None or not info.ready:
        why = info.why_not if info is not None else f"The studio does not know the encoder '{target.encoder}'."
        return Check("voice model", "fail", f"'{target.folder.name}' needs the encoder '{target.encoder}'", why)
    return Check("voice model", "ok", f"for '{target.folder.name}', with the encoder '{target.encoder}'")
