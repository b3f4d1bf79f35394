"""`voices`: list, create, rename and delete voices, and choose what they are cloned from."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, open_studio
from cli.output import table

if TYPE_CHECKING:
    from cli.output import Output


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "voices", "List the voices of the workspace; create, rename or delete one.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--create", metavar="NAME", help="make an empty voice")
    which.add_argument("--rename", nargs=2, metavar=("OLD", "NEW"), help="give a voice another name")
    which.add_argument("--delete", metavar="NAME", help="move a voice to the workspace's trash folder")
    which.add_argument(
        "--reference", nargs=2, metavar=("NAME", "FILE"), help="make a clip what speech in this voice is cloned from"
    )
    parser.add_argument("--words", default="", metavar="TEXT", help="what is said in the clip of --reference")


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Change what was asked, then list."""
    studio = open_studio(options)
    if options.create:
        out.note(f"Created {studio.create_voice(options.create).name}.")
    elif options.rename:
        studio.rename_voice(*options.rename)
        out.note(f"Renamed {options.rename[0]} to {options.rename[1]}.")
    elif options.delete:
        studio.delete_voice(options.delete)
        out.note(f"Moved {options.delete} to the trash folder in {studio.settings.voices_dir}.")
    elif options.reference:
        name, clip = options.reference
        kept = studio.speech.keep_reference(name, Path(clip), options.words)
        out.note(f"{kept} now speaks as in {clip}.")
    voices = studio.voices()
    if not voices:
        out.line("No voices yet. Make one of recordings: app.py prep NAME FILES…")
    else:
        rows = [[v.name, f"{v.minutes:.1f}", str(v.clips), str(v.accepted), str(v.runs), str(v.models)] for v in voices]
        for line in table(rows, ["voice", "minutes", "clips", "accepted", "runs", "models"]):
            out.line(line)
    return {"voices": [asdict(voice) for voice in voices]}
