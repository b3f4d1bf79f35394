"""Speech made on this machine by espeak-ng, for the demo and the tests: no download, no microphone.

`espeakng_loader` brings the library and its voice data as a wheel; ctypes speaks to it. espeak-ng is GPL-3: it is a
separate package that the user installs, named in docs/licences.md, and nothing of it is linked into this program.
The quality is robotic on purpose: enough to prove a path through the studio, never a voice to judge it by.
"""

import ctypes
import os
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput, Unavailable

_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples go to a callback, in this thread; no sound device is opened
_CHARS_UTF8 = 1
_RATE_WPM, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_PHONEMES_IPA = 0x02 | (ord("_") << 8)  # espeakPHONEMES_IPA, with "_" between the sounds
_PATH_LIMIT = 150  # espeak-ng keeps its data path in 160 bytes

SENTENCES: tuple[str, ...] = (
    "The old harbour wakes before the sun, and the first boats slip out past the wall.",
    "She counted seven lanterns on the hill, then lost them one by one in the fog.",
    "Every morning the baker opens his window and lets the warm smell fill the street.",
    "We measured the width of the river twice, and twice we came to a different answer.",
    "A quick brown fox jumps over the lazy dog while five wizards mix a jug of punch.",
    "Please leave the blue folder on the table, next to the letter from the museum.",
    "Thunder rolled across the valley, but the rain did not begin until the evening.",
    "They built the bridge out of oak and rope, and it has carried us for thirty years.",
    "Nobody could say who painted the ship, or why its sails were the colour of honey.",
    "Turn left at the church, follow the wall for a while, and you will see the garden.",
    "His voice was low and even, as though he were reading a story to a sleeping child.",
    "In winter the lake is quiet, and you can hear the ice sing when the wind changes.",
    "The judge asked for a short pause, poured some water, and looked over the papers again.",
    "Our train leaves at a quarter past eight, so meet me under the clock at eight.",
    "Fresh bread, cheese, a few green apples: that was all we had, and it was plenty.",
    "The choir practised the same four bars until the windows began to hum with them.",
)
"""Plain English of our own making that touches every English phone."""


@dataclass(frozen=True)
class Speaker:
    """One synthetic voice. `pitch` and `pitch_range` are espeak-ng's 0..99, `rate_wpm` words a minute."""

    voice: str = "en-us"
    variant: str = "f3"
    rate_wpm: int = 165
    pitch: int = 55
    pitch_range: int = 55

    @property
    def name(self) -> str:
        """espeak-ng's own name of the voice with its variant."""
        return f"{self.voice}+{self.variant}" if self.variant else self.voice


WOMAN = Speaker("en-us", "f3", 160, 62, 55)
MAN = Speaker("en-gb-x-rp", "m3", 150, 30, 50)

_lock = threading.Lock()
_library: Any = None
_rate_hz = 0
_chunks: list[NDArray[np.int16]] = []


def _collect(samples: Any, count: int, _events: Any) -> int:
    if count > 0 and samples:
        _chunks.append(np.ctypeslib.as_array(samples, shape=(count,)).copy())
    return 0


_CALLBACK_TYPE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_callback = _CALLBACK_TYPE(_collect)  # kept for the life of the module: the library holds a bare pointer to it


def _data_path(path: str) -> str:
    """`path`, or a short link to it where it is too long for espeak-ng's buffer."""
    if len(os.fsencode(path)) <= _PATH_LIMIT:
        return path
    link = Path(tempfile.mkdtemp(prefix="espeak-")) / "espeak-ng-data"
    link.symlink_to(path, target_is_directory=True)
    return str(link)


def _open() -> Any:
    """Load and initialise the library once a process. Raises `Unavailable` where the package is missing."""
    global _library, _rate_hz
    if _library is not None:
        return _library
    try:
        import espeakng_loader
    except ImportError as err:
        raise Unavailable(
            "The package espeakng-loader is not installed, so no speech can be synthesised here.",
            "Run ./launch.sh once (launch.bat on Windows): it installs what requirements.txt lists.",
        ) from err
    try:
        library = ctypes.cdll.LoadLibrary(espeakng_loader.get_library_path())
    except OSError as err:
        raise Unavailable(
            f"The espeak-ng library does not load: {err}", "Reinstall the package espeakng-loader."
        ) from err
    library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
    library.espeak_SetSynthCallback.argtypes = [_CALLBACK_TYPE]
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
        ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    data = os.fsencode(_data_path(espeakng_loader.get_data_path()))
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, data, 0)
    if rate_hz <= 0:
        raise Unavailable("espeak-ng does not start: its voice data was not found.", "Reinstall espeakng-loader.")
    library.espeak_SetSynthCallback(_callback)
    _library, _rate_hz = library, int(rate_hz)
    return library


