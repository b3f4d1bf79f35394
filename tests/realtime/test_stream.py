"""The device stream on real sound devices: a null sink of PulseAudio whose monitor is the microphone.

What is played comes back as what is heard, so that the time from a sound to the same sound converted can be measured
from outside. Skips visibly where PortAudio or the pulse tools are missing, or no server will start:
`apt-get install libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins` and `pip install sounddevice`.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.dataset.voices import VoiceStore
from core.errors import Unavailable
from core.realtime import device
from core.realtime.blocks import Samples
from core.realtime.options import RealtimeOptions
from core.realtime.session import LiveSession, Standing
from core.settings import load_settings
from core.studio import Studio
from tests.training.material import export_random, register_encoder, sung_vowel

RATE_HZ, LOUD = 48000, 0.05
OPTIONS = RealtimeOptions(voice="-", block_s=0.2, context_s=0.3, warm_up_s=0.1, gate_db=-60.0)


class Pulse:
    """A server of our own, in its own runtime folder: nobody's sound is touched."""

    def __init__(self, folder: Path) -> None:
        homes = ("PULSE_RUNTIME_PATH", "HOME", "XDG_CONFIG_HOME")
        self.env = {**os.environ, **dict.fromkeys(homes, str(folder))}
        self.env.pop("PULSE_SERVER", None)
        # Two sinks: what is played into `said` is what the microphone hears, what we say goes into `heard`.
        sinks = [f"--load=module-null-sink sink_name={name} rate={RATE_HZ}" for name in ("said", "heard")]
        self.process = subprocess.Popen(
            ["pulseaudio", "-n", "--exit-idle-time=-1", "--daemonize=no", "--load=module-native-protocol-unix", *sinks],
            env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ready(self) -> bool:
        for _ in range(100):
            if subprocess.run(["pactl", "info"], env=self.env, capture_output=True).returncode == 0:
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.1)
        return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def pulse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pulse]:
    try:
        audio = device.package()
    except Unavailable as err:
        pytest.skip(str(err))
    if not all(map(shutil.which, ("pulseaudio", "pactl"))):
        pytest.skip("no PulseAudio here (apt-get install pulseaudio pulseaudio-utils libasound2-plugins)")
    made = Pulse(tmp_path)
    if not made.ready():
        pytest.skip("PulseAudio does not start here")
    monkeypatch.setenv("PULSE_RUNTIME_PATH", str(tmp_path))
    monkeypatch.setenv("PULSE_SINK", "heard")
    monkeypatch.setenv("PULSE_SOURCE", "said.monitor")
    audio._terminate()
    audio._initialize()  # PortAudio looks for devices once
    if not any("pulse" in one["name"] for one in audio.query_devices()):
        made.stop()
        pytest.skip("PortAudio sees no PulseAudio here (apt-get install libasound2-plugins)")
    yield made
    made.stop()


