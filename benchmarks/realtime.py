"""`python -m benchmarks realtime [--preset NAME ...] [--block MS ...]`: how long live conversion keeps one waiting.

Synthetic speech goes through a live session at the pace of a sound card: 10 ms every 10 ms, and a player takes 10 ms
every 10 ms from what has come back. The model has random weights, the encoder and the pitch predictor are the real
ones. `latency_ms` is measured end to end: the place of clicks in what is played against their place in what was fed.
The sound is passed through after the same work in place of being converted, since a converted click is no click.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

RATE_HZ = 44100
_STEP = 441
_AHEAD_S = 0.06  # as the page


def run(args: list[str]) -> dict[str, Any]:
    """The figures, by preset and block."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks realtime")
    parser.add_argument("--preset", nargs="+", default=["lite", "standard"], choices=("lite", "tiny", "standard"))
    parser.add_argument("--block", type=int, nargs="+", default=[120, 250, 500, 1000], help="ms")
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory(prefix="realtime-") as folder:
        rows = [
            {"preset": name, "block_ms": block, **_measure(Path(folder), name, block, options)}
            for name in options.preset
            for block in options.block
        ]
    return {"seconds": options.seconds, "device": options.device, "threads": options.threads, "rows": rows}


def markdown(figures: dict[str, Any]) -> str:
    """A table, a row a preset and block."""
    lines = [
        f"{figures['seconds']:g} s of synthetic speech at a sound card's pace, {figures['threads']} threads, device "
        f"{figures['device']}. Latency: from a sound to the same sound played, measured, work and the player's "
        f"{1000 * _AHEAD_S:.0f} ms included; the plan is what the sizes alone make it. RTF: work a second of "
        "sound, by the clock and of processor time: on a busy machine the second tells more, and gaps are its load's.",
        "",
        "| voice | block | plan | latency | RTF | processor | slowest 5 % of blocks | late blocks | gaps heard |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        latency = "–" if row["latency_ms"] is None else f"{row['latency_ms']:.0f} ms"
        lines.append(
            f"| {row['preset']} | {row['block_ms']} ms | {row['plan_ms']:.0f} ms | {latency} | {row['rtf']:.2f} | "
            f"{row['cpu_rtf']:.2f} | "
            f"{row['compute_ms']:.0f} ms | {row['late']} of {row['blocks']} | {row['gaps']} |"
        )
    return "\n".join(lines) + "\n"


def _measure(folder: Path, name: str, block_ms: int, options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from benchmarks.song import _voice
    from core.audio.resample import resample
    from core.audio.synthetic import WOMAN, recording
    from core.engines.sovits.config import HOP
    from core.realtime.options import RealtimeOptions
    from core.realtime.session import LiveSession, open_render
    from core.settings import load_settings

    torch.set_num_threads(options.threads)
    given = {"workspace": folder, "device": options.device, "threads": options.threads}
    settings = load_settings(given, env={})
    if not (settings.voices_dir / name).exists():
        _voice(settings, name)
    live = RealtimeOptions(voice=name, block_s=block_ms / 1000, gate_db=-120.0)
    render = open_render(live, settings)

    def worked(window: Any, skip_frames: int, number: int) -> Any:
        render(window, skip_frames, number)
        return window[skip_frames * HOP :]

    speech, rate_hz = recording(options.seconds, WOMAN)
    sound = 0.5 * resample(speech, rate_hz, RATE_HZ)
    clicks = np.arange(round(1.5 * RATE_HZ), sound.size - RATE_HZ, RATE_HZ)
    sound[clicks] = 1.0
    session = LiveSession(worked, live)
    cpu = time.process_time()
    played, gaps = _played(session, sound)
    cpu = time.process_time() - cpu
    # Nothing is lost and nothing changes places, so the first click heard is the first that was fed.
    heard = np.flatnonzero(played > 0.9)
    heard = heard[np.diff(heard, prepend=-RATE_HZ) > RATE_HZ // 20]
    delays = [float(later - click) for later, click in zip(heard, clicks, strict=False)]
    standing = session.standing
    return {
        "plan_ms": 1000 * session.plan.latency_s,
        "latency_ms": 1000 * float(np.median(delays)) / RATE_HZ if delays else None,
        "rtf": standing.rtf,
        "cpu_rtf": round(cpu / (sound.size / RATE_HZ), 3),
        "compute_ms": standing.compute_ms,
        "late": standing.late,
        "blocks": standing.blocks,
        "gaps": gaps,
    }


def _played(session: Any, sound: Any) -> tuple[Any, int]:
    """What a listener hears of `sound`, and how often it broke off: a card's clock on one thread, work on another."""
    from core.realtime.device import Playing

    playing = Playing(round(_AHEAD_S * RATE_HZ))
    heard: list[Any] = []
    fed: list[Any] = []
    ended = threading.Event()
    lock = threading.Lock()

    def work() -> None:
        while not ended.is_set():
            with lock:
                ready, fed[:] = list(fed), []
            if not ready:
                time.sleep(0.002)
                continue
            made = session.push(np.concatenate(ready))
            with lock:
                playing.put(made)

    worker = threading.Thread(target=work)
    worker.start()
    began = time.perf_counter()
    for number, at in enumerate(range(0, sound.size - _STEP, _STEP)):
        with lock:
            fed.append(sound[at : at + _STEP])
            heard.append(playing.take(_STEP))
        time.sleep(max(0.0, began + (number + 1) * _STEP / RATE_HZ - time.perf_counter()))
    ended.set()
    worker.join()
    return np.concatenate(heard), playing.underruns
