"""The job "say": a text, its file or subtitles in, speech in a voice out."""

import contextlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.audio.encode import write_audio
from core.device import pick
from core.errors import BadInput
from core.service.speech import BUILTIN, SpeechService
from core.speech import registry, sentences
from core.speech.denoised import denoised
from core.speech.desk import options_class
from core.speech.dubbing import Line, Sound, lines_of, placed
from core.speech.prompt import ReferenceClip, read_clip, roles
from core.speech.say_options import SayOptions
from core.speech.voice_prompt import best_clip
from core.subtitles.options import parse_options

if TYPE_CHECKING:
    from core.dataset.voices import Voice
    from core.jobs.context import JobContext
    from core.speech.engine import Engine, Session

_MAX_FILE_BYTES = 4 * sentences.MAX_CHARS  # a character takes at most four bytes
LOADED = 0.1  # of the progress bar


def run_say(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Say a text; `params` are those of `SayOptions`.

    Writes `out` and, beside it, `out` + ".json" with everything that makes it again. A cancel leaves neither.

    Returns `out`, `sidecar`, `seconds` (of sound), `sample_rate`, `first_chunk_s` (from the loaded model to the first
    sound), `rtf` (seconds of work per second of sound, loading apart), `chunks`, `seed`, `sentences`, `engine`,
    `model`, `device`, `load_s`, `prompt` (file and findings, or None), `warnings`.

    Raises BadInput, NotFound, Unavailable, ModelFileError, NoSpace, Cancelled.
    """
    options = parse_options(SayOptions, params)
    lines_to_say(options)  # refused before anything is loaded
    return say_one(load(options, ctx), options, ctx.sub(LOADED, 1.0))


@dataclass(frozen=True)
class Loaded:
    """A model that speaks."""

    engine: "Engine[Any, Any]"
    folder: Path
    device: str
    load_s: float


def load(options: SayOptions, ctx: "JobContext") -> Loaded:
    """The model that the options ask for. Raises BadInput, NotFound, Unavailable, ModelFileError."""
    settings_of(options)
    service = SpeechService(ctx.settings)
    began, device = time.monotonic(), pick(ctx.settings.device)
    if options.engine == BUILTIN:
        ctx.progress(0.0, "Loading")
        return Loaded(service.builtin(options.voice), Path(BUILTIN), device, time.monotonic() - began)
    folder = _own_model(service, options)
    folder = folder or registry.find_model(options.engine, ctx.settings, options.model, _voice(options, ctx))
    ctx.progress(0.0, f"Loading {folder.name}")
    engine = registry.load_engine(options.engine, folder, device)
    return Loaded(engine, folder, device, time.monotonic() - began)


def _own_model(service: SpeechService, options: SayOptions) -> Path | None:
    """The folder that settings.speech_model names, where it is the one that is meant."""
    if not service.settings.speech_model:
        return None
    engine, folder = service.own_model()
    return folder if options.engine == engine and options.model in ("", folder.name) else None


def settings_of(options: SayOptions) -> Any:
    """The engine's settings, with a seed in them. Raises BadInput."""
    model = options_class(options.engine)
    return parse_options(model, {**options.options, **_seed(options)}).seeded()


def say_one(loaded: Loaded, options: SayOptions, ctx: "JobContext") -> dict[str, Any]:
    """Say the text of the options with a loaded model; see `run_say` for what it gives."""
    lines, voice, settings, engine = lines_to_say(options), _voice(options, ctx), settings_of(options), loaded.engine
    began = time.monotonic()
    stored = getattr(settings, "stored", "")
    clip, reference = (None, None) if stored else _clips(options, voice, engine, getattr(settings, "mode", ""), ctx)
    cache = voice.path / "prompts" if voice is not None and not options.prompt_audio else None
    prompt = engine.prompt(clip, reference, cache) if clip or reference else None
    if stored and voice is not None:
        prompt = engine.stored(voice.path, stored)
    warnings: list[str] = []
    made = _Making(ctx, options, engine.capabilities.sample_rate_hz)
    for number, line in enumerate(lines):
        session = engine.session(settings.model_copy(update={"seed": settings.seed + number}), prompt)
        made.say(session, line, number / len(lines), (number + 1) / len(lines))
        warnings += [f"Cue {number + 1}: {words}" if options.srt else words for words in session.warnings]
    audio = made.parts[0] if not options.srt else placed(lines, made.parts, made.rate_hz, options.max_speed, warnings)
    worked_s = time.monotonic() - began
    ctx.check()
    used = clip or reference
    result = {
        "out": str(options.out),
        "sidecar": f"{options.out}.json",
        "seconds": round(audio.size / made.rate_hz, 3),
        "sample_rate": made.rate_hz,
        "first_chunk_s": round(made.first_s - began, 4),
        "rtf": round(worked_s / max(1e-9, audio.size / made.rate_hz), 4),
        "chunks": made.n_chunks,
        "seed": settings.seed,
        "sentences": made.n_sentences,
        "engine": options.engine,
        "model": str(loaded.folder),
        "device": loaded.device,
        "load_s": round(loaded.load_s, 3),
        "prompt": {"file": str(used.path), "text": used.text, "findings": list(used.findings)} if used else None,
        "warnings": warnings,
    }
    write_audio(options.out, audio, made.rate_hz)
    _write_sidecar(options, settings, result)
    ctx.report(1.0, "")
    return result


class _Making:
    """Sound as it is made, and the figures about it."""

    def __init__(self, ctx: "JobContext", options: SayOptions, rate_hz: int) -> None:
        self._ctx, self._streamed = ctx, options.stream
        self.rate_hz = rate_hz
        self.parts: list[Sound] = []
        self.n_chunks = self.n_sentences = 0
        self.first_s = 0.0

    def say(self, session: "Session", line: Line, start: float, end: float) -> None:
        """Say one line; its share of the progress is start..end."""
        total, self.rate_hz = len(sentences.split(line.text)), session.sample_rate_hz
        kept: list[Sound] = []
        number = 0
        # Closed on a cancel too, so that the engine is free at once.
        with contextlib.closing(session.stream(line.text, live=self._streamed)) as chunks:
            for chunk in chunks:
                self.first_s = self.first_s or time.monotonic()
                kept.append(chunk.audio)
                self.n_chunks += 1
                number = chunk.sentence
                share = min(1.0, number / total)
                self._ctx.progress(start + (end - start) * share, f"Sentence {number + 1}: {chunk.text[:60]}")
        self.n_sentences += number + 1
        self.parts.append(np.concatenate(kept))


def _seed(options: SayOptions) -> dict[str, int]:
    return {} if options.seed is None else {"seed": options.seed}


def lines_to_say(options: SayOptions) -> list[Line]:
    """What is said: one line, or the cues of the subtitles. Raises BadInput."""
    if options.srt:
        return lines_of(options.srt)
    text = options.text or "" if options.file is None else read_text(Path(options.file))
    sentences.split(text)  # refuses what cannot be said before anything is loaded
    return [Line(text)]


def read_text(path: Path) -> str:
    """A text file in any encoding that is known. Raises BadInput (too large, not readable)."""
    from core.subtitles.encoding import decode

    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= _MAX_FILE_BYTES else b""
    except OSError as err:
        raise BadInput(f"{path} cannot be read: {err.strerror}.", "Check the path.", where=str(path)) from err
    if size > _MAX_FILE_BYTES:
        raise BadInput(
            f"{path.name} has {size:,} bytes; a text of up to {sentences.MAX_CHARS:,} characters is said at once.",
            "Split it into parts, for example by chapter.",
            where=str(path),
        )
    return decode(data)[0]


def _voice(options: SayOptions, ctx: "JobContext") -> "Voice | None":
    from core.dataset.voices import VoiceStore

    return VoiceStore(ctx.settings.voices_dir).get(options.voice) if options.voice else None


def _clips(
    options: SayOptions, voice: "Voice | None", engine: "Engine[Any, Any]", mode: str, ctx: "JobContext"
) -> tuple[ReferenceClip | None, ReferenceClip | None]:
    """The clip that the speech goes on from, and the one whose voice alone is taken."""
    if options.engine == BUILTIN:
        if options.prompt_audio or options.reference_audio:
            engine.prompt(None)  # says that it cannot imitate
        return None, None
    rate_hz = engine.capabilities.prompt_rate_hz
    path, text = options.prompt_audio, options.prompt_text
    if path is None and voice is not None:
        can_do_without = "reference" in engine.capabilities.modes
        best, text = best_clip(voice, with_text=not can_do_without)
        path = str(best)

    def read(file: str, words: str = "") -> ReferenceClip:
        if not options.denoise:
            return read_clip(file, rate_hz, words)
        with denoised(Path(file), ctx.settings) as quiet:
            return replace(read_clip(quiet, rate_hz, words), path=Path(file))

    clip = read(path, text) if path else None
    reference = read(options.reference_audio) if options.reference_audio else None
    if clip is not None and reference is None:
        return roles(clip, mode, "reference" in engine.capabilities.modes)
    return clip, reference


def _write_sidecar(options: SayOptions, settings: Any, result: dict[str, Any]) -> None:
    from core import __version__, atomic

    said = options.model_copy(update={"options": settings.model_dump(), "seed": settings.seed})
    content = {"studio": __version__, "kind": "say", "params": said.model_dump(exclude_none=True), "result": result}
    atomic.write_text(f"{options.out}.json", json.dumps(content, ensure_ascii=False, indent=2) + "\n")
