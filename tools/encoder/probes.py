"""Linear probes: how much of the phone and how much of the speaker is in a feature.

Labelled speech comes from espeak-ng voices that the encoder never heard: every voice
reads the same sentences, so that a speaker cannot be told by what is said, and the
engine itself tells which phone sounds when.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tools.encoder.corpus import ESPEAK_TEST_VARIANTS
from tools.encoder.espeak import Espeak
from tools.encoder.phones import frame_labels
from tools.encoder.texts import SENTENCES

HOP = 320
Featurizer = Callable[[Tensor], Tensor]
"""[N] samples at 16 kHz to [N // 320, D] features."""


@dataclass(frozen=True)
class Spoken:
    """One sentence of one voice; ``phones`` holds one label a unit frame (empty where unknown)."""

    speaker: str
    sentence: int
    wav: Tensor
    phones: np.ndarray


def espeak_material(dialect: str = "en-us", language: str = "en") -> list[Spoken]:
    """The test variants of espeak-ng reading the sentences of one language."""
    engine, out = Espeak(), []
    for variant in ESPEAK_TEST_VARIANTS:
        for i, line in enumerate(SENTENCES[language]):
            audio, phones = engine.say(f"{dialect}+{variant}", line)
            wav = torch.from_numpy(audio.astype(np.float32) / 32768)
            out.append(Spoken(variant, i, wav, frame_labels(phones, len(wav) // HOP)))
    return out


def _accuracy(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=0.1))
    return float(probe.fit(x, y).score(x_test, y_test))


def phone_probe(material: list[Spoken], features: list[Tensor], every: int = 2) -> float:
    """Frame accuracy of a linear phone classifier on voices and sentences it was not fitted on.

    Fitted on the first five voices and the even sentences; tested on the other three and
    the odd ones. Pauses are left out, and every second frame is used.
    """
    fit_voices = set(ESPEAK_TEST_VARIANTS[:5])
    parts: dict[bool, tuple[list[np.ndarray], list[np.ndarray]]] = {True: ([], []), False: ([], [])}
    for item, feature in zip(material, features, strict=True):
        fit = item.speaker in fit_voices
        if fit != (item.sentence % 2 == 0):
            continue
        keep = np.flatnonzero(item.phones != "")[::every]
        parts[fit][0].append(feature.numpy()[keep])
        parts[fit][1].append(item.phones[keep])
    (x, y), (x_test, y_test) = ((np.concatenate(a), np.concatenate(b)) for a, b in (parts[True], parts[False]))
    return _accuracy(x, y, x_test, y_test)


def speaker_probe(material: list[Spoken], features: list[Tensor]) -> tuple[float, float]:
    """(frame, utterance-mean) accuracy of a linear speaker classifier on sentences it was not fitted on.

    All speakers are in both halves; sentences with an odd number are the test. The frame
    probe uses every fourth frame.
    """
    even = [i for i, item in enumerate(material) if item.sentence % 2 == 0]
    odd = [i for i, item in enumerate(material) if item.sentence % 2 == 1]

    def frames(indices: list[int]) -> tuple[np.ndarray, np.ndarray]:
        x = [features[i].numpy()[::4] for i in indices]
        y = [np.full(len(part), material[i].speaker) for i, part in zip(indices, x, strict=True)]
        return np.concatenate(x), np.concatenate(y)

    def means(indices: list[int]) -> tuple[np.ndarray, np.ndarray]:
        x = [features[i].numpy().mean(0) for i in indices]
        return np.stack(x), np.array([material[i].speaker for i in indices])

    return _accuracy(*frames(even), *frames(odd)), _accuracy(*means(even), *means(odd))
