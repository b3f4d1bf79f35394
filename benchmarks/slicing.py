"""`python -m benchmarks slicing [--minutes M] [--hours H ...]`: cutting by subtitles beside the obvious script.

Both cut the same recording in fresh processes, in turn, each several times; starting Python, imports and loading the
models are left out of the times. With `--hours` recordings of that length are cut alone, for memory and growth. The
recording is real speech of `../shared/data` where that is present, else synthetic.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.prep import peak_rss_bytes

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SPEAKERS = ("en_US_f_Allison", "it_IT_m_Carlo")
TOLERANCE_S = 0.064
_SPEECH_DB = -40.0
_HOP_S = 0.01
_RATE_HZ = 44100

Times = list[tuple[float, float]]


def make_recording(prefix: Path, minutes: float, speaker: str, seed: int = 1) -> tuple[Path, Path, Times]:
    """A recording, its subtitles (jittered by up to 80 ms) and the true times of its utterances."""
    if (SHARED / speaker).is_dir():
        command = [sys.executable, str(SHARED / "make_long.py"), str(SHARED / speaker), str(prefix)]
        subprocess.run([*command, "--minutes", str(minutes), "--seed", str(seed)], check=True, stdout=sys.stderr)
        truth = json.loads(prefix.with_name(prefix.name + ".truth.json").read_text("utf-8"))
        times = [(row["start"], row["end"]) for row in truth]
        return prefix.with_name(prefix.name + ".wav"), prefix.with_name(prefix.name + ".srt"), times
    return _synthetic(prefix, minutes, seed)


def _synthetic(prefix: Path, minutes: float, seed: int) -> tuple[Path, Path, Times]:
    from core.audio.encode import write_audio
    from core.audio.resample import resample
    from core.audio.synthetic import SENTENCES, WOMAN, speak

    rng = np.random.default_rng(seed)
    clips = []
    for sentence in SENTENCES:
        audio, rate_hz = speak(sentence, WOMAN)
        clips.append(resample(audio, rate_hz, _RATE_HZ))
    parts: list[NDArray[np.float32]] = []
    times: Times = []
    now = 0.0
    while now < minutes * 60:
        pause = rng.standard_normal(round(rng.uniform(0.25, 1.2) * _RATE_HZ)).astype(np.float32) * np.float32(1e-4)
        clip = clips[int(rng.integers(len(clips)))]
        times.append((now + pause.size / _RATE_HZ, now + (pause.size + clip.size) / _RATE_HZ))
        parts += [pause, clip]
        now = times[-1][1]
    path = write_audio(prefix.with_name(prefix.name + ".wav"), np.concatenate(parts), _RATE_HZ)
    jittered = [tuple(at + float(rng.uniform(-0.08, 0.08)) for at in pair) for pair in times]
    return path, write_srt(prefix.with_name(prefix.name + ".srt"), [(max(0.0, a), b) for a, b in jittered]), times


def write_srt(path: Path, times: Times) -> Path:
    """Subtitles that number their cues."""

    def stamp(seconds: float) -> str:
        ms = round(seconds * 1000)
        return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"

    cues = [f"{n}\n{stamp(a)} --> {stamp(b)}\nSentence {n}.\n\n" for n, (a, b) in enumerate(times, start=1)]
    path.write_text("".join(cues), encoding="utf-8")
    return path


def agreement(cuts: Times, reference: Times) -> float:
    """Share of cues whose both edges lie within 64 ms of the reference's, 0..1."""
    apart = np.abs(np.asarray(cuts) - np.asarray(reference)).max(axis=1)
    return float(np.mean(apart <= TOLERANCE_S))


