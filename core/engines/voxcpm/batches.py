"""Batches for VoxCPM's training: sequences of text and latents, gathered by length under a budget of positions.

A sequence is [103, reference, 104,] text, 101, audio, 102; the loss counts on the audio, whose last patch says stop.
The budget counts the padding too, so that it bounds memory; the package instead drops clips that are longer than
their share of it.
"""

from collections.abc import Sequence as Items
from dataclasses import dataclass

import torch
from torch import Tensor

from core.engines.voxcpm.generation import AUDIO_START, REFERENCE_END, REFERENCE_START
from core.errors import BadInput

AUDIO_END = 102


@dataclass(frozen=True)
class Utterance:
    """One clip: `tokens` of its text, `latents` [n, P, D], and `reference` [m, P, D] of the same voice, or None."""

    tokens: list[int]
    latents: Tensor
    reference: Tensor | None = None

    @property
    def length(self) -> int:
        """Positions that it takes."""
        reference = 0 if self.reference is None else len(self.reference) + 2
        return reference + len(self.tokens) + len(self.latents) + 2


def pack(utterances: Items[Utterance]) -> dict[str, Tensor]:
    """The arguments of the package's `forward`: each [B, T], `audio_feats` [B, T, P, D], padded with zeros."""
    rows = [_row(one) for one in utterances]
    longest = max(len(row["text_tokens"]) for row in rows)
    packed = {
        name: torch.stack([_padded(row[name], longest) for row in rows])
        for name in ("text_tokens", "text_mask", "audio_feats", "audio_mask", "loss_mask", "labels", "position_ids")
    }
    return packed


def _row(one: Utterance) -> dict[str, Tensor]:
    n_text, n_audio = len(one.tokens), len(one.latents)
    reference = one.reference if one.reference is not None else one.latents[:0]
    head = [] if one.reference is None else [REFERENCE_START, *[0] * len(reference), REFERENCE_END]
    tokens = [*head, *one.tokens, AUDIO_START, *[0] * n_audio, AUDIO_END]
    start = len(head) + n_text + 1
    feats = torch.zeros(len(tokens), *one.latents.shape[1:])
    feats[start : start + n_audio] = one.latents
    audio = torch.zeros(len(tokens), dtype=torch.int32)
    audio[start : start + n_audio] = 1
    loss = audio.clone()
    if one.reference is not None:
        feats[1 : 1 + len(reference)] = reference
        audio[1 : 1 + len(reference)] = 1
    labels = torch.zeros(len(tokens), dtype=torch.int32)
    labels[-2] = 1
    return {
        "text_tokens": torch.tensor(tokens, dtype=torch.int32),
        "text_mask": 1 - audio,
        "audio_feats": feats,
        "audio_mask": audio,
        "loss_mask": loss,
        "labels": labels,
        "position_ids": torch.arange(len(tokens)),
    }


def _padded(values: Tensor, length: int) -> Tensor:
    return torch.cat([values, values.new_zeros(length - len(values), *values.shape[1:])])


def plan_epoch(
    lengths: Items[int],
    *,
    batch_size: int,
    max_tokens: int,
    max_length: int,
    generator: torch.Generator,
    parts: int = 1,
) -> list[list[int]]:
    """Indices of every utterance once, in batches of like lengths, in an order drawn from `generator`.

    A batch is computed in `parts`. Each has at most `batch_size` utterances and, padding included, `max_tokens`
    positions (0: any number); an utterance that is longer alone is a part of its own. Raises BadInput for one that is
    longer than the model's `max_length`: cut short it would lose its end, and with it the mark to stop.
    """
    long = [index for index, length in enumerate(lengths) if length > max_length]
    if long:
        raise BadInput(
            f"{len(long)} clips are longer than the model's {max_length} positions (the first is number {long[0] + 1}, "
            f"with {lengths[long[0]]}).",
            "Cut them shorter or leave them out.",
            where="clips",
        )
    # Like lengths lie together; which of them meet is drawn anew in every epoch.
    jitter = (torch.rand(len(lengths), generator=generator) * 0.1 + 0.95).tolist()
    order = sorted(range(len(lengths)), key=lambda index: lengths[index] * jitter[index])
    batches: list[list[int]] = []
    longest = 0
    for index in order:
        longest = max(longest, lengths[index])
        room = parts * (min(batch_size, max(1, max_tokens // longest)) if max_tokens else batch_size)
        batch = batches[-1] if batches else []
        if not batches or len(batch) + 1 > room:
            batches.append([index])
            longest = lengths[index]
        else:
            batch.append(index)
    return [batches[number] for number in torch.randperm(len(batches), generator=generator).tolist()]
