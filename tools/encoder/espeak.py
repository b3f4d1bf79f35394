"""espeak-ng through ctypes: speech and the phones with their times.

The library and its data come from the package ``espeakng_loader``.
"""

import ctypes
from dataclasses import dataclass

import espeakng_loader
import numpy as np
import soxr

SYNCHRONOUS = 2
PHONEME_EVENTS = 1
UTF8 = 1
EVENT_END, EVENT_PHONEME = 0, 7
PARAMETER_RATE, PARAMETER_PITCH, PARAMETER_RANGE = 1, 3, 4


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class Phone:
    """One phone of espeak-ng's own alphabet and the time at which it starts."""

    symbol: str
    start_s: float


class Espeak:
    """One espeak-ng in this process (the library has global state: make only one)."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        data = str(espeakng_loader.get_data_path()).encode()
        self.rate_hz = int(self._lib.espeak_Initialize(SYNCHRONOUS, 0, data, PHONEME_EVENTS))
        if self.rate_hz <= 0:
            raise RuntimeError("espeak-ng did not start")
        self._audio: list[np.ndarray] = []
        self._phones: list[Phone] = []
        self._callback = _CALLBACK(self._collect)  # kept: the library holds only a raw pointer
        self._lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: object, n: int, events: object) -> int:
        if n > 0:
            self._audio.append(np.ctypeslib.as_array(samples, shape=(n,)).copy())  # type: ignore[arg-type]
        i = 0
        while events[i].type != EVENT_END:  # type: ignore[index]
            event = events[i]  # type: ignore[index]
            if event.type == EVENT_PHONEME:
                self._phones.append(Phone(event.id.string.decode("utf-8", "replace"), event.audio_position / 1000))
            i += 1
        return 0

    def say(
        self, voice: str, text: str, words_per_minute: int = 165, pitch: int = 50, pitch_range: int = 50
    ) -> tuple[np.ndarray, list[Phone]]:
        """Speak ``text``; returns 16 kHz int16 audio and the phones.

        Args:
            voice: language and variant, for example ``en-us+f3``.
            text: what to say.
            words_per_minute: 80..450.
            pitch: 0..100.
            pitch_range: 0 (monotone) .. 100.

        Raises:
            ValueError: espeak-ng knows no such voice.
        """
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        for parameter, value in (
            (PARAMETER_RATE, words_per_minute),
            (PARAMETER_PITCH, pitch),
            (PARAMETER_RANGE, pitch_range),
        ):
            self._lib.espeak_SetParameter(parameter, value, 0)
        self._audio, self._phones = [], []
        raw = text.encode()
        self._lib.espeak_Synth(raw, len(raw) + 1, 0, 0, 0, UTF8, None, None)
        audio = np.concatenate(self._audio) if self._audio else np.zeros(0, np.int16)
        return soxr.resample(audio, self.rate_hz, 16000), list(self._phones)
