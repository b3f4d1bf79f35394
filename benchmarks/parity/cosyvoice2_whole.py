"""Whole flows, streaming sessions and vocoders: inputs are told by their kind and length, outputs by what gives them.

The names of these cases are not known, so each output is compared with everything that our parts can make of its
length (masks, chunks, hops, speeds, seeds), nearest first by its name; the note says what it turned out to be. Nothing
passes that is not reproduced to the tolerance.
"""

import itertools
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from benchmarks.parity.base import AUDIO, Sheet, compare
from benchmarks.parity.cosyvoice2_inputs import MELS, Said, flat, inputs_of, like, numbers_of, rows, series_of, words_of
from benchmarks.parity.cosyvoice2_sessions import (
    FIRST_HOP,
    HELD_FRAMES,
    UpstreamVocoder,
    at_speed,
    chunk_mels,
    schedule,
    silent_source,
    table_source,
    upstream_source,
)
from core.engines.cosyvoice2.flow import Flow, Prompt
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.streaming import Grid

_STREAM = re.compile(r"stream(?:ing)?_?([01])")
_SPEEDS = (1.0, 1.25, 0.8, 1.5, 0.5, 2.0)
# Tried when no seed that a case names gives its noise.
_MOST_TRIES = 500
_COMMON_SEEDS = (*range(128), 1234, 4321, 1986, 2024, 2025, 2026, 999, 1000, 31337, 52468)

Try = tuple[str, Tensor]  # how it was made, and what


