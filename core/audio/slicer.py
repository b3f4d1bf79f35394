"""Cut sound at its silences: so-vits-svc's rule, on an RMS envelope that can be measured while streaming.

The envelope has one value per hop. Frame `t` is the RMS of the four hops `[t-2, t+2)` around sample `t * hop`, zeros
beyond the ends; there are `n // hop + 1` frames. A ten-hour recording has 1.8 million of them: 14 MB.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput

_HOPS_PER_WINDOW = 4


@dataclass(frozen=True)
class SliceParams:
    """The rule's settings; the defaults are upstream's for conversion.

    `threshold_db`: RMS (dBFS) below which a frame is silent. `min_length_ms`: least time between two cuts.
    `min_interval_ms`: shortest silence that is cut. `max_silence_kept_ms`: how much silence may stay at each side of a
    cut. `hop_ms`: the envelope's step. Raises BadInput where they contradict each other.
    """

    threshold_db: float = -40.0
    min_length_ms: float = 5000.0
    min_interval_ms: float = 300.0
    max_silence_kept_ms: float = 5000.0
    hop_ms: float = 20.0

    def __post_init__(self) -> None:
        if not self.min_length_ms >= self.min_interval_ms >= self.hop_ms > 0:
            raise BadInput(
                "The slicer needs: shortest clip >= shortest pause >= step > 0 "
                f"(got {self.min_length_ms:g}, {self.min_interval_ms:g} and {self.hop_ms:g} ms).",
                "Raise the shortest clip or lower the shortest pause.",
                where="slicer",
            )
        if self.max_silence_kept_ms < self.hop_ms:
            raise BadInput("The silence kept must be at least one step long.", "Raise it.", where="slicer")

    def hop_samples(self, rate_hz: int) -> int:
        """The envelope's step in samples at `rate_hz`, at least one."""
        return max(1, round(rate_hz * self.hop_ms / 1000.0))

    def frames(self, ms: float, rate_hz: int) -> int:
        """A time in envelope frames."""
        return round(rate_hz * ms / 1000.0 / self.hop_samples(rate_hz))


@dataclass(frozen=True)
class Chunk:
    """Samples [start, end); `silent` chunks and sounding ones cover the whole sound in order, without overlap."""

    start_samples: int
    end_samples: int
    silent: bool


class RmsEnvelope:
    """Measures the envelope of a stream of blocks `[n]`. Memory: one number per hop."""

    def __init__(self, hop_samples: int) -> None:
        self.hop_samples = hop_samples
        self.n_samples = 0
        self._energies: list[NDArray[np.float64]] = []
        self._rest = np.zeros(0, np.float32)

    def push(self, block: NDArray[np.float32]) -> None:
        """Take the next samples."""
        self.n_samples += block.size
        joined = np.concatenate([self._rest, block]) if self._rest.size else block
        n_hops = joined.size // self.hop_samples
        whole = joined[: n_hops * self.hop_samples].reshape(n_hops, self.hop_samples).astype(np.float64)
        self._energies.append(np.einsum("ij,ij->i", whole, whole))
        self._rest = joined[n_hops * self.hop_samples :].copy()

    def finish(self) -> NDArray[np.float64]:
        """The RMS of every frame, [n // hop + 1], full scale 1.0."""
        rest = self._rest.astype(np.float64)
        energy = np.concatenate([*self._energies, [float(np.dot(rest, rest))]])
        half = _HOPS_PER_WINDOW // 2
        padded = np.concatenate([np.zeros(half), energy, np.zeros(half)])
        sums = np.convolve(padded, np.ones(_HOPS_PER_WINDOW), "valid")[: energy.size]
        return np.sqrt(np.maximum(sums, 0.0) / (_HOPS_PER_WINDOW * self.hop_samples))


def slice_silence(
    audio: NDArray[np.floating],
    rate_hz: int,
    threshold_db: float = -40.0,
    min_length_ms: float = 5000.0,
    min_interval_ms: float = 300.0,
    max_silence_kept_ms: float = 5000.0,
    hop_ms: float = 20.0,
    *,
    keep_empty: bool = False,
) -> list[Chunk]:
    """Chunks of `audio` [n], in order, that cover it exactly. Parameters as in `SliceParams`.

    `keep_empty` keeps the silent chunks of no length that mark a cut inside a short silence, as upstream lists them.
    """
    params = SliceParams(threshold_db, min_length_ms, min_interval_ms, max_silence_kept_ms, hop_ms)
    envelope = RmsEnvelope(params.hop_samples(rate_hz))
    envelope.push(np.asarray(audio, np.float32))
    return slice_envelope(envelope.finish(), envelope.n_samples, rate_hz, params, keep_empty=keep_empty)


def slice_envelope(
    rms: NDArray[np.floating],
    n_samples: int,
    rate_hz: int,
    params: SliceParams | None = None,
    *,
    keep_empty: bool = False,
) -> list[Chunk]:
    """The same from an envelope [n_frames] that was measured with `params.hop_samples(rate_hz)`."""
    params = params or SliceParams()
    if n_samples == 0:
        return []
    hop = params.hop_samples(rate_hz)
    chunks: list[Chunk] = []
    at = 0
    for first, last in _silences(np.asarray(rms), rate_hz, params):
        start, end = min(first * hop, n_samples), min(last * hop, n_samples)
        chunks.append(Chunk(at, start, False))
        chunks.append(Chunk(start, end, True))
        at = end
    chunks.append(Chunk(at, n_samples, False))
    return [c for c in chunks if c.end_samples > c.start_samples or (keep_empty and c.silent)]


def _silent_runs(silent: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Frames [first, end) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _silences(rms: NDArray[np.floating], rate_hz: int, params: SliceParams) -> list[tuple[int, int]]:
    """Frames (first, last) of every silence that is taken out; first == last marks a mere cut.

    Rule: spec/so_vits_svc.md, section 4, "Slicer". A silence up to the length that may be kept is cut at its quietest
    frame; one up to twice that at the quietest frames near its two ends and in the overlap of both reaches; a longer
    one at the quietest frame within reach of each end.
    """
    min_length = params.frames(params.min_length_ms, rate_hz)
    min_interval = params.frames(params.min_interval_ms, rate_hz)
    kept = max(1, params.frames(params.max_silence_kept_ms, rate_hz))
    threshold = 10.0 ** (params.threshold_db / 20.0)

    def quietest(first: int, last: int) -> int:
        return first + int(np.argmin(rms[first : last + 1]))

    found: list[tuple[int, int]] = []
    last_cut = 0
    for start, end in _silent_runs(rms < threshold):
        if end == rms.size:  # the sound ends in this silence
            if end - start >= min_interval:
                found.append((quietest(start, min(end, start + kept)), end + 1))
            break
        leading = start == 0 and end > kept
        if not leading and not (end - start >= min_interval and end - last_cut >= min_length):
            continue
        run = end - start
        if run <= kept:
            cut = quietest(start, end)
            first, last = cut, cut
        elif run <= 2 * kept:
            middle = quietest(end - kept, start + kept)
            first = min(quietest(start, start + kept), middle)
            last = max(quietest(end - kept, end), middle)
        else:
            first, last = quietest(start, start + kept), quietest(end - kept, end)
        if start == 0:
            first = 0
            last = last if run <= kept else quietest(end - kept, end)
        found.append((first, last))
        last_cut = last
    return found
