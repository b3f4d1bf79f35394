"""What a whole flow's case is given, told by kind and length; and how its values lie and belong together."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.parity.base import Sheet
from core.engines.cosyvoice2.flow import Prompt

MELS, _SPEAKER = 80, 192


def numbers_of(info: Any, word: str) -> list[float]:
    """Numbers that the case's description gives under a key with that word, or in a text after it; in order."""
    found: list[float] = []

    def walk(value: Any, under: bool) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, under or word in str(key).lower())
        elif isinstance(value, list):
            for inner in value:
                walk(inner, under)
        elif isinstance(value, str):
            found.extend(float(n) for n in re.findall(rf"{word}\D{{0,12}}?(\d+(?:\.\d+)?)", value.lower()))
        elif under and isinstance(value, int | float) and not isinstance(value, bool):
            found.append(value)

    walk(info, False)
    return list(dict.fromkeys(found))


@dataclass(frozen=True)
class Said:
    """What a whole flow is given, and the words of the names that it came under."""

    tokens: Tensor
    prompt: Prompt
    words: frozenset[str]


def words_of(*names: str) -> frozenset[str]:
    """The words of names."""
    return frozenset(word for name in names for word in re.split(r"[._\W]+", name.lower()) if word)


def rows(value: Tensor) -> Tensor:
    """A mel of either order as [1, 80, T]."""
    mel = value.reshape(-1, *value.shape[-2:])
    return mel if mel.shape[1] == MELS else mel.transpose(1, 2)


def inputs_of(sheet: Sheet, info: Any) -> list[Said]:
    """Every utterance that the case speaks of: integers are tokens, a row of the speaker's length is one.

    A prompt's mel is called so, or has its frames in rows as upstream takes it. Where a case has several of a kind,
    all combinations whose prompt's mel is as long as its tokens say.
    """
    none = torch.empty(1, 0, dtype=torch.long)
    tokens: dict[str, Tensor] = {}
    prompts, mels, speakers = {"": none}, {"": torch.empty(1, MELS, 0)}, {"": torch.zeros(1, _SPEAKER)}
    lists = {f"{name}": torch.tensor([value]) for name, value in _lists(info) if "token" in name or "prompt" in name}
    for name, value in [*((name, sheet.values[name]) for name in sheet.left()), *lists.items()]:
        if not value.is_floating_point():
            if name in sheet:
                sheet.ignore(name)
            if value.numel() > 1 or (value.dim() and "len" not in name):
                (prompts if "prompt" in name else tokens)[name] = value.reshape(1, -1).long()
        elif value.numel() == _SPEAKER and value.shape[-1] == _SPEAKER:
            speakers[name] = sheet.given(name).reshape(1, -1)
        elif _is_prompt_mel(name, value):
            mels[name] = rows(sheet.given(name))
    found = []
    for (t, token), (p, prompt), (m, mel), (s, speaker) in itertools.product(
        tokens.items(), prompts.items(), mels.items(), speakers.items()
    ):
        if mel.shape[2] == 2 * prompt.shape[1] or (len(prompts) == 1 and len(mels) == 1):
            found.append(Said(token, Prompt(prompt, mel, speaker), words_of(t, p, m, s)))
    # Whoever gives a prompt or a speaker means it to be used, unless a name says otherwise.
    return sorted(found, key=lambda said: (-said.prompt.tokens.shape[1], -float(said.prompt.embedding.abs().sum())))


def _lists(info: Any) -> Iterator[tuple[str, list[int]]]:
    if isinstance(info, dict):
        for name, value in info.items():
            if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
                yield str(name), value
            else:
                for inner, found in _lists(value):
                    yield f"{name}.{inner}", found


def _is_prompt_mel(name: str, value: Tensor) -> bool:
    if value.dim() < 2 or MELS not in value.shape[-2:]:
        return False
    return bool(re.search("prompt|ref_|cond_feat", name)) or (value.shape[-1] == MELS and name.endswith("feat"))


def series_of(names: list[str]) -> list[list[str]]:
    """Names that differ in their last number only, counted from 0 or 1, belong together."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        match = re.fullmatch(r"(.*?)(\d+)(\D*)", name)
        counted = match and re.search(r"(chunk|part|piece|yield|out|wav|audio|speech|mel|_|\.)_?$", match[1])
        key = f"{match[1]}#{match[3]}" if match and counted and "stream" not in match[1][-7:] else name
        groups.setdefault(key, []).append((int(match[2]) if match else 0, name))
    series = []
    for members in groups.values():
        members.sort()
        numbers = [number for number, _ in members]
        if len(members) > 1 and numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            series.append([name for _, name in members])
        else:
            series += [[name] for _, name in members]
    return series


def flat(value: Tensor) -> Tensor:
    """A mel as [80, T], any other value as a row."""
    if value.dim() >= 2 and MELS in value.shape[-2:]:
        return rows(value)[0]
    return value.flatten()


def like(part: Tensor, value: Tensor) -> Tensor:
    """A flat part in the order of a value."""
    if part.dim() == 2 and value.shape[-1] == MELS and value.shape[-2] != MELS:
        part = part.T
    return part.reshape(value.shape)
