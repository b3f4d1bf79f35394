"""The job "transcribe": a recording in, subtitles of whole sentences out."""

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.audio.decode import probe, stream
from core.errors import BadInput
from core.subtitles.cue import Cue
from core.subtitles.options import parse_options
from core.subtitles.write import to_srt
from core.transcribe.chunks import RATE_HZ, quiet_chunks
from core.transcribe.options import TranscribeOptions
from core.transcribe.recogniser import open_recogniser
from core.transcribe.words import Word, cues_of

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_LOAD_SHARE = 0.05  # of the progress bar
_UNSURE = 0.5


def run_transcribe(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Transcribe a recording; `params` are those of `TranscribeOptions`.

    Writes `out` (SRT) and, beside it, `words` (JSON lines: text, start_s, end_s, probability). A cancel leaves
    neither. Memory does not grow with the length of the recording.

    Returns `out`, `words`, `cues`, `unsure` (numbers of cues whose words are less than half sure on average),
    `language`, `language_probability`, `engine`, `model`, `device`, `duration_s`, `seconds`, `warnings`.

    Raises BadInput (options, recording, place of `out`, no speech), Unavailable (model, package, GPU), ModelFileError,
    NoSpace, Cancelled.
    """
    options = parse_options(TranscribeOptions, params)
    began = time.monotonic()
    warnings: list[str] = []
    atomic.check_target(options.out, options.audio)
    info = probe(options.audio)
    ctx.progress(0.0, "Loading the model")
    recogniser = open_recogniser(ctx.settings, options)
    name = Path(options.audio).name
    ctx.progress(_LOAD_SHARE, f"{recogniser.name}: {name}")
    part = ctx.sub(_LOAD_SHARE, 1.0)
    blocks = stream(options.audio, RATE_HZ, max_hours=ctx.settings.max_decode_hours, warnings=warnings)
    words: list[Word] = []
    duration_s = 0.0
    for offset_s, audio in quiet_chunks(blocks):
        duration_s = offset_s + audio.size / RATE_HZ
        total_s = max(info.duration_s or math.inf, duration_s)
        for word in recogniser.words(audio, part.check):
            words.append(Word(word.text, offset_s + word.start_s, offset_s + word.end_s, word.probability))
            part.progress(words[-1].end_s / total_s if math.isfinite(total_s) else 0.5)
    cues = cues_of(words, pause_ms=options.pause_ms, limit_s=options.limit_s)
    if not cues:
        raise BadInput(f"No speech was heard in {name}.", "Check that it is the right recording.", where=options.audio)
    ctx.check()
    words_path = Path(options.out).with_suffix(".words.jsonl")
    lines = [json.dumps(asdict(word), ensure_ascii=False) for word in words]
    atomic.write_text(words_path, "\n".join(lines) + "\n")
    atomic.write_text(options.out, to_srt(cues))
    ctx.report(1.0, "")
    return {
        "out": options.out,
        "words": str(words_path),
        "cues": len(cues),
        "unsure": _unsure(cues, words),
        "language": recogniser.language,
        "language_probability": round(recogniser.language_probability, 4),
        "engine": options.engine,
        "model": recogniser.name,
        "device": recogniser.device,
        "duration_s": round(duration_s, 3),
        "seconds": round(time.monotonic() - began, 2),
        "warnings": [*recogniser.warnings, *warnings],
    }


def _unsure(cues: list[Cue], words: list[Word]) -> list[int]:
    """Numbers of the cues that a person should listen to."""
    found, at = [], 0
    for number, cue in enumerate(cues, start=1):
        sure: list[float] = []
        # Ends decide: the next cue's first word may begin within the millisecond in which this one ends.
        while at < len(words) and round(1000 * words[at].end_s) <= cue.end_ms:
            sure.append(words[at].probability)
            at += 1
        if sure and sum(sure) / len(sure) < _UNSURE:
            found.append(number)
    return found