def speak(text: str, speaker: Speaker = WOMAN) -> tuple[NDArray[np.float32], int]:
    """Say `text`. Returns (audio [N] float32 in -1..1, rate_hz; espeak-ng runs at 22050).

    Raises `Unavailable` without espeak-ng and `BadInput` for a voice it does not know or a text it cannot say.
    """
    with _lock:
        library = _open()
        if library.espeak_SetVoiceByName(speaker.name.encode()) != 0:
            raise BadInput(
                f"espeak-ng has no voice '{speaker.name}'.", "Use one that its package lists, such as en-us+f3."
            )
        for parameter, value in (
            (_RATE_WPM, speaker.rate_wpm),
            (_VOLUME, 90),
            (_PITCH, speaker.pitch),
            (_RANGE, speaker.pitch_range),
        ):
            library.espeak_SetParameter(parameter, value, 0)
        _chunks.clear()
        raw = text.encode()
        if library.espeak_Synth(raw, len(raw) + 1, 0, 0, 0, _CHARS_UTF8, None, None) != 0 or not _chunks:
            raise BadInput("espeak-ng made no sound of this text.", "Give it at least one word.")
        audio = np.concatenate(_chunks).astype(np.float32) / 32768.0
        _chunks.clear()
        return audio, _rate_hz


def phonemes(text: str, voice: str = "en-us") -> list[str]:
    """The sounds of `text` in IPA, without stress marks, as espeak-ng reads it with that voice.

    Raises `Unavailable` without espeak-ng and `BadInput` for a voice it does not know.
    """
    with _lock:
        library = _open()
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise BadInput(f"espeak-ng has no voice '{voice}'.", "Use one that its package lists, such as en-us.")
        sounds: list[str] = []
        rest = ctypes.c_char_p(text.replace("\0", " ").encode())
        while rest.value is not None:  # a clause a call; the library sets the pointer to null at the end
            clause = library.espeak_TextToPhonemes(ctypes.byref(rest), _CHARS_UTF8, _PHONEMES_IPA) or b""
            words = clause.decode("utf-8", "replace").replace("ˈ", "").replace("ˌ", "").split()
            sounds += [sound for word in words for sound in word.split("_") if sound]
        return sounds


def recording(
    seconds: float,
    speaker: Speaker = WOMAN,
    *,
    sentences: Sequence[str] = SENTENCES,
    pause_s: float = 0.6,
) -> tuple[NDArray[np.float32], int]:
    """A take of at least `seconds`: whole sentences with pauses between, repeated as often as needed.

    Returns (audio [N] float32, rate_hz). Each further round is spoken a little higher and faster, so that no two
    sentences are the same samples. A breath of noise at -66 dBFS lies under it: digital silence is not a recording.
    """
    pieces: list[NDArray[np.float32]] = []
    total_s, index = 0.0, 0
    while total_s < seconds:
        shift = (index // len(sentences)) * 4
        take = Speaker(
            speaker.voice,
            speaker.variant,
            min(260, speaker.rate_wpm + 2 * shift),
            min(99, speaker.pitch + shift),
            speaker.pitch_range,
        )
        audio, rate_hz = speak(sentences[index % len(sentences)], take)
        pieces += [audio, np.zeros(int(pause_s * rate_hz), np.float32)]
        total_s += len(audio) / rate_hz + pause_s
        index += 1
    if not pieces:
        raise BadInput("A recording of no length was asked for.", "Ask for more than 0 seconds.")
    whole = np.concatenate(pieces)
    noise = np.random.default_rng(len(whole)).standard_normal(len(whole)).astype(np.float32)
    return (whole + 0.0005 * noise).astype(np.float32), rate_hz
