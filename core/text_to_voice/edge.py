"""Microsoft's speech service of the Edge browser, by the optional package edge-tts: the text leaves this machine."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, Unavailable

OFFLINE = "Take the engine builtin (espeak-ng) or piper: both work offline."
# By language: a woman's voice, a man's.
VOICES = {
    "en": ("en-US-AriaNeural", "en-US-GuyNeural"),
    "zh": ("zh-CN-XiaoxiaoNeural", "zh-CN-YunxiNeural"),
    "ja": ("ja-JP-NanamiNeural", "ja-JP-KeitaNeural"),
    "ko": ("ko-KR-SunHiNeural", "ko-KR-InJoonNeural"),
    "de": ("de-DE-KatjaNeural", "de-DE-ConradNeural"),
    "fr": ("fr-FR-DeniseNeural", "fr-FR-HenriNeural"),
    "es": ("es-ES-ElviraNeural", "es-ES-AlvaroNeural"),
    "it": ("it-IT-ElsaNeural", "it-IT-DiegoNeural"),
    "pt": ("pt-BR-FranciscaNeural", "pt-BR-AntonioNeural"),
    "ru": ("ru-RU-SvetlanaNeural", "ru-RU-DmitryNeural"),
    "nl": ("nl-NL-ColetteNeural", "nl-NL-MaartenNeural"),
    "ar": ("ar-EG-SalmaNeural", "ar-EG-ShakirNeural"),
    "hi": ("hi-IN-SwaraNeural", "hi-IN-MadhurNeural"),
    "th": ("th-TH-PremwadeeNeural", "th-TH-NiwatNeural"),
    "el": ("el-GR-AthinaNeural", "el-GR-NestorasNeural"),
    "he": ("he-IL-HilaNeural", "he-IL-AvriNeural"),
}


def say(text: str, language: str, named: str, high: bool, rate: float) -> tuple[NDArray[np.float32], int]:
    """Speech of the service, mono samples [n] and their rate.

    Args:
        text: what is said.
        language: two-letter code; decides the voice where none is `named`.
        named: a voice of the service, such as en-US-AriaNeural, or "".
        high: a woman's voice rather than a man's.
        rate: speed, 1 is the voice's own.

    Raises:
        Unavailable: the package is not installed, or the service was not reached or did not speak.
        BadInput: no voice for the language, or a name that is none.
    """
    try:
        import edge_tts
    except ImportError as err:
        raise Unavailable(
            "The package edge-tts is not installed.",
            "Install it into the studio's environment (pip install edge-tts; LGPL-3; it sends the text to a service "
            f"of Microsoft's). {OFFLINE}",
            where="engine",
        ) from err
    if not named and language not in VOICES:
        raise BadInput(
            f"No voice is known for the language {language!r}.",
            f"Name one of the service's as speaker, or use one of {', '.join(VOICES)}.",
            where="language",
        )
    voice = named or VOICES[language][0 if high else 1]
    try:
        spoken = edge_tts.Communicate(text, voice, rate=f"{round(100 * (rate - 1)):+d}%")
    except ValueError as err:  # the package knows what a name looks like
        raise BadInput(
            f"{voice!r} is no voice of the service.", "Names are like en-US-AriaNeural.", where="speaker"
        ) from err
    from core.audio.decode import load, probe

    with tempfile.TemporaryDirectory(prefix="timbre-edge-") as folder:
        path = Path(folder) / "said.mp3"
        try:
            spoken.save_sync(str(path))
        # The package's own kinds, those of the network below it, and whatever a later version of it raises.
        except Exception as err:
            raise Unavailable(_words(err, voice), f"Try again later. {OFFLINE}", where="engine") from err
        return load(path), probe(path).rate_hz


def _words(err: Exception, voice: str) -> str:
    """What went wrong, without the library's own names of things."""
    import aiohttp
    from edge_tts.exceptions import NoAudioReceived

    status: Any = getattr(err, "status", None)
    if isinstance(err, NoAudioReceived):
        return f"The service said nothing in the voice {voice!r}: it may not know the voice, or not speak the language."
    if isinstance(err, aiohttp.ClientConnectorError):
        return f"The speech service ({err.host}) cannot be reached: this machine seems to be offline."
    if isinstance(err, TimeoutError):
        return "The speech service did not answer in time."
    if isinstance(status, int) and status >= 400:
        return f"The speech service refused the request (HTTP {status})."
    return f"The speech service gave no speech: {' '.join(str(err).split())[:200] or type(err).__name__}."
