"""`demo`: the whole path on speech made here: offline, a few minutes on two cores."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, add_device, named_path, run_job
from cli.output import duration
from core.settings import load_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cli.output import Output

VOICE = "Demo voice"
STEPS = 60
SPEECH_S = 75.0
SOURCE_S = 8.0


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers, "demo", "Synthesise speech, prepare it, train a voice on it briefly and convert another voice."
    )
    parser.add_argument("--out", type=named_path, required=True, metavar="DIR", help="folder for everything it makes")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"training steps (default: {STEPS})")
    parser.add_argument(
        "--seconds", type=float, default=SPEECH_S, metavar="S", help=f"speech to train on, s (default: {SPEECH_S:.0f})"
    )
    add_device(parser)


def save(path: Path, audio: "NDArray[np.float32]", rate_hz: int) -> Path:
    """Write synthetic speech as 16-bit wav."""
    from core.audio.encode import write_audio

    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, audio, rate_hz, "wav", {"title": path.stem, "comment": "synthetic speech by espeak-ng"})
    return path


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Synthesise, prepare, train, convert; every step through the same Studio as the page."""
    from core import log
    from core.audio.synthetic import MAN, WOMAN, recording
    from core.studio import Studio

    started = time.monotonic()
    folder = options.out.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    settings = load_settings(
        {"workspace": str(folder / "workspace"), "device": options.device, "threads": options.threads}
    )
    log.setup(settings.log_dir, settings.log_level)
    studio = Studio(settings)

    out.line("1  Speech: two synthetic voices (espeak-ng)")
    target = save(folder / "target voice.wav", *recording(options.seconds, WOMAN))
    source = save(folder / "source.wav", *recording(SOURCE_S, MAN))

    out.line("2  Prepare: cut, measure, judge")
    voice = VOICE if VOICE in {known.name for known in studio.voices()} else studio.create_voice(VOICE).name
    studio.add_recordings(voice, [target])
    prep = run_job(studio, "prep", {"voice": voice, "options": {}}, out)
    out.line(f"   {prep['clips']} clips, {prep['accepted']} accepted, {prep['minutes']:.1f} minutes")

    out.line(f"3  Train: preset lite, {options.steps} steps")
    train = run_job(
        studio,
        "train",
        {
            "voice": voice,
            "preset": "lite",
            "steps": options.steps,
            "batch_size": 4,
            "save_every_steps": max(1, options.steps),
            "log_every_steps": max(1, options.steps // 12),
            "probes": 1,
        },
        out,
    )
    out.line(f"   run {train['run']}, step {train['step']}")

    out.line("4  Convert: the other voice, key chosen by itself")
    result_path = folder / "converted.wav"
    result_path.unlink(missing_ok=True)
    convert = run_job(
        studio,
        "convert",
        {"voice": voice, "source": str(source), "transpose": "auto", "format": "wav", "out": str(result_path)},
        out,
    )
    took_s = time.monotonic() - started
    out.line(f"   {convert['output']} ({convert['duration_s']:.1f} s)")
    out.line(f"Done in {duration(took_s)}. It trained for moments only: it proves the path, not the sound.")
    return {
        "seconds": round(took_s, 1),
        "voice": voice,
        "made": {"target": target, "source": source, "model": train["model"], "converted": convert["output"]},
        "prep": prep,
        "train": train,
        "convert": convert,
    }
