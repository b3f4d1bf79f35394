"""What a recogniser hears in the clips, held against their texts. Optional: without one this is "not measured"."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from core import atomic
from core.audio.decode import load
from core.errors import BadInput, ModelFileError, Unavailable
from core.quality.text_match import character_error_rate, language_of

if TYPE_CHECKING:
    from core.jobs.context import JobContext
    from core.quality.items import Item
    from core.quality.options import QaOptions
    from core.transcribe.recogniser import Recogniser

CODE = "text_differs"
_RATE_HZ = 16000
_SAVE_EVERY = 20


def error_rates(
    items: "list[Item]", options: "QaOptions", kept: Path, ctx: "JobContext"
) -> tuple[dict[str, float], dict[str, str]]:
    """(character error rate by clip id, {CODE: why nothing was measured}).

    `options.asr` names the model ("auto": the best that is here). What was heard is kept in the file `kept` by content
    and model, so that another run listens to new clips only. Raises Cancelled.
    """
    if not options.asr:
        return {}, {CODE: "not asked for"}
    texts = [item for item in items if item.text.strip()]
    if not texts:
        return {}, {CODE: "no clip has text"}
    try:
        recogniser = _open(options, texts, ctx)
    except (ImportError, Unavailable, ModelFileError) as err:
        return {}, {CODE: str(err)}
    heard = _read(kept)
    known = heard.setdefault(recogniser.name, {})
    rates: dict[str, float] = {}
    try:
        for number, item in enumerate(texts, start=1):
            if item.sha256 not in known:
                with contextlib.suppress(BadInput):
                    known[item.sha256] = _listen(recogniser, item.path, ctx)
                if number % _SAVE_EVERY == 0:
                    atomic.write_json(kept, heard)
            ctx.progress(number / len(texts), f"Recognised {number} of {len(texts)} clips")
            if item.sha256 in known:
                rates[item.id] = round(character_error_rate(item.text, known[item.sha256]), 3)
    finally:
        atomic.write_json(kept, heard)
    return rates, {}


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


def _listen(recogniser: "Recogniser", path: Path, ctx: "JobContext") -> str:
    return "".join(word.text for word in recogniser.words(load(path, _RATE_HZ), ctx.check)).strip()


def _read(kept: Path) -> dict[str, dict[str, str]]:
    """Model -> content -> what was heard; nothing where the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        rows = json.loads(kept.read_bytes())
        return {str(model): {str(k): str(v) for k, v in texts.items()} for model, texts in rows.items()}
    return {}
