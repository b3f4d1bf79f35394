"""The multi-period discriminator: logits and feature maps of two waveforms, and the losses made of them.

The names of these cases are read by their words: which side (real or generated), which discriminator, which map.
"""

import itertools
import re
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmarks.parity.base import AUDIO_FULL, Case, Folder, Quantity, Sheet, TensorCase, compare, tensor_cases
from benchmarks.parity.recipe import rng
from core.engines.sovits.losses import adversarial_loss, discriminator_loss, feature_loss
from core.nn.discriminators import MultiPeriodDiscriminator

_SEEDS = {"real": 71, "fake": 72}
_SHAPE = (2, 1, 10240)
# How loud the recipe's waves may be: it is said for waves in general (0.1), not for these.
_LOUDNESS = (0.1, 1.0, 0.3, 0.5, 0.2, 0.05)
_SHORTEST_WAVE = 4096  # samples
_FAKE = {"g", "gs", "gen", "fake", "hat", "yhat", "generated", "fakes", "dg", "dgs", "ydg", "ydgs"}
_REAL = {"r", "rs", "real", "y", "reals", "dr", "drs", "ydr", "ydrs"}
_MARK = re.compile(r"fmap|logit|y_d_|loss.*disc|disc.*loss|(^|[._])d_loss|loss_d([._]|$)|loss_fm|fm_loss")


def find(folder: Folder) -> list[Case]:
    """Cases with feature maps, logits or losses of a discriminator, and no generator's."""
    cases = tensor_cases(folder, _is_discriminator)
    return [Case("discriminator", case.stem, partial(run, case)) for case in cases]


def _is_discriminator(case: TensorCase) -> bool:
    marked = any(_MARK.search(key) for key in case.keys)
    return marked and not any(key.startswith(("train.", "in.c", "train_in.")) for key in case.keys)


def run(case: TensorCase) -> list[Quantity]:
    """All comparisons of one discriminator; where the case holds no waves, with those of the recipe's that fit best."""
    shapes = case.shapes()
    spectral = any(name.endswith("weight_orig") for name in shapes) or _said_spectral(case)
    model = MultiPeriodDiscriminator(spectral)
    case.fill(model)
    best: list[Quantity] = []
    for loudness, single in itertools.product(_LOUDNESS, (False, True)):
        sheet = case.sheet()
        waves = {side: wave_of(sheet, side) for side in _SEEDS}
        drawn = {side: wave for side, wave in waves.items() if wave is None}
        used = {side: _drawn(side, loudness, single) if wave is None else wave for side, wave in waves.items()}
        with torch.inference_mode():
            values = dict(values_of({side: model(wave) for side, wave in used.items()}))
        for name in sheet.left():
            check(sheet, name, values)
        found = sheet.close()
        if sum(q.passed for q in found) > sum(q.passed for q in best) or not best:
            best = found
        if not drawn or all(q.passed for q in found if "unknown" not in q.note):
            break
    return best


def _said_spectral(case: TensorCase) -> bool:
    said = case.about.get("use_spectral_norm", case.about.get("spectral_norm"))
    return bool(said) if isinstance(said, bool | int) else "spectral" in case.stem or "spectral" in str(case.about)


def wave_of(sheet: Sheet, side: str) -> Tensor | None:
    """A waveform [B, 1, N] of the file; None where it holds none."""
    for name in sheet.left():
        n_samples = ([*sheet.values[name].shape] or [0])[-1]
        # Logits and maps are shorter than the waves that they are of.
        if n_samples >= _SHORTEST_WAVE and not re.search("fmap|logit|y_d_", name) and _side(_words(name)) == side:
            return sheet.given(name).reshape(-1, 1, n_samples)
    return None


def _drawn(side: str, loudness: float, single: bool) -> Tensor:
    source = rng(_SEEDS[side])
    noise = source.standard_normal(_SHAPE, np.float32) if single else source.standard_normal(_SHAPE)
    return torch.from_numpy(np.clip(loudness * noise, -1, 1).astype(np.float32))


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[._\[\]\s-]+|(?<=[a-z])(?=\d)", name.lower()) if word]


def _side(words: list[str]) -> str:
    if _FAKE & set(words):
        return "fake"
    return "real" if _REAL & set(words) else ""


# (kind, side or whose loss, indices) -> value
Values = dict[tuple[str, str, tuple[int, ...]], Tensor]
Judged = tuple[list[Tensor], list[list[Tensor]]]


def values_of(results: dict[str, Judged]) -> Iterator[tuple[tuple[str, str, tuple[int, ...]], Tensor]]:
    """(kind, side, indices) and value of everything that a case may hold."""
    for side, (logits, maps) in results.items():
        means = [torch.stack([part.abs().mean() for part in parts]) for parts in maps]
        yield ("fmap", side, ()), torch.cat(means)
        yield ("logit", side, ()), torch.cat([score.flatten() for score in logits])
        for i, score in enumerate(logits):
            yield ("logit", side, (i,)), score
            yield ("fmap", side, (i,)), means[i]
            for j, mean in enumerate(means[i]):
                yield ("fmap", side, (i, j)), mean
    (real, real_maps), (fake, fake_maps) = results["real"], results["fake"]
    yield ("loss", "disc", ()), discriminator_loss(real, fake)
    yield ("loss", "gen", ()), adversarial_loss(fake)
    yield ("loss", "fm", ()), feature_loss(real_maps, fake_maps)
    parts = {
        "real": [(1 - r).square().mean() for r in real],
        "fake": [f.square().mean() for f in fake],
        "gen": [(1 - f).square().mean() for f in fake],
    }
    for side, terms in parts.items():
        yield ("part", side, ()), torch.stack(terms)
        for i, term in enumerate(terms):
            yield ("part", side, (i,)), term


def _kind(name: str, words: list[str]) -> tuple[set[str], set[str]]:
    """What a name speaks of: kinds of value, and for losses whose (empty: any)."""
    if "loss" not in name.lower():
        if "fmap" in name.lower() or {"fm", "feat", "feats", "feature", "features", "map", "maps"} & set(words):
            return {"fmap"}, set()
        return {"logit"}, set()
    if {"fm", "fmap", "feature", "feat"} & set(words):
        return {"loss"}, {"fm"}
    if any(word.startswith("disc") for word in words) or "d" in words:
        return {"loss", "part"}, {"disc", "real", "fake"}
    if any(word.startswith("gen") for word in words) or {"adv", "g"} & set(words):
        return {"loss", "part"}, {"gen"}
    return {"loss", "part"}, set()


def check(sheet: Sheet, name: str, values: Values) -> None:
    """Compare a value with what its name means; where the name leaves several of that shape, with the closest."""
    words, theirs = _words(name), sheet.values[name]
    kinds, whose = _kind(name, words)
    numbers, side = tuple(int(word) for word in words if word.isdigit()), _side(words)
    fitting = [
        value
        for (kind, of, indices), value in values.items()
        if kind in kinds
        and (not whose or of in whose)
        and ("loss" in kinds or not side or of == side)
        and indices == numbers
        and value.numel() == theirs.numel()
    ]
    gaps = [compare(name, value.reshape(theirs.shape), theirs, AUDIO_FULL) for value in fitting]
    if gaps:
        best = min(range(len(gaps)), key=lambda index: gaps[index].difference)
        note = f"closest of {len(gaps)}" if len(gaps) > 1 else ""
        sheet.check(name, fitting[best].reshape(theirs.shape), AUDIO_FULL, note=note)
