"""The job "text-to-voice": a text in, the same in a trained voice out."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic, summaries
from core.paths import safe_name, unique_path
from core.text_to_voice.language import detect
from core.text_to_voice.options import parse_options
from core.text_to_voice.speakers import speak

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_NAME_CHARS = 24


def run_text_to_voice(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Speak a text in a trained voice.

    Args:
        params: fields of `TextOptions`.
        ctx: settings, progress, cancel. A cancel leaves nothing.

    Returns:
        What `run_convert` does, and {"engine", "language", "spoken_s"}.

    Raises:
        BadInput, NotFound, Unavailable: options, voice, model, engine; and what `run_convert` raises.
    """
    from core.dataset.voices import VoiceStore

    options = parse_options(params)
    voice = VoiceStore(ctx.settings.voices_dir).get(options.voice)
    models = summaries.models_of(voice)
    wanted = options.convert.get("model")
    model = next((one for one in models if wanted in (None, "", one.name, str(one.path))), None)
    suffix = str(options.convert.get("format") or "wav")
    target = Path(options.out) if options.out else _target(options.text, voice.name, ctx.settings.outputs, suffix)
    atomic.check_target(target)
    language = detect(options.text) if options.language == "auto" else options.language
    ctx.progress(0.0, "speaking")
    audio, rate_hz = speak(options, language, model.f0_median if model else None)
    from core.audio.encode import write_audio
    from core.engines.sovits.convert import run_convert

    ctx.settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="speech-", dir=ctx.settings.cache_dir) as folder:
        source = Path(options.spoken) if options.spoken else Path(folder) / f"{target.stem}.wav"
        source.parent.mkdir(parents=True, exist_ok=True)
        write_audio(source, audio, rate_hz, "wav")
        asked = {"transpose": "auto", **options.convert, "voice": voice.name, "source": str(source), "out": str(target)}
        asked.setdefault("format", target.suffix.lower().lstrip("."))
        result = run_convert(asked, ctx.sub(0.1, 1.0))
    return {**result, "engine": options.engine, "language": language, "spoken_s": audio.size / rate_hz}


def short_name(text: str) -> str:
    """The beginning of a text as a name of a file."""
    return safe_name(text[:_NAME_CHARS].strip(), "said")


def _target(text: str, voice: str, outputs: Path, suffix: str) -> Path:
    return unique_path(outputs / f"{short_name(text)}_{safe_name(voice, 'voice')}.{suffix}")
