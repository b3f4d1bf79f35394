"""`python -m benchmarks subtitle_timing [--minutes M ...]`: which offsets and drifts of subtitles are found.

Real recordings of `../shared/data` (else synthetic ones) with subtitles that are right to 80 ms. Offsets and drifts are
put into them, into all cues or into what is harder: a fifth of the cues, cues that are off by up to 0.3 s more, cues
that are stretched to the next one, sound with music that passes for speech. Right ones must raise no alarm.
"""

import argparse
import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.slicing import SHARED, SPEAKERS, make_recording

OFFSETS_S = (-60, -20, -7.4, -1.3, -0.2, 0, 0.2, 1.3, 7.4, 60)
DRIFTS = (
    1, 0.999, 0.9995, 1.0005, 1.001, 1.0025, 1.02,
    24 / 25, 25 / 24, 23.976 / 25, 25 / 23.976, 24 / 23.976, 23.976 / 24,
)  # fmt: skip
KINDS = ("all cues", "a fifth of them", "0.3 s of jitter", "stretched", "music")
_EVERY = 5  # of the combinations, where the subtitles or the sound are worse
_CLOSE_S = 0.15
_MUST_S = 0.15  # a shift below that may be left alone
_NULLS = 20

Times = NDArray[np.float64]


def worse(kind: str, times: Times, activity: NDArray[np.float32], seed: int) -> tuple[Times, NDArray[np.float32]]:
    """Subtitles and sound as they come in life; see the module."""
    rng = np.random.default_rng(seed)
    if kind == "a fifth of them":
        times = times[rng.random(len(times)) < 0.2]
    elif kind == "0.3 s of jitter":
        times = np.sort(times + rng.uniform(-0.3, 0.3, times.shape), axis=1)
    elif kind == "stretched":
        times = np.stack([times[:-1, 0], times[1:, 0]], axis=1)
    elif kind == "music":
        activity = activity.copy()
        for start in rng.integers(activity.size, size=activity.size // 1500):
            activity[start : start + rng.integers(100, 800)] = rng.uniform(0.5, 1.0)
        for start in rng.integers(activity.size, size=activity.size // 1500):
            activity[start : start + rng.integers(50, 400)] = 0.0
    return times[np.argsort(times[:, 0])], activity


def heard(audio: Path) -> NDArray[np.float32]:
    """Speech in a file, as a cutting hears it."""
    from core.audio.decode import load
    from core.cutting.offset import Activity
    from core.cutting.speech import RATE_HZ, probabilities

    sound, activity, piece = load(audio, RATE_HZ), Activity(), 8 * RATE_HZ
    starts = range(0, sound.size, piece)
    for start, found in zip(starts, probabilities([sound[at : at + piece] for at in starts]), strict=True):
        activity.add(start / RATE_HZ, found)
    return activity.values


def judge(kind: str, times: Times, activity: NDArray[np.float32]) -> dict[str, Any]:
    """All offsets and drifts on one recording: counts of what was `tried`, `found` (every cue within 0.15 s), `missed`
    and `wrong`; `false` alarms of `right` subtitles; `worst_s`: the largest error of those found; `left`: the others.
    """
    from core.cutting.offset import MIN_CUES, detect

    row: dict[str, Any] = {"tried": 0, "found": 0, "missed": 0, "wrong": 0, "right": 0, "false": 0, "worst_s": 0.0}
    row |= {"kind": kind, "cues": [], "left": []}
    mixes = [*itertools.product(OFFSETS_S, DRIFTS)]
    for seed in range(_NULLS if kind != "all cues" else 1):
        shown, sound = worse(kind, times, activity, seed)
        row["right"] += 1
        row["false"] += len(shown) >= MIN_CUES and detect(shown, sound) is not None
    for number, (offset_s, drift) in enumerate(mixes if kind == "all cues" else mixes[::_EVERY]):
        shown, sound = worse(kind, times, activity, number)
        wrong = (shown - offset_s) / drift
        wrong = wrong[wrong[:, 0] >= 0]
        true = wrong * drift + offset_s
        if len(wrong) < MIN_CUES or np.abs(true - wrong)[[0, -1]].max() < _MUST_S:
            continue
        found = detect(wrong, sound)
        error_s = None if found is None else float(np.abs(found.apply(wrong) - true).max())
        verdict = "missed" if error_s is None else "found" if error_s <= _CLOSE_S else "wrong"
        row["tried"] += 1
        row[verdict] += 1
        row["cues"].append(len(wrong))
        if verdict == "found":
            row["worst_s"] = max(row["worst_s"], error_s or 0.0)
        else:
            error = "" if error_s is None else f", {error_s:.2f} s off"
            row["left"].append(f"{offset_s:+g} s x {drift:.5f} on {len(wrong)} cues: {verdict}{error}")
    row["cues"] = [min(row["cues"], default=0), max(row["cues"], default=0)]
    return row


def run(args: list[str]) -> dict[str, Any]:
    """Run the benchmark. Returns `rows` (see `judge`), and `foreign`: alarms on the subtitles of other recordings."""
    from core.cutting.offset import detect
    from core.subtitles.parse import read

    parser = argparse.ArgumentParser(prog="python -m benchmarks subtitle_timing", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[2, 4, 10, 30], help="lengths (default: 2 4 10 30)")
    options = parser.parse_args(args)
    speakers = [name for name in SPEAKERS if (SHARED / name).is_dir()] or ["synthetic"]
    rows, known = [], []
    for speaker, minutes in itertools.product(speakers, options.minutes):
        with tempfile.TemporaryDirectory(prefix="timing-") as temp:
            audio, subs, _ = make_recording(Path(temp) / speaker, minutes, speaker, seed=round(minutes) + 1)
            times = np.array([(cue.start_ms / 1000.0, cue.end_ms / 1000.0) for cue in read(subs).cues])
            activity = heard(audio)
        known.append((times, activity))
        rows += [{"recording": f"{speaker}, {minutes:g} min", **judge(kind, times, activity)} for kind in KINDS]
    pairs = list(itertools.permutations(known, 2))
    alarms = sum(detect(times, activity) is not None for (times, _), (_, activity) in pairs)
    return {"benchmark": "subtitle_timing", "rows": rows, "foreign": {"tried": len(pairs), "alarms": alarms}}


def markdown(figures: dict[str, Any]) -> str:
    """The page of the results."""
    lines = [
        f"{len(OFFSETS_S)} offsets ({OFFSETS_S[0]} to +{OFFSETS_S[-1]} s) times {len(DRIFTS)} drifts "
        f"({min(DRIFTS):.4f} to {max(DRIFTS):.4f}, film rates among them) are put into subtitles that are right to 80 "
        f"ms; every {_EVERY}th of them into worse ones. Found: every cue within {_CLOSE_S} s of its true place after "
        f"the correction. Combinations that move no cue by {_MUST_S} s are left out. False: alarms on subtitles that "
        "are right (in the worse ones, each time other cues and other noise).",
        "",
        "| recording | subtitles | cues | found | not found | wrongly | worst error of the found | false alarms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        cells = [
            row["recording"], row["kind"], f"{row['cues'][0]}–{row['cues'][1]}", f"{row['found']} of {row['tried']}",
            row["missed"], row["wrong"], f"{row['worst_s']:.3f} s", f"{row['false']} of {row['right']}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    foreign = figures["foreign"]
    lines += ["", f"Subtitles of another recording: {foreign['alarms']} alarms in {foreign['tried']} pairs."]
    left = [f"- {row['recording']}, {row['kind']}: {one}" for row in figures["rows"] for one in row["left"]]
    lines += ["", "Not found, or found wrongly:", "", *(left or ["- nothing"])]
    return "\n".join(lines) + "\n"
