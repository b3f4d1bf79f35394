"""What a recogniser hears in the clips: their words, held against their texts, and their language. Optional: without a
recogniser this is "not measured"."""

import contextlib
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter, ValidationError

from core import atomic
from core.audio.decode import load
from core.errors import BadInput, ModelFileError, Unavailable
from core.quality.text_match import character_error_rate, language_of

if TYPE_CHECKING:
    from core.jobs.context import JobContext
    from core.quality.items import Item
    from core.quality.options import QaOptions
    from core.transcribe.recogniser import Recogniser

TEXT, LANGUAGE = "text_differs", "other_language"
_RATE_HZ = 16000
_SAVE_EVERY = 20
_SURE = 0.8  # Whisper is wrong about short clips often, but then rarely sure


@dataclass(frozen=True)
class Heard:
    """One clip as a recogniser heard it. `language`: "" where it tells none or is not sure; `error_rate` (character
    errors) None without a text to hold it against."""

    text: str
    language: str = ""
    error_rate: float | None = None


_ADAPTER = TypeAdapter(dict[str, dict[str, Heard]])


def listen(
    items: "list[Item]", options: "QaOptions", kept: Path, ctx: "JobContext"
) -> tuple[dict[str, Heard], dict[str, str]]:
    """(what was heard by clip id, {code: why it was not measured}).

    `options.asr` names the model ("auto": the best that is here). What was heard is kept in the file `kept` by content
    and model, so that another run listens to new clips only. Raises Cancelled.
    """
    if not options.asr:
        return {}, {TEXT: "not asked for", LANGUAGE: "not asked for"}
    texts = [item for item in items if item.text.strip()]
    try:
        recogniser = _open(options, texts, ctx)
    except (ImportError, Unavailable, ModelFileError) as err:
        return {}, {TEXT: str(err), LANGUAGE: str(err)}
    tells_languages = recogniser.spoken(np.zeros(_RATE_HZ, np.float32)) is not None
    heard = heard_by(recogniser, items if tells_languages else texts, kept, ctx)
    why = {} if texts else {TEXT: "no clip has text"}
    if not any(one.language for one in heard.values()):
        why[LANGUAGE] = f"{recogniser.name} is not sure of any, or tells no languages apart"
    return heard, why


def heard_by(recogniser: "Recogniser", items: "list[Item]", kept: Path, ctx: "JobContext") -> dict[str, Heard]:
    """What this recogniser hears, by clip id; clips that cannot be read are left out. Raises Cancelled."""
    stored = _read(kept)
    known = stored.setdefault(recogniser.name, {})
    found: dict[str, Heard] = {}
    try:
        for number, item in enumerate(items, start=1):
            if item.sha256 not in known:
                with contextlib.suppress(BadInput):
                    known[item.sha256] = _heard(recogniser, item.path, ctx)
                if number % _SAVE_EVERY == 0:
                    _write(kept, stored)
            ctx.progress(number / len(items), f"Recognised {number} of {len(items)} clips")
            if (one := known.get(item.sha256)) is not None:
                rate = round(character_error_rate(item.text, one.text), 3) if item.text.strip() else None
                found[item.id] = replace(one, error_rate=rate)
    finally:
        _write(kept, stored)
    return found


def expected_language(heard: dict[str, Heard], options: "QaOptions") -> str:
    """The language that the clips should be in: the one given, or the one heard most; "" if neither is known."""
    if options.text_language:
        return options.text_language
    counts = Counter(one.language for one in heard.values() if one.language)
    return counts.most_common(1)[0][0] if counts else ""


def _open(options: "QaOptions", items: "list[Item]", ctx: "JobContext") -> "Recogniser":
    from core.transcribe.options import TranscribeOptions
    from core.transcribe.recogniser import open_recogniser

    model = None if options.asr == "auto" else options.asr
    language = options.text_language or language_of(" ".join(item.text for item in items)) or None
    parakeet = bool(model and model.startswith("parakeet"))
    wanted = TranscribeOptions(
        audio="", out="", engine="parakeet" if parakeet else "whisper", model=model, language=language
    )
    return open_recogniser(ctx.settings, wanted)


def _heard(recogniser: "Recogniser", path: Path, ctx: "JobContext") -> Heard:
    audio = load(path, _RATE_HZ)
    text = "".join(word.text for word in recogniser.words(audio, ctx.check)).strip()
    language, sure = recogniser.spoken(audio) or ("", 0.0)
    return Heard(text, language if sure >= _SURE else "")


def _read(kept: Path) -> dict[str, dict[str, Heard]]:
    """Model -> content -> what was heard; nothing where the file is missing or damaged."""
    with contextlib.suppress(OSError, ValidationError):
        return _ADAPTER.validate_json(kept.read_bytes())
    return {}


def _write(kept: Path, stored: dict[str, dict[str, Heard]]) -> None:
    atomic.write_json(kept, {model: {k: asdict(v) for k, v in rows.items()} for model, rows in stored.items()})
