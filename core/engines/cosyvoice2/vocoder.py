"""Mel that arrives in pieces to audio, without seams: the sum of the chunks is the sound made at once.

Each piece is decoded with what its audio depends on before and after it. With fewer frames held back than that, chunks
come earlier and are joined by a crossfade whose gains sum to one.
"""

import torch
from torch import Tensor

from core.engines.cosyvoice2.hift import _F0_AHEAD, _F0_LAYERS, _F0_TAPS, Hift, reach
from core.engines.cosyvoice2.source import centre_phases, turns_a_sample


class VocoderStream:
    """One sound on its way from mel to audio; holds all its state.

    `hold`: frames held back until more mel has come; None: as many as make every chunk exact (`reach`).
    `generator`: of the noise, on the CPU; frame n of the sound draws the same numbers however it is cut.
    """

    def __init__(self, hift: Hift, generator: torch.Generator, hold: int | None = None) -> None:
        self._hift, self._generator = hift, generator
        self._left, exact = reach(hift.config)
        self.hold = exact if hold is None else min(hold, exact)
        self._exact = self.hold == exact
        device = hift.window.device
        self._mel = torch.empty(1, hift.config.in_channels, 0, device=device)
        self._f0 = torch.empty(0, device=device)  # of the frames from `_first` whose pitch is final
        self._noise = torch.empty(0, hift.n_harmonics, device=device)
        self._phase: Tensor | None = None
        self._first = self._done = 0
        self._tail = torch.empty(0, device=device)
        self._ended = False

    @torch.inference_mode()
    def push(self, mel: Tensor, *, final: bool = False) -> Tensor:
        """Take mel [1, 80, T]; returns the audio [N] that is ready. `final`: all that is left."""
        if self._ended:
            raise ValueError("this stream has ended")
        self._ended = final
        hop = self._hift.config.hop
        self._take(mel)
        stop = self._first + self._mel.shape[2]
        ready = stop if final else stop - self.hold
        if ready <= self._done or (not self._exact and not final and ready - self._done < self.hold):
            # Nothing to say; what is left of an approximate end comes with the final call.
            return self._tail.new_empty(0)
        f0 = self._pitch(final)
        source = self._hift.source(f0, self._noise, self._phase)
        audio = self._hift.decode(self._mel, source)[0]
        begin, end = (self._done - self._first) * hop, (ready - self._first) * hop
        out = audio[begin:end].clone()
        if not self._exact:
            faded = min(len(self._tail), len(out))
            rise = (torch.arange(faded, device=out.device) + 0.5) / max(1, faded)
            out[:faded] = out[:faded] * rise + self._tail[:faded] * (1 - rise)
            self._tail = audio[end:].clone()
        self._done = ready
        self._forget(f0)
        return out

    def _take(self, mel: Tensor) -> None:
        self._mel = torch.cat([self._mel, mel.to(self._mel)], dim=2)
        config, n_harmonics = self._hift.config, self._hift.n_harmonics
        # One draw a frame: a generator gives other numbers when one draw becomes two.
        draw = torch.rand if config.causal else torch.randn
        rows = [draw(config.hop, n_harmonics, generator=self._generator) for _ in range(mel.shape[2])]
        if rows:
            self._noise = torch.cat([self._noise, torch.cat(rows).to(self._noise)])

    def _pitch(self, final: bool) -> Tensor:
        """Pitch of all frames at hand; remembers that which later mel cannot change."""
        known = len(self._f0)
        f0 = torch.cat([self._f0, self._hift.pitch(self._mel)[known:]])
        ahead = _F0_AHEAD if self._hift.config.causal else _F0_LAYERS * (_F0_TAPS - 1) // 2
        self._f0 = f0 if final else f0[: max(known, len(f0) - ahead)]
        return f0

    def _forget(self, f0: Tensor) -> None:
        """Drop the frames that nothing depends on any more, and keep the phase that they ended with."""
        n_gone = max(0, self._done - self._left - self._first)
        if not n_gone:
            return
        config = self._hift.config
        turns = turns_a_sample(f0[:n_gone], self._hift.n_harmonics, config.sampling_rate)
        self._phase = centre_phases(turns, config.hop, self._phase)[-1]
        self._mel, self._f0 = self._mel[..., n_gone:], self._f0[n_gone:]
        self._noise = self._noise[n_gone * config.hop :]
        self._first += n_gone
