"""The plain speech engines that say a text before it is converted. Each gives mono samples [n] and their rate."""

import tempfile
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
# Voices of the service by language: a woman's, a man's.
_EDGE = {
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
}


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
    try:
        import edge_tts
    except ImportError as err:
        raise Unavailable(
            "The package edge-tts is not installed.",
            "Install it into the studio's environment (pip install edge-tts; LGPL-3; it sends the text to a service "
            "of Microsoft's), or take the engine builtin, which works offline.",
            where="engine",
        ) from err
    named = options.speaker not in ("auto", "woman", "man")
    if not named and language not in _EDGE:
        raise BadInput(
            f"No voice is known for the language {language!r}.",
            f"Name one of the service's as speaker, or use one of {', '.join(_EDGE)}.",
            where="language",
        )
    voice = options.speaker if named else _EDGE[language][0 if high else 1]
    from core.audio.decode import load, probe

    with tempfile.TemporaryDirectory(prefix="timbre-edge-") as folder:
        path = Path(folder) / "said.mp3"
        try:
            edge_tts.Communicate(options.text, voice, rate=f"{round(100 * (options.rate - 1)):+d}%").save_sync(
                str(path)
            )
        # The package's own kinds, and those of the network below it.
        except Exception as err:
            raise Unavailable(
                f"The service gave no speech: {err}", "Try again, or take the engine builtin.", where="engine"
            ) from err
        return load(path), probe(path).rate_hz


_ENGINES: dict[str, Callable[[TextOptions, str, bool], Spoken]] = {
    "builtin": _builtin,
    "piper": _piper,
    "edge": _edge,
}
