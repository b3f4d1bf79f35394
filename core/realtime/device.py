"""Live conversion between two sound devices of this machine, by the optional package sounddevice (PortAudio)."""

import contextlib
import queue
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import Unavailable
from core.realtime.blocks import Samples

if TYPE_CHECKING:
    from core.realtime.session import LiveSession, Standing

_POLL_S = 0.2
_MOST_WAITING = 64


class Playing:
    """What waits to be heard. `take` never blocks: what is missing is silence, and counted."""

    def __init__(self, ahead_samples: int) -> None:
        """`ahead_samples` are gathered before the first is given, so that a late block is not at once a gap."""
        self._ahead = ahead_samples
        self._waiting = np.zeros(0, np.float32)
        self._started = False
        self.underruns = 0

    def put(self, samples: Samples) -> None:
        """Add what is to be heard."""
        self._waiting = np.concatenate([self._waiting, samples])

    def take(self, n_samples: int) -> Samples:
        """The next samples [n]."""
        self._started = self._started or self._waiting.size >= max(self._ahead, n_samples)
        if not self._started:
            return np.zeros(n_samples, np.float32)
        out, self._waiting = self._waiting[:n_samples], self._waiting[n_samples:]
        if out.size < n_samples:
            self.underruns += 1
            self._started = False
            out = np.pad(out, (0, n_samples - out.size))
        return out


def package() -> Any:
    """sounddevice. Raises Unavailable that says how to get it."""
    try:
        import sounddevice
    except (ImportError, OSError) as err:  # OSError: the package is there, PortAudio is not
        raise Unavailable(
            "Live conversion between sound devices needs the package sounddevice and PortAudio.",
            "Install it into the studio's environment: pip install sounddevice (on Linux also libportaudio2). "
            "The page converts live without it.",
            where="device",
        ) from err
    return sounddevice


def run_stream(
    session: "LiveSession",
    rate_hz: int,
    *,
    source: int | str | None = None,
    target: int | str | None = None,
    stop: Callable[[], bool],
    on_standing: Callable[["Standing", int], None],
) -> int:
    """Convert from one device to another until `stop()`; `on_standing(standing, underruns)` several times a second.

    Returns the underruns. Raises Unavailable.
    """
    audio = package()
    heard: queue.Queue[Samples] = queue.Queue(_MOST_WAITING)
    playing = Playing(session.plan.block * rate_hz // 44100)

    def on_block(incoming: Any, outgoing: Any, _frames: int, _time: Any, _status: Any) -> None:
        # Full: the work is far behind; what is lost here is heard as a gap and counted there.
        with contextlib.suppress(queue.Full):
            heard.put_nowait(np.array(incoming[:, 0], np.float32))
        outgoing[:, 0] = playing.take(outgoing.shape[0])

    try:
        with audio.Stream(samplerate=rate_hz, channels=1, dtype="float32", device=(source, target), callback=on_block):
            while not stop():
                try:
                    playing.put(session.push(heard.get(timeout=_POLL_S)))
                except queue.Empty:
                    continue
                on_standing(session.standing, playing.underruns)
    except audio.PortAudioError as err:
        raise Unavailable(f"The sound device cannot be used: {err}", "Choose another one.", where="device") from err
    return playing.underruns
