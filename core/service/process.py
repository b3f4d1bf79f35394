"""The job "character-audio": recordings are cleaned if wanted, cut into clips, and given texts where a recogniser is.

Messages begin with the step's documented name, from which `current_step` is told.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.dataset.prepare import run_prepare
from core.dataset.voices import Voice, VoiceStore
from core.errors import StudioError, Unavailable
from core.jobs.context import JobContext

if TYPE_CHECKING:
    from core.dataset.clips import Clip

_DENOISE_SHARE = 0.4
_CLIPS_SHARE = 0.85


class _Step(JobContext):
    """A part of the job whose messages begin with its name."""

    def __init__(self, name: str, parent: JobContext) -> None:
        self.settings, self.job_id, self.log_path = parent.settings, parent.job_id, parent.log_path
        self._name, self._parent = name, parent
        self.progress(0.0, "")

    @property
    def cancel_requested(self) -> bool:
        return self._parent.cancel_requested

    def report(self, fraction: float | None, message: str) -> None:
        self._parent.report(fraction, f"{self._name}: {message}" if message else self._name)


def run_process(params: dict[str, Any], ctx: JobContext) -> dict[str, Any]:
    """Make the clips of a character.

    `params`: `voice`, `denoise` (bool), `language` (two letters, or "auto"). Decoding is part of each step: nothing is
    converted beforehand, so `convert_audio` passes at once.

    Returns what `run_prepare` does, with `transcribed` (number of clips that got a text). Raises as `run_prepare` and
    `run_clean` do.
    """
    voice = VoiceStore(ctx.settings.voices_dir).get(str(params.get("voice") or ""))
    _Step("convert_audio", ctx.sub(0.0, 0.01))
    warnings: list[str] = []
    start = 0.01
    if params.get("denoise"):
        warnings += _denoise(voice, _Step("denoise_audio", ctx.sub(start, _DENOISE_SHARE)))
        start = _DENOISE_SHARE
    result = run_prepare({"voice": voice.name}, _Step("slice_audio", ctx.sub(start, _CLIPS_SHARE)))
    step = _Step("asr_transcribe", ctx.sub(_CLIPS_SHARE, 1.0))
    result["transcribed"] = _transcribe(voice, str(params.get("language") or "auto"), step, warnings)
    result["warnings"] = [*warnings, *result["warnings"]]
    ctx.report(1.0, "")
    return result


def _denoise(voice: Voice, ctx: JobContext) -> list[str]:
    """Clean the recordings that were not cleaned yet; the cleaned ones take their place when clips are made."""
    from core.cleaning import record
    from core.cleaning.clean import run_clean
    from core.dataset.prepare import recordings

    names = [name for name in recordings(voice) if record.read(voice, name) is None]
    if not names:
        return []
    result = run_clean({"voice": voice.name, "files": names, "options": {"steps": ["highpass", "denoise"]}}, ctx)
    return [f"{name}: {why}" for name, why in result["failed"].items()]


def _transcribe(voice: Voice, language: str, ctx: JobContext, warnings: list[str]) -> int:
    """Give texts to clips that have none; without a recogniser on this machine that is left out, and said."""
    from core.dataset.clips import ClipTable

    table = ClipTable(voice)
    todo = [clip for clip in table.load() if clip.verdict != "rejected" and not clip.text.strip()]
    if not todo:
        return 0
    try:
        texts = _texts(voice, todo, language, ctx)
    except Unavailable as err:
        warnings.append(f"The clips have no transcripts: {err.message} {err.hint}")
        return 0

    def change(clips: "list[Clip]") -> "list[Clip]":
        return [replace(c, text=texts[c.id]) if c.id in texts and not c.text.strip() else c for c in clips]

    table.update(change)
    return len(texts)


def _texts(voice: Voice, clips: "list[Clip]", language: str, ctx: JobContext) -> dict[str, str]:
    """What is said in each clip. Raises Unavailable (no recogniser), Cancelled."""
    from core.audio.decode import load
    from core.dataset.clips import clip_path
    from core.transcribe.chunks import RATE_HZ
    from core.transcribe.options import TranscribeOptions
    from core.transcribe.recogniser import open_recogniser

    options = TranscribeOptions(audio="", out="", language=None if language == "auto" else language)
    recogniser = open_recogniser(ctx.settings, options)
    found: dict[str, str] = {}
    for number, clip in enumerate(clips):
        ctx.progress(number / len(clips), f"{number} of {len(clips)} clips")
        try:
            words = recogniser.words(load(clip_path(voice, clip), RATE_HZ), ctx.check)
            text = "".join(word.text for word in words).strip()
        except Unavailable:
            raise
        except StudioError:
            ctx.check()  # a cancel passes; a clip that cannot be heard stays without a text
            continue
        if text:
            found[clip.id] = text
    return found
