"""`transcribe`: a recording in, subtitles out."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, add_device, add_set, given, named_path, open_studio, parse_set, run_job
from cli.output import duration

if TYPE_CHECKING:
    from cli.output import Output

_SHOWN = 10


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "transcribe", "Write subtitles of a recording, one cue a sentence.")
    parser.add_argument("audio", type=Path, help="recording, any format")
    parser.add_argument("--out", type=named_path, required=True, metavar="FILE", help="where the SRT goes")
    parser.add_argument("--engine", choices=("whisper", "parakeet"), help="recogniser (default: whisper)")
    parser.add_argument(
        "--model", metavar="NAME", help="size such as small or large-v3-turbo, or a folder (default: the best here)"
    )
    parser.add_argument("--language", metavar="CODE", help="two letters, such as en or zh (default: found out)")
    add_set(parser, "transcription")
    add_device(parser)


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Transcribe here and now."""
    params = {
        "audio": str(options.audio),
        "out": str(options.out),
        **given(options, "engine", "model", "language"),
        **parse_set(options.set),
    }
    result = run_job(open_studio(options), "transcribe", params, out)
    for warning in result["warnings"]:
        out.note(f"  {warning}")
    if result["unsure"]:
        listed = ", ".join(map(str, result["unsure"][:_SHOWN]))
        more = ", …" if len(result["unsure"]) > _SHOWN else ""
        out.note(f"  {len(result['unsure'])} cues are unsure; listen to them: {listed}{more}")
    sure = f" ({result['language_probability']:.0%} sure)" if options.language is None else ""
    out.line(
        f"{result['cues']} cues, {duration(result['duration_s'])}, {result['language'] or 'language unknown'}{sure}: "
        f"{result['out']}"
    )
    return result
