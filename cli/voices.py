"""`voices`: list, create, rename and delete voices, choose what they are cloned from, and keep speakers with them."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, open_studio
from cli.output import table

if TYPE_CHECKING:
    from cli.output import Output
    from core.studio import Studio


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
    which.add_argument("--speakers", metavar="VOICE", help="list the speakers stored with a voice, for CosyVoice")
    which.add_argument(
        "--add-speaker",
        nargs=2,
        metavar=("VOICE", "NAME"),
        help="hear a clip and store what CosyVoice needs of it",
    )
    which.add_argument("--rename-speaker", nargs=3, metavar=("VOICE", "OLD", "NEW"), help="give one another name")
    which.add_argument("--delete-speaker", nargs=2, metavar=("VOICE", "NAME"), help="move one to the trash beside it")
    parser.add_argument("--clip", type=Path, metavar="FILE", help="of --add-speaker (default: the voice's best clip)")
    parser.add_argument("--words", default="", metavar="TEXT", help="what is said in the clip")
    parser.add_argument("--model", default="", metavar="NAME", help="CosyVoice model that hears it (default: the best)")


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Change what was asked, then list."""
    studio = open_studio(options)
    if (changed := _speakers(options, studio, out)) is not None:
        return changed
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


def _speakers(options: argparse.Namespace, studio: "Studio", out: "Output") -> dict[str, Any] | None:
    """What was asked of the speakers of a voice, and their list; None if nothing was."""
    asked = options.add_speaker or options.rename_speaker or options.delete_speaker or [options.speakers]
    if asked == [None]:
        return None
    desk = studio.speech.stored(asked[0])
    if options.add_speaker:
        made = desk.add(asked[1], options.clip, options.words, options.model)
        out.note(f"Stored {made.name}: {made.seconds:.1f} s of {asked[0]}.")
    elif options.rename_speaker:
        desk.rename(*asked[1:])
        out.note(f"Renamed {asked[1]} to {asked[2]}.")
    elif options.delete_speaker:
        desk.delete(asked[1])
        out.note(f"Moved {asked[1]} to the trash folder beside the others.")
    found = desk.all()
    if not found:
        out.line(f"No speakers yet. Store one: app.py voices --add-speaker {asked[0]} NAME [--clip FILE]")
    for line in table([[one.name, f"{one.seconds:.1f}", one.text] for one in found], ["speaker", "seconds", "words"]):
        out.line(line)
    return {"voice": asked[0], "speakers": [asdict(one) for one in found]}
