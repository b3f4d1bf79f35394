"""`clean`: recordings through high-pass, denoising, dereverberation, trimming, loudness; each step can be heard."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, add_device, add_set, named_path, open_studio, parse_set, run_job
from core.cleaning.options import STEPS

if TYPE_CHECKING:
    from cli.output import Output


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "clean", "Clean recordings in optional steps; the originals are never changed.")
    parser.add_argument("files", metavar="AUDIO", nargs="*", type=Path, help="recordings")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--out", metavar="DIR", type=named_path, help="folder for the results and the sound after each step"
    )
    where.add_argument("--voice", metavar="VOICE", help="clean this voice's recordings (AUDIO: names; none: all)")
    parser.add_argument(
        "--steps",
        metavar="A,B,...",
        help=f"what to do, in order, of: {', '.join(STEPS)} (default: highpass,denoise,loudness)",
    )
    add_set(parser, "cleaning")
    add_device(parser)


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Clean, and say for every file what each step did."""
    studio = open_studio(options)
    chosen = parse_set(options.set)
    if options.steps:
        chosen["steps"] = [step.strip() for step in options.steps.split(",") if step.strip()]
    params: dict[str, Any] = {"options": chosen, "files": [str(path) for path in options.files]}
    params |= {"voice": options.voice} if options.voice else {"out": str(options.out.resolve())}
    result = run_job(studio, "clean", params, out)
    for done in result["files"]:
        out.line(f"{done['source']} -> {done['result']}")
        for step in done["steps"]:
            before, after = step["before"], step["after"]
            out.line(
                f"  {step['name']}: {before['lufs']:.1f} -> {after['lufs']:.1f} LUFS, noise {before['snr_db']:.0f} -> "
                f"{after['snr_db']:.0f} dB below the voice" + "".join(f"; {note}" for note in step["notes"])
            )
    for name, why in result["failed"].items():
        out.note(f"  left out {name}: {why}")
    return result