class Whole:
    """The comparisons of one case."""

    def __init__(
        self, sheet: Sheet, info: Any, flow: Callable[[], Flow], hift: Callable[[], Hift], *, searches: bool = True
    ) -> None:
        self.sheet, self.info, self._flow, self._hift = sheet, info, flow, hift
        self._searches = searches  # seeds that no one names: in the first round, and so many in all
        self._tries = _MOST_TRIES
        self._states: list[tuple[str, Tensor]] = []  # of the random generator, after each sound that was found

    @cached_property
    def flow(self) -> Flow:
        """The flow; it remembers the mels that it has made, as many comparisons ask for the same."""
        flow, made = self._flow(), {}
        plain = flow.mel

        def mel(tokens: Tensor, prompt: Prompt, *, block: bool, final: bool = True) -> Tensor:
            key = tokens.data_ptr(), tokens.shape[1], id(prompt), block, final
            if key not in made:
                made[key] = plain(tokens, prompt, block=block, final=final)
            return made[key]

        flow.mel = mel  # type: ignore[method-assign, assignment]
        return flow

    @cached_property
    def hift(self) -> Hift:
        return self._hift()

    @cached_property
    def said(self) -> list[Said]:
        return inputs_of(self.sheet, self.info)

    def nearest_said(self, name: str) -> list[Said]:
        """Those whose names share most words with a value's come first."""
        return sorted(self.said, key=lambda said: -len(said.words & words_of(name)))

    @cached_property
    def named(self) -> list[int]:
        """Seeds that the case speaks of."""
        named = [int(n) for name in self.sheet.values for n in re.findall(r"seed_?(\d+)", name)]
        return list(dict.fromkeys([*named, *(int(n) for n in numbers_of(self.info, "seed"))]))

    @cached_property
    def hops(self) -> list[int]:
        named = [int(n) for name in self.sheet.values for n in re.findall(r"hop_?(\d+)", name)]
        told = [int(n) for n in numbers_of(self.info, "hop")]
        return [hop for hop in dict.fromkeys([*named, *told, FIRST_HOP, 50, 100, 15, 8]) if hop > 0]

    def run(self) -> None:
        """Compare every value that is left."""
        said = self.said  # takes the inputs, so that only outputs are left
        self._given_sources()
        sounds = []
        for names in series_of(self.sheet.left()):
            value = self.sheet.values[names[0]]
            if "f0" in names[0]:
                self._settle(names, ((note, self.hift.pitch(mel)[: value.numel()]) for note, mel in self._mels_given()))
            elif value.numel() == MELS and said:
                self._settle(names, ((f"{i}", self.flow.speaker(s.prompt.embedding)) for i, s in enumerate(said)))
            elif value.dim() >= 2 and MELS in value.shape[-2:]:
                if said:
                    self._mels(names)
            elif value.numel() >= 480 and value.shape[-1] % 480 == 0:
                sounds.append(names)
        while sounds:  # noise goes on from one sound to the next where a case was seeded once
            left = [names for names in sounds if not self._sound(names)]
            self._searches = False
            if len(left) == len(sounds) or not self._states:
                break
            sounds = left
        for names in sounds:
            self._nearest_sound(names)

    def _settle(self, names: list[str], tries: Iterator[Try], tolerance: float = AUDIO) -> bool:
        """Compare the values of a series, end to end, with the first that is near enough, or with the nearest."""
        theirs = [self.sheet.values[name] for name in names]
        joined = torch.cat([flat(value) for value in theirs], dim=-1)
        best: tuple[float, str, Tensor] | None = None
        for note, ours in tries:
            if ours.numel() != joined.numel():
                continue
            gap = compare("", flat(ours).reshape(joined.shape), joined, tolerance).difference
            if best is None or gap < best[0]:
                best = gap, note, flat(ours).reshape(joined.shape)
            if gap <= tolerance:
                break
        if best is None:
            return False
        for name, value, part in zip(
            names, theirs, best[2].split([flat(v).shape[-1] for v in theirs], dim=-1), strict=True
        ):
            ours = part if flat(value).shape == value.shape or value.dim() < 2 else like(part, value)
            self.sheet.check(name, ours, tolerance, note=best[1])
        return best[0] <= tolerance

    # Mels

    def _mels(self, names: list[str]) -> None:
        lengths = [flat(self.sheet.values[name]).shape[-1] for name in names]
        mode = _STREAM.search(names[0])
        modes = [bool(int(mode[1]))] if mode else [False, True]
        if not mode and re.search("stream|chunk|block", names[0]) and "non" not in names[0]:
            modes = [True, False]
        every = [self._mel_tries(said, modes, lengths) for said in self.nearest_said(names[0])]
        if self._settle_if(names, itertools.chain.from_iterable(every)):
            return
        if self._is_fed(names):
            self.sheet.ignore(*names)
            return
        every = [self._mel_tries(said, modes, lengths) for said in self.nearest_said(names[0])]
        self._settle(names, itertools.chain.from_iterable(every))

    def _is_fed(self, names: list[str]) -> bool:
        """Whether a mel that no flow gives is what a vocoder was given: of a length of its own, or called so."""
        n_frames = rows(self.sheet.values[names[0]]).shape[2]
        spoken = {n for said in self.said for t in [said.tokens.shape[1]] for n in (2 * t, 2 * (t - 3))}
        heard = [x for x in self.sheet.values.values() if x.is_floating_point() and x.numel() and x.numel() % 480 == 0]
        plain = re.search(r"(^|[._])(mel|mel_in|in_mel|hift_mel|voc(oder)?_mel|speech_feat)$", names[0])
        lengths = {x.numel() // 480 for x in heard}
        follows = bool({n_frames, n_frames - HELD_FRAMES} & lengths)
        return len(names) == 1 and follows and (bool(plain) or n_frames not in spoken)

    def _mel_tries(self, said: Said, modes: list[bool], lengths: list[int]) -> Iterator[Try]:
        flow, ratio, wanted = self.flow, self.flow.config.token_mel_ratio, sum(lengths)
        for block, final in itertools.product(modes, (True, False)):
            mel = flow.mel(said.tokens, said.prompt, block=block, final=final)
            for offset in range(0, mel.shape[2] - wanted + 1, ratio):
                note = f"{'block' if block else 'full'} masks, {'the end' if final else 'more to come'}, from {offset}"
                yield note, mel[..., offset : offset + wanted]
        for hops in self._schedules(said):
            for block in (False, True):
                parts = list(chunk_mels(flow, said.tokens, said.prompt, hops, final_block=block))
                note = f"hops {hops}, the last with {'block' if block else 'full'} masks"
                yield note, torch.cat(parts, dim=2)
                for index, part in enumerate(parts):
                    yield f"{note}, number {index}", part
        if len(lengths) > 1:
            hops = [length // ratio for length in lengths]
            for block in (False, True):
                parts = list(chunk_mels(flow, said.tokens, said.prompt, hops[:-1], final_block=block))
                yield f"hops {hops}", torch.cat(parts, dim=2)
        for block in modes:
            grid = Grid(flow.config.block if block else 0)
            every = torch.cat([said.prompt.tokens, said.tokens], dim=1)
            mu = flow.encode(every, None, grid)
            yield f"encoded, {'block' if block else 'full'} masks", mu
            ahead = every[:, -flow.config.lookahead :]
            yield "encoded, more to come", flow.encode(every[:, : -flow.config.lookahead], ahead, grid)
            yield "condition", flow._condition(said.prompt, 0, mu)

    def _schedules(self, said: Said) -> Iterator[list[int]]:
        """Hops of a session, upstream's own ways first."""
        seen: list[list[int]] = []
        for first, grows, fills in itertools.product(self.hops, (True, False), (True, False)):
            sizes = said.tokens.shape[1], said.prompt.tokens.shape[1], self.flow.config.lookahead
            hops = schedule(*sizes, first, grows=grows, fills=fills)
            if hops and hops not in seen:
                seen.append(hops)
                yield hops

    # Sounds

    def _mels_given(self) -> Iterator[Try]:
        for name, value in self.sheet.values.items():
            if value.is_floating_point() and value.dim() >= 2 and MELS in value.shape[-2:] and value.numel() > MELS:
                yield f"of {name}", rows(value)

    def _given_sources(self) -> None:
        """Excitations: compared where the case names the seed of their noise, and always taken as what is decoded."""
        self.sources: dict[str, Tensor] = {}
        for name, value in self.sheet.values.items():
            if "source" not in name:
                continue
            if not value.is_floating_point() or value.numel() % 480 or not value.numel():
                continue
            self.sources[name] = value.reshape(1, 1, -1)
            if name not in self.sheet.left():
                continue
            draw = table_source if self.hift.config.causal else upstream_source
            fitting = [mel for _, mel in self._mels_given() if mel.shape[2] * self.hift.config.hop == value.numel()]
            tries = (
                (f"seed {seed}", draw(self.hift, self.hift.pitch(mel), seed)[0])
                for mel in fitting
                for seed in self.named
            )
            if not self._settle_if([name], tries):
                self.sheet.ignore(name)

    def _decoded(self, n_samples: int) -> Iterator[Try]:
        """Audio of the mels and excitations that the case holds; shorter where version 3 awaits more."""
        hop = self.hift.config.hop
        for source_name, source in self.sources.items():
            n_frames = source.shape[2] // hop
            for note, mel in self._mels_given():
                if mel.shape[2] >= n_frames and source.shape[2] >= n_samples:
                    audio = self.hift.decode(mel[..., :n_frames], source)
                    yield f"{note} and {source_name}", audio[..., :n_samples]

    def _sound(self, names: list[str]) -> bool:
        """Whether a sound, or a session's chunks of it, is what the flow and the vocoder give."""
        lengths = [self.sheet.values[name].numel() for name in names]
        if self._settle_if(names, self._decoded(sum(lengths))):
            return True
        for options in self._options(names):
            mels = list(options)
            for tries in (self._named(mels, sum(lengths)), self._searched(names, mels)):
                if self._settle_if(names, tries):
                    return True
        return False

    def _options(self, names: list[str]) -> Iterator[Iterator[tuple[str, list[Tensor]]]]:
        """What may sound under these names: mels of the case itself, then what each utterance gives."""
        lengths = [self.sheet.values[name].numel() for name in names]
        frames = sum(lengths) // self.hift.config.hop
        late = (0, HELD_FRAMES) if self.hift.config.causal else (0,)
        yield ((note, [mel]) for note, mel in self._mels_given() if mel.shape[2] - frames in late)
        if self.said:
            for said in self.nearest_said(names[0]):
                yield self._sounding(said, lengths)

    def _nearest_sound(self, names: list[str]) -> None:
        """What comes nearest to a sound that nothing gives."""
        n_samples = sum(self.sheet.values[name].numel() for name in names)
        mels = [mel for options in self._options(names) for mel in options]
        self._settle(names, itertools.chain(self._decoded(n_samples), self._named(mels, n_samples)))

    def _settle_if(self, names: list[str], tries: Iterator[Try]) -> bool:
        joined = torch.cat([self.sheet.values[name].flatten() for name in names])
        for note, ours in tries:
            if ours.numel() == joined.numel() and compare("", ours.flatten(), joined, AUDIO).passed:
                self._states.append((note, torch.get_rng_state()))
                return self._settle(names, iter([(note, ours)]))
        return False

    def _sounding(self, said: Said, lengths: list[int]) -> Iterator[tuple[str, list[Tensor]]]:
        """(how, mels chunk by chunk) of everything that sounds as long as the chunks do."""
        hop, frames = self.hift.config.hop, sum(lengths) // self.hift.config.hop
        whole = self.flow.mel(said.tokens, said.prompt, block=False)
        streamed = len(lengths) > 1
        if streamed:
            ends = [n // hop + HELD_FRAMES for n in itertools.accumulate(lengths[:-1])]
            ratio = self.flow.config.token_mel_ratio
            hops = [(b - a) // ratio for a, b in itertools.pairwise([0, *ends])]
            if all(step > 0 for step in hops) and frames == whole.shape[2]:
                for block in (False, True):
                    note = f"hops {hops}, the last with {'block' if block else 'full'} masks"
                    yield note, list(chunk_mels(self.flow, said.tokens, said.prompt, hops, final_block=block))
            return
        for speed in dict.fromkeys([1.0, *numbers_of(self.info, "speed"), *_SPEEDS]):
            if speed > 0 and int(whole.shape[2] / speed) == frames:
                yield f"whole, speed {speed:g}", [at_speed(whole, speed)]
        if frames == whole.shape[2]:
            yield "whole, block masks", [self.flow.mel(said.tokens, said.prompt, block=True)]
            for hops in self._schedules(said):
                for block in (False, True):
                    note = f"hops {hops}, the last with {'block' if block else 'full'} masks"
                    yield note, list(chunk_mels(self.flow, said.tokens, said.prompt, hops, final_block=block))

    def _voiced(self, mels: list[Tensor], seed: int | None, each: str = "once") -> Tensor:
        """Chunks to one sound; seeded once, or before every chunk. `seed` None: noise goes on from where it is."""
        if self.hift.config.causal:
            mel = torch.cat(mels, dim=2)
            return self.hift.decode(mel, table_source(self.hift, self.hift.pitch(mel), seed)[0])
        vocoder = UpstreamVocoder(self.hift, silent_source if each == "silent" else upstream_source)
        parts = []
        for index, mel in enumerate(mels):
            if seed is not None and (index == 0 or each != "once"):
                torch.manual_seed(seed + (index if each == "counted" else 0))
            parts.append(vocoder(mel, final=index == len(mels) - 1))
        return torch.cat(parts, dim=-1)

    def _named(self, mels: list[tuple[str, list[Tensor]]], n_samples: int) -> Iterator[Try]:
        """Sounds of the seeds that the case names, and without noise."""
        for note, parts in mels:
            for seed in self.named:
                for each in ("once", "anew", "counted")[: 3 if len(parts) > 1 else 1]:
                    yield f"{note}, seed {seed} {each}", self._voiced(parts, seed, each)[..., :n_samples]
            yield f"{note}, no noise", self._voiced(parts, None, "silent")[..., :n_samples]

    def _searched(self, names: list[str], mels: list[tuple[str, list[Tensor]]]) -> Iterator[Try]:
        """Sounds whose first chunk fits noise that went on from another sound, or a seed that many people take."""
        joined = torch.cat([self.sheet.values[name].flatten() for name in names])
        tried = set()
        for note, parts in mels:
            first = [parts[0]]
            n_sure = (parts[0].shape[2] - (HELD_FRAMES if len(parts) > 1 else 0)) * self.hift.config.hop
            for origin, state in self._states:
                torch.set_rng_state(state)
                yield f"{note}, noise after {origin}", self._voiced(parts, None)[..., : len(joined)]
            start_of = (parts[0].shape[2], n_sure, float(parts[0].sum()))
            if start_of in tried or not self._searches:
                continue
            tried.add(start_of)
            for seed in list(dict.fromkeys([*self.named, *_COMMON_SEEDS])):
                if self._tries == 0:
                    break
                self._tries -= 1
                start = self._voiced(first, seed).flatten()
                # Later frames of a chunk see its end, so a little less is compared.
                n = min(len(joined), max(480, n_sure - 2 * HELD_FRAMES * self.hift.config.hop))
                if compare("", start[:n], joined[:n], AUDIO).passed:
                    self.named.append(seed)
                    for each in ("once", "anew", "counted"):
                        yield f"{note}, seed {seed} {each}", self._voiced(parts, seed, each)[..., : len(joined)]
