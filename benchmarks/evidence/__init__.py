"""The real run: train a voice on a real speaker, convert others with it, and judge the result.

    python -m benchmarks evidence --shared ../shared --workspace DIR [--steps N] [--judge-only]

Needs requirements-bench.txt, and Resemblyzer installed without its dependencies (it asks for a source build of
webrtcvad; the package webrtcvad-wheels serves as well): `pip install --no-deps Resemblyzer webrtcvad-wheels piper-tts`.
A workspace that holds a finished run is judged again with --judge-only.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.evidence.judges import Judges
from benchmarks.evidence.report import losses_over_steps, markdown
from benchmarks.evidence.speech import Utterance, carlo, held_out, piper_sentences, training_files

VOICE = "Allison"
TRAINING_FILE = "evidence/training.json"
"""Figures that only the process which trained can know, kept in the workspace."""

__all__ = ["markdown", "run"]


def _options(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks evidence")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="where the real speech lies")
    parser.add_argument("--workspace", type=Path, required=True, help="workspace to train in; kept")
    parser.add_argument("--preset", default="lite")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads of the training; 0 chooses")
    parser.add_argument("--italian", type=int, default=40, help="how many of the Italian speaker's clips to convert")
    parser.add_argument("--judge-only", action="store_true", help="judge the newest run of the workspace again")
    return parser.parse_args(args)


def run(args: list[str]) -> dict[str, Any]:
    """Train (unless --judge-only), convert, judge. Returns the figures of docs/results/real_run.md."""
    options = _options(args)
    from core.settings import load_settings
    from core.studio import Studio

    data = options.shared / "data"
    studio = Studio(load_settings({"workspace": options.workspace, "threads": options.threads}, env={}))
    figures: dict[str, Any] = {"voice": VOICE, "preset": options.preset, "steps": options.steps}
    if not options.judge_only:
        figures |= _train(studio, training_files(data), options.preset, options.steps)
    figures |= _story(studio)
    sources = {
        "italian": carlo(data, options.italian, options.workspace / "evidence"),
        "piper_english": piper_sentences(data, options.workspace / "evidence"),
        "held_out": held_out(data, options.workspace / "evidence"),
    }
    judges = Judges.on(training_files(data), [u.path for u in sources["italian"]])
    for name, utterances in sources.items():
        figures[name] = _convert_and_judge(studio, judges, name, utterances)
    return figures


def _train(studio: Any, files: list[Path], preset: str, steps: int) -> dict[str, Any]:
    """Import, prepare, train, in this process; seconds of each and what came of it."""
    started = time.perf_counter()
    studio.create_voice(VOICE)
    studio.add_recordings(VOICE, files)
    prepared = studio.run_foreground("prep", {"voice": VOICE, "options": {}}, _quiet)
    prepared_s = time.perf_counter() - started
    started = time.perf_counter()
    options = {"voice": VOICE, "preset": preset, "steps": steps}
    trained = studio.run_foreground("train", options, _quiet)
    figures = {
        "prepare_s": round(prepared_s, 1),
        "prepared": prepared,
        "train_s": round(time.perf_counter() - started, 1),
        "trained": trained,
        "peak_gib": _peak_gib(),
    }
    kept = studio.settings.workspace / TRAINING_FILE
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(figures), "utf-8")
    return figures


def _story(studio: Any) -> dict[str, Any]:
    """What the newest run's own files say of it: the model card, its time, its losses."""
    model = studio.voice_models(VOICE)[0]
    card = json.loads((Path(model.path) / "card.json").read_text("utf-8"))
    folder = studio.settings.runs / card["run"]
    kept = studio.settings.workspace / TRAINING_FILE
    info = json.loads((folder / "run.json").read_text("utf-8"))
    return {
        "card": card,
        "run": {
            "train_minutes": round(info["trained_s"] / 60, 1),
            "seconds_per_step": round(info["trained_s"] / max(1, info["step"]), 2),
            "peak_gib": json.loads(kept.read_text("utf-8"))["peak_gib"] if kept.is_file() else None,
        },
        "losses": losses_over_steps(studio.metrics(card["run"])),
    }


def _peak_gib() -> float:
    """Largest resident memory of this process so far, GiB."""
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def _convert_and_judge(studio: Any, judges: Judges, name: str, utterances: list[Utterance]) -> dict[str, Any]:
    rows = []
    for utterance in utterances:
        out = utterance.path.with_name(f"{utterance.path.stem}.converted.wav")
        options = {"voice": VOICE, "source": str(utterance.path), "transpose": "auto", "format": "wav", "out": str(out)}
        result = studio.run_foreground("convert", options, _quiet)
        rows.append(judges.judge(utterance, Path(result["output"]), float(result["transpose"])))
    return judges.summary(rows, with_text=name != "italian")


def _quiet(fraction: float, message: str) -> None:
    """Progress is of no use in a benchmark's output."""
