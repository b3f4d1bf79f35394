"""A text that somebody wants spoken, whatever the engine. Light."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SpeechRequest:
    """What to say and how. Empty `engine` takes the best that is here; `options` are by the engines' own names, and
    those that an engine does not know are left out. `live` False: nobody hears it before it is whole."""

    text: str = ""
    engine: str = ""
    model: str = ""
    voice: str | None = None
    prompt_audio: Path | None = None
    prompt_text: str = ""
    denoise: bool = False
    normalize: bool = False
    live: bool = True
    options: dict[str, Any] = field(default_factory=dict)
