"""Speech whose phones are known, for the discriminant: espeak-ng tells which phone sounds when."""

from itertools import pairwise

import numpy as np

from tools.encoder.corpus import ESPEAK_LANGUAGES, ESPEAK_VARIANTS
from tools.encoder.espeak import Espeak, Phone
from tools.encoder.texts import passage

HOP = 320
LINES_A_VOICE = 14


def frame_labels(phones: list[Phone], n_frames: int) -> np.ndarray:
    """The phone that sounds at the centre of each unit frame, stress and length marks removed; "" for pauses."""
    labels = np.full(n_frames, "", dtype="<U12")
    for phone, after in zip(phones, [*phones[1:], None], strict=True):
        start = int(np.ceil(phone.start_s * 50))
        end = n_frames if after is None else int(np.ceil(after.start_s * 50))
        labels[start:end] = phone.symbol.strip("',_:;|-!%=")
    return labels


def with_halves(labels: np.ndarray) -> np.ndarray:
    """Tells the first and the second half of each phone apart: a phone moves while it sounds."""
    out = labels.copy()
    if not len(labels):
        return out
    edges = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1], [True]]))
    for start, end in pairwise(edges):
        middle = (start + end + 1) // 2
        if labels[start]:
            out[start:middle] = f"{labels[start]}<"
            out[middle:end] = f"{labels[start]}>"
    return out


def labelled_speech(seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    """Clips (int16, 16 kHz), their frame labels and voices: every training variant, half of it English."""
    rng, engine = np.random.default_rng(seed), Espeak()
    languages = [d for name, dialects in ESPEAK_LANGUAGES.items() if name != "en" for d in [(name, dialects[0])]]
    clips, labels, voices = [], [], []
    for i, variant in enumerate(ESPEAK_VARIANTS):
        other = languages[i % len(languages)]
        for language, dialect, n_lines in (("en", "en-us", LINES_A_VOICE // 2), (*other, LINES_A_VOICE // 2)):
            for line in passage(language, rng, n_lines):
                speed, pitch = int(rng.integers(140, 200)), int(rng.integers(25, 75))
                audio, phones = engine.say(f"{dialect}+{variant}", line, speed, pitch)
                if len(audio) < 29 * 16000:
                    clips.append(audio)
                    labels.append(with_halves(frame_labels(phones, len(audio) // HOP)))
                    voices.append(variant)
    return clips, labels, voices
