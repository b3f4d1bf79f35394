"""`python -m benchmarks prep [--hours H] [--slicer silence|vad] [--keep DIR]`: time and memory of a long preparation.

A recording of synthetic speech with pauses and a noise floor is written to FLAC, then imported and prepared in a fresh
process whose highest resident memory is read from the system. Times are wall clock of that process; `cpu_s` is what it
computed, which on a busy machine tells more.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from core.audio.encode import to_int16
from core.audio.resample import resample
from core.audio.synthetic import WOMAN, recording

RATE_HZ = 44100
_BASE_MINUTES = 4.0
_FRAME_SAMPLES = 1 << 15


def make_recording(path: Path, hours: float, seed: int = 0) -> Path:
    """A FLAC of `hours` of speech at 44.1 kHz: four minutes, repeated at another level over fresh noise each time."""
    base, rate_hz = recording(min(_BASE_MINUTES, hours * 60) * 60, WOMAN)
    base = resample(base, rate_hz, RATE_HZ)
    rng = np.random.default_rng(seed)
    wanted = round(hours * 3600 * RATE_HZ)
    at = 0
    with av.open(f"file:{path}", "w", format="flac") as out:
        track = out.add_stream("flac", rate=RATE_HZ, layout="mono", format="s16")
        assert isinstance(track, AudioStream)
        while at < wanted:
            take = base[: wanted - at] * np.float32(10 ** (rng.uniform(-9, 0) / 20))
            take = take + 3e-4 * rng.standard_normal(take.size, dtype=np.float32)
            samples = to_int16(take)
            for start in range(0, samples.size, _FRAME_SAMPLES):
                piece = samples[start : start + _FRAME_SAMPLES]
                frame = AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
                frame.sample_rate, frame.pts = RATE_HZ, at + start
                out.mux(track.encode(frame))
            at += samples.size
        out.mux(track.encode(None))
    return path


def measure(workspace: Path, recording_path: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Import and prepare in a fresh process; its result with `import_s`, `prepare_s`, `cpu_s` and `peak_rss_mb`."""
    command = [sys.executable, "-m", "benchmarks.prep", "--child", str(workspace), str(recording_path)]
    done = subprocess.run([*command, json.dumps(options)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the preparation failed ({done.returncode}): {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _child(workspace: Path, recording_path: Path, options: dict[str, Any]) -> dict[str, Any]:
    from core.dataset.prepare import run_prepare
    from core.dataset.voices import VoiceStore
    from core.jobs.context import ForegroundContext
    from core.settings import load_settings

    settings = load_settings({"workspace": str(workspace)})
    store = VoiceStore(settings.voices_dir)
    started = time.perf_counter()
    voice = store.create("Benchmark")
    report = store.import_recordings(voice, [recording_path])
    assert report.added, report.skipped
    import_s = time.perf_counter() - started
    result = run_prepare({"voice": voice.name, "options": options}, ForegroundContext(settings))
    prepare_s = time.perf_counter() - started - import_s
    return {
        **{key: result[key] for key in ("clips", "accepted", "review", "rejected", "minutes", "minutes_in")},
        "import_s": round(import_s, 2),
        "prepare_s": round(prepare_s, 2),
        "cpu_s": round(time.process_time(), 2),
        "peak_rss_mb": round(peak_rss_bytes() / 1e6, 1),
    }


def peak_rss_bytes() -> int:
    """Highest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would also count the parent, before the new program was loaded
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def run(args: list[str]) -> dict[str, Any]:
    """Run the benchmark. Returns the figures of `measure` with `hours`, `rtf` and `cpu_rtf` (per second of sound)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks prep", description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=1.0, help="length of the recording, h (default: 1)")
    parser.add_argument("--slicer", choices=("silence", "vad"), default="silence")
    parser.add_argument("--keep", type=Path, help="make the recording and the workspace here, and leave them")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory(prefix="prep-") as temp:
        place = options.keep or Path(temp)
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"speech-{options.hours:g}h.flac"
        if not path.exists():
            make_recording(path, options.hours)
        figures = measure(place / f"workspace-{options.slicer}", path, {"slicer": options.slicer})
        size_mb = round(path.stat().st_size / 1e6, 1)
    seconds = figures["minutes_in"] * 60
    return {
        "benchmark": "prep",
        "hours": options.hours,
        "slicer": options.slicer,
        "recording_mb": size_mb,
        **figures,
        "rtf": round((figures["prepare_s"]) / seconds, 5),
        "cpu_rtf": round(figures["cpu_s"] / seconds, 5),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(_child(Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4]))))
    else:
        print(json.dumps(run(sys.argv[1:]), indent=2))