class Beside:
    """Streams of the test's own beside those that are tested: one plays into the microphone, one hears the speaker."""

    def __init__(self, sound: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
        """`sound` is played once, from the beginning."""
        self.said_at = self.heard_at = 0.0
        self.loudest = 0.0
        self._sound, self._at = sound, 0
        self._first = int(np.flatnonzero(np.abs(sound) > LOUD)[0])
        audio = device.package()
        common = {"samplerate": RATE_HZ, "channels": 1, "dtype": "float32", "latency": 0.03}
        for name, value in (("PULSE_SINK", "said"), ("PULSE_SOURCE", "heard.monitor")):  # read when a stream opens
            monkeypatch.setenv(name, value)
        self.streams = [
            audio.OutputStream(callback=self._play, **common),
            audio.InputStream(callback=self._hear, **common),
        ]
        for name, value in (("PULSE_SINK", "heard"), ("PULSE_SOURCE", "said.monitor")):
            monkeypatch.setenv(name, value)
        self.own_s = sum(stream.latency for stream in self.streams)

    def start(self) -> None:
        for stream in self.streams:
            stream.start()

    def stop(self) -> None:
        for stream in self.streams:
            stream.abort()
            stream.close()

    def _play(self, out: Any, n_frames: int, _time: Any, _status: Any) -> None:
        part = self._sound[self._at : self._at + n_frames]
        out[:] = 0
        out[: part.size, 0] = part
        if not self.said_at and self._at + part.size > self._first:
            self.said_at = time.monotonic() + (self._first - self._at) / RATE_HZ
        self._at += n_frames

    def _hear(self, sound: Any, n_frames: int, _time: Any, _status: Any) -> None:
        self.loudest = max(self.loudest, float(np.abs(sound).max()))
        loud = np.flatnonzero(np.abs(sound[:, 0]) > LOUD)
        if not self.heard_at and loud.size:
            self.heard_at = time.monotonic() - (n_frames - int(loud[0])) / RATE_HZ


def same() -> LiveSession:
    """A session without a model: it gives back what it hears, as late as its plan says."""
    return LiveSession(lambda window, skip, _: window[skip * 512 :], OPTIONS, RATE_HZ)


def test_a_sound_comes_back_after_the_stated_time(pulse: Pulse, monkeypatch: pytest.MonkeyPatch) -> None:
    session = same()
    burst = np.concatenate([np.zeros(RATE_HZ), 0.5 * np.sin(np.arange(RATE_HZ) * 0.05)]).astype(np.float32)
    beside = Beside(burst, monkeypatch)
    told: list[Standing] = []
    until = time.monotonic() + 4.0
    beside.start()
    device.run_stream(
        session, RATE_HZ, stop=lambda: time.monotonic() > until, on_standing=lambda one, _: told.append(one)
    )
    beside.stop()
    assert beside.said_at
    assert beside.heard_at, "nothing came back"
    late_ms = 1000 * (beside.heard_at - beside.said_at - beside.own_s)
    plan_ms = 1000 * session.plan.latency_s
    print(f"end to end {late_ms:.0f} ms, told {told[-1].latency_ms:.0f} ms; the plan alone {plan_ms:.0f} ms")
    assert late_ms > 0.7 * plan_ms, "a sound cannot be converted before its block is over"
    assert told[-1].latency_ms > plan_ms, "what is told counts the devices and what waits to be played"
    assert told[-1].blocks > 5


def test_a_voice_sings_from_device_to_device(pulse: Pulse, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_encoder(monkeypatch)
    studio = Studio(load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={}))
    studio.create_voice("歌手")
    export_random(VoiceStore(studio.settings.voices_dir).get("歌手"))
    beside = Beside(np.tile(sung_vowel(2.0).astype(np.float32), 2), monkeypatch)
    options = {**OPTIONS.model_dump(), "voice": "歌手", "pitch": "dio"}
    with studio.live.open(options, RATE_HZ) as session:
        until = time.monotonic() + 4.0
        beside.start()
        device.run_stream(session, RATE_HZ, stop=lambda: time.monotonic() > until, on_standing=lambda *_: None)
        assert session.standing.blocks > 5
    beside.stop()
    assert beside.loudest > 0.003, "the voice was heard"


LOST = """
import time
from core.dataset.voices import VoiceStore
from core.errors import Unavailable
from core.realtime import device
from tests.realtime.test_stream import RATE_HZ, same
try:
    device.run_stream(same(), RATE_HZ, stop=lambda: False, on_standing=lambda one, _: print("going", flush=True))
except Unavailable as err:
    print("said:", err.message, flush=True)
"""


def test_a_device_that_goes_away_is_said_in_words(pulse: Pulse, repo_root: Path) -> None:
    """In a process of its own: PortAudio's thread does not end once its server is gone, until the process does."""
    child = subprocess.Popen(
        [sys.executable, "-c", LOST], env={**os.environ, "PYTHONPATH": str(repo_root)}, cwd=repo_root, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline() == "going\n"
    pulse.process.kill()
    rest, _ = child.communicate(timeout=60)
    assert "said: The sound device was lost" in rest
    assert child.returncode == 0, "and the process ends"


def test_a_device_that_is_not_there_is_named(pulse: Pulse) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        device.run_stream(same(), RATE_HZ, source="nowhere", stop=lambda: False, on_standing=lambda *_: None)
