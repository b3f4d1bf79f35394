"""`sovits-data`: a prepared data set between this studio and so-vits-svc 4.1, either way."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, given, known_voice, open_studio, run_job

if TYPE_CHECKING:
    from cli.output import Output


def add(subparsers: Any) -> None:
    """Add the command and its two directions."""
    parser = add_command(subparsers, "sovits-data", "Take a data set over from so-vits-svc 4.1, or write one for it.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=type(parser))
    one = add_command(actions, "import", "Make a voice of each speaker in dataset/44k; features are kept.")
    one.add_argument("folder", type=Path, help="the folder that holds dataset/44k, or dataset/44k itself")
    one.add_argument("--pitch", metavar="NAME", help="predictor that made its pitch (default: rmvpe)")
    one = add_command(actions, "export", "Write a voice's accepted clips as dataset/44k with filelists and configs.")
    one.add_argument("voice")
    one.add_argument("--with", action="append", default=[], dest="others", metavar="VOICE", help="a further speaker")
    one.add_argument("out", type=Path, help="a folder that is not there yet")
    one.add_argument("--encoder", metavar="NAME", help="content encoder (default: vec768l12)")
    one.add_argument("--pitch", metavar="NAME", help="pitch predictor (default: fcpe)")
    one.add_argument("--vol-embedding", action="store_true", default=None, help="a config with loudness embedding")


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Import or export."""
    studio = open_studio(options)
    if options.action == "export":
        voices = [options.voice, *options.others]
        for voice in voices:
            known_voice(studio, voice)
        params: dict[str, Any] = {"voices": voices, "out": str(options.out.absolute())}
        params |= given(options, "encoder", "pitch", "vol_embedding")
        result = run_job(studio, "export-sovits-data", params, out)
        for note in result["notes"]:
            out.note(f"  {note}")
        out.line(f"{result['clips']} clips of {', '.join(result['speakers'])} in {result['out']}")
        return result
    params = {"folder": str(options.folder.absolute()), **given(options, "pitch")}
    result = run_job(studio, "import-sovits-data", params, out)
    for voice in result["voices"]:
        out.line(f"{voice['voice']}: {voice['clips']} clips, {voice['features']} with features")
        for skipped in voice["skipped"]:
            out.note(f"  {skipped['name']}: {skipped['reason']}")
    return result
