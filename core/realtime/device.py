"""Live conversion between two sound devices of this machine, by the optional package sounddevice (PortAudio)."""

import atexit
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import Unavailable
from core.realtime.blocks import Samples

if TYPE_CHECKING:
    from core.realtime.session import LiveSession, Standing

_POLL_S = 0.2
_MOST_WAITING = 256  # callbacks; of 2 to 30 ms each
_LOST_S = 4.0
_CLOSE_S = 2.0
MOST_AHEAD = 3  # times what was gathered at first


class Playing:
    """What waits to be heard. `take` never blocks: what is missing is silence, and counted."""

    def __init__(self, ahead_samples: int) -> None:
        """`ahead_samples` are gathered before the first is given, so that a late block is not at once a gap."""
        self._ahead, self._first_ahead = ahead_samples, ahead_samples
        self._waiting = np.zeros(0, np.float32)
        self._started = False
        self._lock = threading.Lock()  # `put` and `take` come from two threads
        self.underruns = 0
        self.position = 0
        """Samples of the converted sound that lie behind: given out, or left out to catch up."""

    def put(self, samples: Samples) -> None:
        """Add what is to be heard. What piled up over a stall is left out, or everything would stay late for good."""
        if not samples.size:  # most pieces of a block end none; what waits then is the rest of the last one
            return
        with self._lock:
            self._waiting = np.concatenate([self._waiting, samples])
            most = 2 * self._ahead + samples.size
            if self._ahead and self._waiting.size > most:
                left_out = self._waiting.size - self._ahead - samples.size
                self._waiting = self._waiting[left_out:]
                self.position += left_out

    def take(self, n_samples: int) -> Samples:
        """The next samples [n]."""
        with self._lock:
            self._started = self._started or self._waiting.size >= max(self._ahead, n_samples)
            if not self._started:
                return np.zeros(n_samples, np.float32)
            out, self._waiting = self._waiting[:n_samples], self._waiting[n_samples:]
            self.position += out.size
            if out.size < n_samples:
                self.underruns += 1
                self._started = False
                # What was late once will be late again: a little more is gathered, and the same is not heard twice.
                self._ahead = min(self._ahead + self._first_ahead // 2, MOST_AHEAD * self._first_ahead)
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

    The standing's latency is measured: how far what is played lies behind what is heard, and the devices' own buffers.

    Returns the underruns. Raises Unavailable: a device that is not there, or one that was lost on the way.
    """
    audio = package()
    line = _Line(session.plan.block * rate_hz // 44100)
    common = {"samplerate": rate_hz, "channels": 1, "dtype": "float32"}
    streams: list[Any] = []
    try:
        # Two streams: the devices may be of two makers, with two clocks, and PortAudio joins such badly on Linux.
        streams.append(audio.InputStream(device=source, callback=line.on_heard, **common))
        streams.append(audio.OutputStream(device=target, callback=line.on_play, **common))
        for stream in streams:
            stream.start()
        line.begin()
        _carry(session, line, rate_hz, sum(stream.latency for stream in streams), stop, on_standing)
    except (audio.PortAudioError, ValueError) as err:  # ValueError: no device of that name
        raise Unavailable(f"The sound device cannot be used: {err}", "Choose another one.", where="device") from err
    finally:
        _close(audio, streams)
    return line.playing.underruns


def _close(audio: Any, streams: list[Any]) -> None:
    """Close without waiting for a device that is gone: PortAudio may wait for it for ever, and at exit once more."""

    def close() -> None:
        for stream in streams:
            stream.abort()
            stream.close()

    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(_CLOSE_S)
    if closing.is_alive():
        atexit.unregister(audio._exit_handler)


def _carry(
    session: "LiveSession",
    line: "_Line",
    rate_hz: int,
    buffers_s: float,
    stop: Callable[[], bool],
    on_standing: Callable[["Standing", int], None],
) -> None:
    while not stop():
        line.check()
        try:
            line.playing.put(session.push(line.heard.get(timeout=_POLL_S)))
        except queue.Empty:
            continue
        latency_ms = round(1000 * (line.behind_samples / rate_hz + buffers_s), 1)
        on_standing(replace(session.standing, latency_ms=latency_ms), line.playing.underruns)


class _Line:
    """What both devices' threads write down."""

    def __init__(self, ahead_samples: int) -> None:
        self.heard: queue.Queue[Samples] = queue.Queue(_MOST_WAITING)
        self.playing = Playing(ahead_samples)
        self.behind_samples = 0
        self._n_heard = 0
        self._seen_s: dict[str, float] = {}
        self.begin()

    def begin(self) -> None:
        """The devices run from now on."""
        self._seen_s = dict.fromkeys(("microphone", "speaker"), time.monotonic())

    def on_heard(self, incoming: Any, _frames: int, _time: Any, _status: Any) -> None:
        # Full: the work is far behind; what is lost here is heard as a gap and counted there.
        with contextlib.suppress(queue.Full):
            self.heard.put_nowait(np.array(incoming[:, 0], np.float32))
            self._n_heard += incoming.shape[0]
        self._seen_s["microphone"] = time.monotonic()

    def on_play(self, outgoing: Any, _frames: int, _time: Any, _status: Any) -> None:
        self.behind_samples = self._n_heard - self.playing.position
        outgoing[:, 0] = self.playing.take(outgoing.shape[0])
        self._seen_s["speaker"] = time.monotonic()

    def check(self) -> None:
        """Raises Unavailable where a device has fallen silent: PortAudio does not say when one is unplugged."""
        for name, seen_s in self._seen_s.items():
            if time.monotonic() - seen_s > _LOST_S:
                raise Unavailable(
                    f"The sound device was lost: the {name} has not answered for {_LOST_S:.0f} seconds.",
                    "Plug it in again or choose another one, and start anew.",
                    where="device",
                )
