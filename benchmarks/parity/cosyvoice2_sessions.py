"""Upstream's own streaming, with its faults, out of our parts: only so that its numbers can be compared with ours.

The whole prefix is solved for every chunk, hops double up to 100 tokens, the source begins anew in each chunk but for
what is cached, Hamming halves cross (their gains sum to 1.08), and the last chunk is solved with full masks. Our own
sessions do none of this; that their parts are these is what the comparison shows.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from core.engines.cosyvoice2.flow import Flow, Prompt
from core.engines.cosyvoice2.hift import Hift
from core.engines.cosyvoice2.source import turns_a_sample

HELD_FRAMES = 8  # audio runs that far behind the mel, in both versions, until the end
FIRST_HOP, _LARGEST_HOP = 25, 100

Source = Callable[[Hift, Tensor, int | None], tuple[Tensor, Tensor]]


def upstream_source(hift: Hift, f0: Tensor, seed: int | None) -> tuple[Tensor, Tensor]:
    """The excitation [1, 1, N] and its harmonics [N, H], with upstream's draws and its float32 phase.

    Draws come from the global generator, seeded first unless `seed` is None: nine phases, which the resampling to
    frames then loses, noise into transposed memory, and noise that nothing uses.
    """
    if seed is not None:
        torch.manual_seed(seed)
    n_samples = len(f0) * hift.config.hop
    torch.rand(1, hift.n_harmonics)
    noise = torch.empty(1, hift.n_harmonics, n_samples).transpose(1, 2).normal_()[0]
    torch.randn(1, n_samples, 1)
    return _excited(hift, f0, noise)


def silent_source(hift: Hift, f0: Tensor, seed: int | None) -> tuple[Tensor, Tensor]:
    """The same without noise, where a case was made with draws of zeros."""
    return _excited(hift, f0, torch.zeros(len(f0) * hift.config.hop, hift.n_harmonics))


def _excited(hift: Hift, f0: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    config = hift.config
    turns = turns_a_sample(f0, hift.n_harmonics, config.sampling_rate)
    frames = (torch.cumsum(turns, 0) * 2 * torch.pi * config.hop).T[None]
    mode = "nearest" if config.causal else "linear"
    radians = torch.nn.functional.interpolate(frames, scale_factor=float(config.hop), mode=mode)[0].T
    voiced = (f0.repeat_interleave(config.hop) > config.nsf_voiced_threshold).float()[:, None]
    level = voiced * config.nsf_sigma + (1 - voiced) * config.nsf_alpha / 3
    sines = config.nsf_alpha * torch.sin(radians) * voiced + level * noise
    return hift.mix(sines), sines


def table_source(hift: Hift, f0: Tensor, seed: int | None) -> tuple[Tensor, Tensor]:
    """Version 3's: its noise is a table, drawn after nine phases when a vocoder is made; `seed` None: of zeros."""
    n_samples = len(f0) * hift.config.hop
    if seed is None:
        return silent_source(hift, f0, None)
    generator = torch.Generator().manual_seed(seed)
    torch.rand(1, hift.n_harmonics, generator=generator)
    return _excited(hift, f0, torch.rand(n_samples, hift.n_harmonics, generator=generator))


class UpstreamVocoder:
    """Chunks of mel [1, 80, T] to audio [1, N], with upstream's caches. Draws from torch's global generator."""

    def __init__(self, hift: Hift, source: Source) -> None:
        self._hift, self._source = hift, source
        self._cache: tuple[Tensor, Tensor, Tensor] | None = None
        overlap = HELD_FRAMES * hift.config.hop
        self._window = torch.from_numpy(np.hamming(2 * overlap)).float()

    def __call__(self, mel: Tensor, *, final: bool) -> Tensor:
        overlap = HELD_FRAMES * self._hift.config.hop
        if self._cache:
            mel = torch.cat([self._cache[0], mel], dim=2)
        source, _ = self._source(self._hift, self._hift.pitch(mel), None)
        if self._cache:
            source = torch.cat([self._cache[1], source[..., overlap:]], dim=2)
        audio = self._hift.decode(mel, source)
        if self._cache:
            rise, fall = self._window[:overlap], self._window[overlap:]
            head = audio[..., :overlap] * rise + self._cache[2] * fall
            audio = torch.cat([head, audio[..., overlap:]], dim=-1)
        if final:
            return audio
        self._cache = mel[..., -HELD_FRAMES:], source[..., -overlap:], audio[..., -overlap:]
        return audio[..., :-overlap]


def schedule(
    n_tokens: int, n_prompt: int, lookahead: int, first: int = FIRST_HOP, *, grows: bool = True, fills: bool = True
) -> list[int]:
    """Upstream's hops for so many tokens, all known: the first `fills` the prompt's last block; then they double."""
    hops: list[int] = []
    hop, offset = first, 0
    while True:
        step = hop + (-n_prompt % hop if fills and not hops else 0)
        if n_tokens - offset < step + lookahead:
            return hops
        hops.append(step)
        offset, hop = offset + step, min(max(first, _LARGEST_HOP), 2 * hop) if grows else hop


def chunk_mels(
    flow: Flow, tokens: Tensor, prompt: Prompt, hops: Sequence[int], *, final_block: bool = False
) -> Iterator[Tensor]:
    """Mel [1, 80, T] of each hop and of the rest; upstream solves the rest with full masks (not `final_block`)."""
    ratio, offset = flow.config.token_mel_ratio, 0
    for hop in hops:
        mel = flow.mel(tokens[:, : offset + hop + flow.config.lookahead], prompt, block=True, final=False)
        yield mel[..., offset * ratio :]
        offset += hop
    yield flow.mel(tokens, prompt, block=final_block)[..., offset * ratio :]


def upstream_chunks(
    flow: Flow, hift: Hift, source: Source, tokens: Tensor, prompt: Prompt, hops: Sequence[int] | None = None
) -> Iterator[Tensor]:
    """Chunks [1, N] of one session, all tokens known; `hops` None: upstream's first session."""
    if hops is None:
        hops = schedule(tokens.shape[1], prompt.tokens.shape[1], flow.config.lookahead)
    vocoder = UpstreamVocoder(hift, source)
    for index, mel in enumerate(chunk_mels(flow, tokens, prompt, hops)):
        yield vocoder(mel, final=index == len(hops))


def at_speed(mel: Tensor, speed: float) -> Tensor:
    """Mel resized for another speed, as a whole."""
    if speed == 1.0:
        return mel
    return torch.nn.functional.interpolate(mel, size=int(mel.shape[2] / speed), mode="linear")