def against_truth(path: Path, truth: Times, cuts: Times) -> dict[str, float]:
    """`recall`: share of the speech of each utterance (10 ms frames within 40 dB of its loud ones) that its cut holds;
    `foreign_s`: speech of other utterances that cuts hold, s."""
    from core.audio.decode import load

    audio = load(path, 16000)
    hop = round(_HOP_S * 16000)
    power = np.square(audio[: audio.size // hop * hop].astype(np.float64)).reshape(-1, hop).mean(axis=1)
    owner = np.full(power.size, -1)
    for number, (start, end) in enumerate(truth):
        inside = slice(round(start / _HOP_S), round(end / _HOP_S))
        loud = power[inside] > np.percentile(power[inside], 95) * 10.0 ** (_SPEECH_DB / 10.0)
        owner[inside][loud] = number
    held = foreign = 0
    for number, (start, end) in enumerate(cuts):
        mine = owner[int(start / _HOP_S) : int(np.ceil(end / _HOP_S))]
        held += int((mine == number).sum())
        foreign += int(((mine >= 0) & (mine != number)).sum())
    return {"recall": round(held / int((owner >= 0).sum()), 5), "foreign_s": round(foreign * _HOP_S, 2)}


def child(kind: str, audio: Path, subs: Path, out: Path) -> dict[str, Any]:
    """Cut in a fresh process. Returns `cuts`, `wall_s`, `cpu_s`, `peak_rss_mb`."""
    command = [sys.executable, "-m", "benchmarks.slicing", "--child", kind, str(audio), str(subs), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{kind} failed ({done.returncode}): {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _child(kind: str, audio: Path, subs: Path, out: Path) -> dict[str, Any]:
    from core.subtitles.parse import read

    times = [(cue.start_ms / 1000.0, cue.end_ms / 1000.0) for cue in read(subs).cues]
    if kind == "plain":
        import soundfile  # noqa: F401  (start-up is no part of the time)
        import torchaudio  # noqa: F401
        from silero_vad import load_silero_vad

        from benchmarks._plain_slicing import slice_plainly

        load_silero_vad()
        started, computed = time.perf_counter(), _cpu_s()
        cuts, probing_s = slice_plainly(audio, times, out)
    else:
        probing_s = 0.0
        from core.cutting import cutter, outputs, speech  # noqa: F401
        from core.cutting.slice import run_slice
        from core.jobs.context import ForegroundContext
        from core.settings import load_settings

        speech.probabilities([np.zeros(speech.FRAME_SAMPLES, np.float32)])
        context = ForegroundContext(load_settings({"workspace": str(out.parent / "workspace")}))
        started, computed = time.perf_counter(), _cpu_s()
        result = run_slice({"audio": str(audio), "subs": str(subs), "out": str(out)}, context)
        report = json.loads(Path(result["report"]).read_text("utf-8"))
        cuts = [(cue["start_s"], cue["end_s"]) for cue in report["cues"]]
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": _cpu_s() - computed,
        "probing_s": probing_s,
        "peak_rss_mb": round(peak_rss_bytes() / 1e6, 1),
        "cuts": cuts,
    }


def _cpu_s() -> float:
    """Of this process and the programs it has started and seen end."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def compare(place: Path, minutes: float, speaker: str, rounds: int) -> dict[str, Any]:
    """Both ways on one recording, in turn. Times are medians; `ratio_*` is how many times faster ours is."""
    audio, subs, truth = make_recording(place / f"{speaker}-{minutes:g}", minutes, speaker)
    taken: dict[str, list[dict[str, Any]]] = {"plain": [], "ours": []}
    for number in range(rounds):
        for kind, done in taken.items():
            done.append(child(kind, audio, subs, place / f"{speaker}-{kind}-{number}"))
    figures: dict[str, Any] = {"recording": audio.stem, "seconds": round(truth[-1][1], 1), "cues": len(truth)}
    for kind, done in taken.items():
        for unit in ("wall_s", "cpu_s"):
            figures[f"{kind}_{unit}"] = round(statistics.median(one[unit] for one in done), 3)
        figures[f"{kind}_peak_rss_mb"] = max(one["peak_rss_mb"] for one in done)
        figures[f"{kind}_times_real_time"] = round(figures["seconds"] / figures[f"{kind}_wall_s"], 1)
    ours, plain = (taken[kind][0]["cuts"] for kind in ("ours", "plain"))
    return {
        **figures,
        "ratio_wall": round(figures["plain_wall_s"] / figures["ours_wall_s"], 2),
        "ratio_cpu": round(figures["plain_cpu_s"] / figures["ours_cpu_s"], 2),
        "plain_probing_s": round(statistics.median(one["probing_s"] for one in taken["plain"]), 3),
        "agreement": round(agreement(ours, plain), 4),
        **{f"ours_{name}": value for name, value in against_truth(audio, truth, ours).items()},
        **{f"plain_{name}": value for name, value in against_truth(audio, truth, plain).items()},
    }


def grow(place: Path, hours: Sequence[float]) -> list[dict[str, Any]]:
    """Ours alone on long recordings (a quarter of an hour over and over)."""
    import soundfile

    base, _, truth = make_recording(place / "base", 15.0, SPEAKERS[0], seed=5)
    samples, rate_hz = soundfile.read(base, dtype="int16")
    rows = []
    for length in hours:
        path, times = place / f"{length:g}h.wav", []
        n_repeats = max(1, round(length * 3600 * rate_hz / len(samples)))
        with soundfile.SoundFile(path, "w", rate_hz, 1, "PCM_16") as out:
            for repeat in range(n_repeats):
                out.write(samples)
                shift = repeat * len(samples) / rate_hz
                times += [(start + shift, end + shift) for start, end in truth]
        done = child("ours", path, write_srt(path.with_suffix(".srt"), times), place / f"{length:g}h")
        path.unlink()
        shutil.rmtree(place / f"{length:g}h")
        seconds = n_repeats * len(samples) / rate_hz
        rows.append(
            {
                "hours": round(seconds / 3600, 2),
                "cues": len(times),
                "wall_s": round(done["wall_s"], 1),
                "cpu_s": round(done["cpu_s"], 1),
                "cpu_s_per_hour": round(done["cpu_s"] / seconds * 3600, 2),
                "peak_rss_mb": done["peak_rss_mb"],
            }
        )
    return rows


def run(args: list[str]) -> dict[str, Any]:
    """Run the benchmark. Returns `comparisons` (see `compare`), `growth` (see `grow`) and what probed the files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks slicing", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=12.0, help="length of the compared recordings (default: 12)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, in turn (default: 3)")
    parser.add_argument("--speakers", type=int, default=len(SPEAKERS), help="recordings to compare on (default: all)")
    parser.add_argument("--hours", type=float, nargs="*", default=[], help="lengths to cut alone, h")
    options = parser.parse_args(args)
    speakers = [name for name in SPEAKERS if (SHARED / name).is_dir()] or ["synthetic"]
    with tempfile.TemporaryDirectory(prefix="slicing-") as temp:
        place = Path(temp)
        comparisons = [compare(place, options.minutes, name, options.rounds) for name in speakers[: options.speakers]]
        return {
            "benchmark": "slicing",
            "probe": "ffprobe" if shutil.which("ffprobe") else "soundfile (ffprobe is not installed)",
            "speech": "synthetic" if speakers == ["synthetic"] else "real",
            "comparisons": comparisons,
            "growth": grow(place, options.hours),
        }


def _line(c: dict[str, Any]) -> str:
    cells = [
        f"{c['recording']} ({c['seconds'] / 60:.0f} min, {c['cues']} cues)",
        f"{c['plain_wall_s']:.2f} / {c['plain_cpu_s']:.2f} ({c['plain_probing_s']:.2f} probing)",
        f"{c['ours_wall_s']:.2f} / {c['ours_cpu_s']:.2f}",
        f"**{c['ratio_wall']:.1f}** / {c['ratio_cpu']:.1f}",
        f"{c['agreement']:.1%}",
        f"{c['plain_recall']:.2%}",
        f"{c['ours_recall']:.2%}",
        f"{c['ours_foreign_s']:.2f} s",
    ]
    return f"| {' | '.join(cells)} |"


def markdown(figures: dict[str, Any]) -> str:
    """The page of the results."""
    rows = [_line(c) for c in figures["comparisons"]]
    growth = [
        f"| {g['hours']:g} h, {g['cues']} cues | {g['wall_s']:.1f} | {g['cpu_s']:.1f} | {g['cpu_s_per_hour']:.2f} | "
        f"{g['peak_rss_mb']:.0f} MB |"
        for g in figures["growth"]
    ]
    lines = [
        f"Cutting {figures['speech']} speech by its subtitles, beside the obvious script (resample and ask Silero's "
        f"TorchScript model cue by cue, write with soundfile, probe each file twice; probe: {figures['probe']}). "
        "Seconds are wall / CPU, start-up aside; medians of runs in turn.",
        "",
        "Agreement: cues whose both edges lie within 64 ms of the script's. Recall: speech of the true utterances (10 "
        "ms frames within 40 dB of the loud ones) inside their cuts. Foreign: speech of other utterances in the cuts.",
        "",
        "| recording | script, s | ours, s | times faster | agreement | recall, script | recall, ours | foreign |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    speeds = [
        f"| {c['recording']} | {c['plain_times_real_time']:.1f} | {c['ours_times_real_time']:.0f} |"
        for c in figures["comparisons"]
    ]
    lines += ["", "The same as multiples of real time:", "", "| recording | script | ours |", "|---|---|---|", *speeds]
    if growth:
        head = ["", "Length and memory, ours alone:", ""]
        table = ["| recording | wall s | CPU s | CPU s per hour | peak memory |", "|---|---|---|---|---|"]
        lines += [*head, *table, *growth]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(_child(sys.argv[2], *(Path(name) for name in sys.argv[3:6]))))
    else:
        print(json.dumps(run(sys.argv[1:]), indent=2))
