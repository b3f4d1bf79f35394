"""The job "character-speech": a text (spoken by espeak-ng) or an uploaded clip, in a character's trained voice."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import summaries
from core.dataset.voices import VoiceStore
from core.paths import inside
from core.service import status
from core.service.languages import espeak_voice

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.jobs.context import JobContext

_HIGH_VOICE_HZ = 165.0  # between the usual pitch of men and of women


def run_speech(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Speak a text as a character does: by the model of it that was trained last.

    VoxCPM speaks by itself; through a converter goes built-in speech, or a recording.

    `params`: `voice`, `text`, `language`, `source` (a recording of the voice instead of the text), `ref_audio` (path
    in the voice's folder of the clip that VoxCPM copies; left out: the best one) and `ref_text` (its words, or ""),
    `transpose` (semitones or None), `seed`, `out` (path of the wav).

    Returns what `run_convert` or `run_say` does, and `output`. Raises as they do, and Unavailable where espeak-ng is
    missing.
    """
    from core.engines.sovits.convert import run_convert

    voice = VoiceStore(ctx.settings.voices_dir).get(str(params.get("voice") or ""))
    newest = next(iter(status.trained(voice)), None)
    if newest is not None and newest.engine == "voxcpm" and not params.get("source"):
        return _by_voxcpm(params, newest.path, voice, ctx)
    ctx.settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="speech-", dir=ctx.settings.cache_dir) as folder:
        if params.get("source"):
            source = inside(voice.path, voice.raw / str(params["source"]))
        else:
            ctx.progress(0.0, "speaking")
            models = summaries.models_of(voice)
            source = Path(folder) / "spoken.wav"
            _say(str(params["text"]), str(params["language"]), models[0].f0_median if models else None, source)
        transpose = params.get("transpose")
        options = {
            "voice": voice.name,
            "source": str(source),
            "transpose": "auto" if transpose is None else transpose,
            "seed": params.get("seed", 52468),
            "out": str(params["out"]),
        }
        return run_convert(options, ctx.sub(0.05, 1.0))


def _by_voxcpm(params: dict[str, Any], model: Path, voice: "Voice", ctx: "JobContext") -> dict[str, Any]:
    from core.speech.options import MAX_SEED
    from core.speech.say import run_say

    said = {"text": str(params["text"]), "engine": "voxcpm", "model": str(model), "out": str(params["out"]),
            "seed": int(params.get("seed", 52468)) % (MAX_SEED + 1)}  # fmt: skip
    if not params.get("ref_audio"):
        said["voice"] = voice.name
    else:
        clip, words = str(inside(voice.path, voice.path / str(params["ref_audio"]))), str(params.get("ref_text") or "")
        # Without its words a clip can lend its voice alone, which VoxCPM 2 takes and older ones refuse in words.
        said |= {"prompt_audio": clip, "prompt_text": words} if words else {"reference_audio": clip}
    result = run_say(said, ctx)
    return {**result, "output": result["out"]}


def _say(text: str, language: str, f0_hz: float | None, path: Path) -> None:
    """Speech by espeak-ng, a woman's or a man's as the voice is high or low."""
    from core.audio.encode import write_audio
    from core.audio.synthetic import Speaker, speak

    high = f0_hz is None or f0_hz >= _HIGH_VOICE_HZ
    speaker = Speaker(espeak_voice(language, text), "f3" if high else "m3", 160, 62 if high else 30, 55)
    audio, rate_hz = speak(text, speaker)
    write_audio(path, audio, rate_hz, "wav")
