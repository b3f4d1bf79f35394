"""Upstream's own streaming, with its faults, out of our parts: only so that its numbers can be compared with ours.

The whole prefix is solved for every chunk, hops double up to 100 tokens, the source begins anew in each chunk but for
what is cached, Hamming halves cross (their gains sum to 1.08), and the last chunk is solved with full masks. Our own
sessions do none of this; that their parts are these is what the comparison shows.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from core.engines.cosyvoice2.flow import Flow, Prompt
from core.engines.cosyvoice2.hift import Hift

_CACHED_FRAMES, _FIRST_HOP, _LARGEST_HOP = 8, 25, 100

Source = Callable[[Hift, Tensor, int | None], tuple[Tensor, Tensor]]


class UpstreamVocoder:
    """Chunks of mel [1, 80, T] to audio [1, N], with upstream's caches. Draws from torch's global generator."""

    def __init__(self, hift: Hift, source: Source) -> None:
        self._hift, self._source = hift, source
        self._cache: tuple[Tensor, Tensor, Tensor] | None = None
        overlap = _CACHED_FRAMES * hift.config.hop
        self._window = torch.from_numpy(np.hamming(2 * overlap)).float()

    def __call__(self, mel: Tensor, *, final: bool) -> Tensor:
        overlap = _CACHED_FRAMES * self._hift.config.hop
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
        self._cache = mel[..., -_CACHED_FRAMES:], source[..., -overlap:], audio[..., -overlap:]
        return audio[..., :-overlap]


def upstream_chunks(flow: Flow, hift: Hift, source: Source, tokens: Tensor, prompt: Prompt) -> Iterator[Tensor]:
    """Chunks [1, N] of one session, all tokens known."""
    ratio, ahead = flow.config.token_mel_ratio, flow.config.lookahead
    vocoder, offset, hop = UpstreamVocoder(hift, source), 0, _FIRST_HOP
    while True:
        step = hop + (-prompt.tokens.shape[1] % _FIRST_HOP if offset == 0 else 0)
        if tokens.shape[1] - offset < step + ahead:
            break
        mel = flow.mel(tokens[:, : offset + step + ahead], prompt, block=True, final=False)
        yield vocoder(mel[..., offset * ratio :], final=False)
        offset, hop = offset + step, min(_LARGEST_HOP, 2 * hop)
    yield vocoder(flow.mel(tokens, prompt, block=False)[..., offset * ratio :], final=True)


def upstream_whole(flow: Flow, hift: Hift, source: Source, tokens: Tensor, prompt: Prompt, speed: float) -> Tensor:
    """One request at once, [1, N]; mel resized for another speed."""
    mel = flow.mel(tokens, prompt, block=False)
    if speed != 1.0:
        mel = torch.nn.functional.interpolate(mel, size=int(mel.shape[2] / speed), mode="linear")
    return UpstreamVocoder(hift, source)(mel, final=True)
