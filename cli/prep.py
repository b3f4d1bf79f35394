"""`prep`: recordings in, a dataset of clips out."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, add_device, add_set, given, known_voice, open_studio, parse_set, run_job
from core.errors import NotFound

if TYPE_CHECKING:
    from cli.output import Output
    from core.studio import Studio


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(
        subparsers, "prep", "Import recordings into a voice, cut them into clips, measure and judge each."
    )
    parser.add_argument("voice", help="name of the voice; it is made if it is not there")
    parser.add_argument("files", nargs="*", type=Path, help="recordings or folders; none: prepare what was imported")
    parser.add_argument("--slicer", choices=("silence", "vad", "none"), help="where to cut (default: silence)")
    parser.add_argument("--rate-hz", type=int, metavar="HZ", help="sample rate of the clips, Hz (default: 44100)")
    parser.add_argument("--target-lufs", type=float, metavar="LUFS", help="loudness of the clips (default: -20)")
    parser.add_argument("--threshold-db", type=float, metavar="DB", help="silence is below this, dB (default: -40)")
    parser.add_argument("--min-clip-s", type=float, metavar="S", help="shortest clip, s (default: 1)")
    parser.add_argument("--max-clip-s", type=float, metavar="S", help="longest clip, s (default: 12)")
    add_set(parser, "preparation")
    add_device(parser)


def ensure_voice(studio: "Studio", name: str, out: "Output") -> str:
    """The voice's folder name; makes the voice where it is not there."""
    if name in {voice.name for voice in studio.voices()}:
        return name
    made = studio.create_voice(name).name
    if made != name:
        out.note(f"The voice is called {made}.")
    return made


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Import and prepare."""
    studio = open_studio(options)
    missing = [str(path) for path in options.files if not path.exists()]
    if missing:  # before a voice is made for nothing
        raise NotFound(f"Not there: {', '.join(missing)}.", "Check the path.", where=missing[0])
    if options.files:
        voice = ensure_voice(studio, options.voice, out)
        report = studio.add_recordings(voice, options.files)
        out.note(f"Imported {len(report.added)} recordings.")
        for name, reason in report.skipped:
            out.note(f"  skipped {name}: {reason}")
    else:
        voice = known_voice(studio, options.voice)
    chosen = given(options, "slicer", "rate_hz", "target_lufs", "threshold_db", "min_clip_s", "max_clip_s")
    params = {"voice": voice, "options": {**chosen, **parse_set(options.set)}}
    result = run_job(studio, "prep", params, out)
    for warning in result.get("warnings", []):
        out.note(f"  {warning}")
    out.line(
        f"{voice}: {result['clips']} clips, {result['accepted']} accepted, {result['review']} to review, "
        f"{result['rejected']} rejected; {result['minutes']:.1f} minutes."
    )
    return {"voice": voice, **result}
