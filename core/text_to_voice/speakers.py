"""The plain speech engines that say a text before it is converted. Each gives mono samples [n] and their rate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, NotFound, Unavailable
from core.text_to_voice.options import TextOptions

Spoken = tuple[NDArray[np.float32], int]
_WORDS_A_MINUTE = 160
_HIGH_VOICE_HZ = 165.0  # between the usual pitch of men and of women
_ESPEAK = {"zh": "cmn", "en": "en-us", "fr": "fr-fr"}


def speak(options: TextOptions, language: str, f0_hz: float | None) -> Spoken:
    """Say the text. `f0_hz`: median pitch of the trained voice, by which "auto" takes a woman's voice or a man's.

    Raises:
        Unavailable: the engine's package is not installed, or its service cannot be reached.
        NotFound: the voice file is not there. BadInput: it is none, or the engine has no such language.
    """
    audio, rate_hz = _ENGINES[options.engine](options, language, _is_high(options, f0_hz))
    if audio.size == 0:
        raise BadInput("The speech engine said nothing.", "Choose another language or engine.", where="text")
    return (audio * np.float32(10.0 ** (options.volume_db / 20.0))).astype(np.float32), rate_hz


def _is_high(options: TextOptions, f0_hz: float | None) -> bool:
    if options.speaker in ("woman", "man"):
        return options.speaker == "woman"
    return f0_hz is None or f0_hz >= _HIGH_VOICE_HZ


def _builtin(options: TextOptions, language: str, high: bool) -> Spoken:
    from core.audio.synthetic import Speaker, speak

    named = options.speaker not in ("auto", "woman", "man")
    voice = options.speaker if named else _ESPEAK.get(language, language)
    words = round(min(450.0, max(80.0, _WORDS_A_MINUTE * options.rate)))
    return speak(options.text, Speaker(voice, "f3" if high else "m3", words, 62 if high else 30, 55))


def _piper(options: TextOptions, _language: str, _high: bool) -> Spoken:
    path = Path(options.speaker)
    if not path.is_file() or not Path(f"{path}.json").is_file():
        raise NotFound(
            f"There is no Piper voice {path}: it is a .onnx file with its .onnx.json beside it.",
            "Get one from Piper's list of voices and name its .onnx file.",
            where="speaker",
        )
    try:
        from piper import PiperVoice
        from piper.config import SynthesisConfig
    except ImportError as err:
        raise Unavailable(
            "Piper is not installed.",
            "Install it into the studio's environment (pip install piper-tts; GPL-3), or take the engine builtin.",
            where="engine",
        ) from err
    try:
        voice: Any = PiperVoice.load(str(path))
        chunks = list(voice.synthesize(options.text, SynthesisConfig(length_scale=1.0 / options.rate)))
    # Piper and onnxruntime raise their own kinds for a damaged voice; none may reach a user as it is.
    except Exception as err:
        raise BadInput(f"The Piper voice {path.name} cannot be used: {err}", "Get it again.", where="speaker") from err
    if not chunks:
        return np.zeros(0, np.float32), 22050
    return np.concatenate([chunk.audio_float_array for chunk in chunks]).astype(np.float32), chunks[0].sample_rate


def _edge(options: TextOptions, language: str, high: bool) -> Spoken:
    from core.text_to_voice.edge import say

    named = options.speaker if options.speaker not in ("auto", "woman", "man") else ""
    return say(options.text, language, named, high, options.rate)


_ENGINES: dict[str, Callable[[TextOptions, str, bool], Spoken]] = {
    "builtin": _builtin,
    "piper": _piper,
    "edge": _edge,
}
