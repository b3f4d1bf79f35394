"""`song`: a song in, the same song sung by a trained voice out."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import (
    UsageError,
    add_command,
    add_device,
    add_set,
    given,
    known_voice,
    named_path,
    open_studio,
    parse_set,
    run_job,
)
from cli.convert import transpose
from core.errors import BadInput

if TYPE_CHECKING:
    from cli.output import Output

USAGE = "usage: app.py song FILE --voice VOICE [options] | --vocals FILE --accompaniment FILE --voice VOICE [options]"
# Option of the command line -> where it lies in MixOptions.
_TRACK = {
    "level": "level_db",
    "pan": "pan",
    "low_cut": "low_cut_hz",
    "low": "low_db",
    "mid": "mid_db",
    "high": "high_db",
}


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "song", "Part a song, convert the voice, mix it back over the accompaniment.")
    parser.add_argument("file", nargs="?", type=Path, help="the song; or give both stems instead")
    parser.add_argument("--vocals", type=Path, metavar="FILE", help="the singing alone, where you have it")
    parser.add_argument("--accompaniment", type=Path, metavar="FILE", help="the rest of it")
    parser.add_argument("--voice", metavar="NAME", help="the voice that sings")
    parser.add_argument(
        "--from-sidecar", type=Path, metavar="JSON", help="repeat the song that a result's .json describes"
    )
    parser.add_argument("--model", metavar="NAME", help="one of the voice's models (default: the newest)")
    parser.add_argument(
        "--transpose", type=transpose, metavar="N|auto", help="semitones; auto: whole octaves (default: 0)"
    )
    parser.add_argument("--separator", metavar="NAME", help="separation model (default: the best here)")
    mix = parser.add_argument_group("mix")
    for track in ("vocals", "accompaniment"):
        mix.add_argument(f"--{track}-level", type=float, metavar="DB", help=f"level of the {track} (default: 0)")
        mix.add_argument(f"--{track}-pan", type=float, metavar="X", help="-1 left, 1 right (default: 0)")
        mix.add_argument(f"--{track}-low-cut", type=float, metavar="HZ", help="takes away what lies below (default: 0)")
        mix.add_argument(f"--{track}-low", type=float, metavar="DB", help="below 200 Hz")
        mix.add_argument(f"--{track}-mid", type=float, metavar="DB", help="around 2.5 kHz")
        mix.add_argument(f"--{track}-high", type=float, metavar="DB", help="above 8 kHz")
    mix.add_argument("--reverb", type=float, metavar="X", help="room around the voice, 0 to 1 (default: 0.12)")
    mix.add_argument("--room", type=float, metavar="S", dest="room_s", help="how long it rings, s (default: 1.4)")
    mix.add_argument(
        "--offset", type=float, metavar="MS", dest="offset_ms", help="move the voice later, ms (default: 0)"
    )
    mix.add_argument(
        "--loudness", type=float, metavar="LUFS", dest="loudness_lufs", help="of the whole (default: as it comes)"
    )
    mix.add_argument(
        "--no-match", action="store_false", dest="match_vocals", default=None,
        help="leave the converted voice as loud as it is",
    )  # fmt: skip
    parser.add_argument("--format", choices=("wav", "flac", "mp3"), help="of the result (default: wav)")
    parser.add_argument("--out", type=named_path, metavar="FILE", help="result file (default: outputs)")
    add_set(parser, "conversion")
    add_device(parser)


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Make the song here and now."""
    if options.from_sidecar is not None:
        params = _repeated(options)
    else:
        stems = (options.vocals, options.accompaniment)
        if not options.voice or (options.file is None) != all(stems) or (options.file and any(stems)):
            raise UsageError("song needs --voice, and a song or both --vocals and --accompaniment", USAGE)
        params = _chosen(options)
    if options.out is not None:
        params["out"] = str(options.out.absolute())
        suffix = options.out.suffix.lower().lstrip(".")
        if options.format is None and options.from_sidecar is None and suffix in ("wav", "flac", "mp3"):
            params["format"] = suffix
    studio = open_studio(options)
    known_voice(studio, params["voice"])
    result = run_job(studio, "song", params, out)
    for warning in result["warnings"]:
        out.note(f"  {warning}")
    spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in result["seconds"].items())
    loud = "silent" if result["lufs"] is None else f"{result['lufs']:.1f} LUFS, {result['peak_dbtp']:.1f} dBTP"
    out.line(f"{result['output']}  ({result['duration_s']:.1f} s; {spent}; {loud})")
    return result


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    params = given(options, "voice", "separator", "format")
    for name, path in (("source", options.file), ("vocals", options.vocals), ("accompaniment", options.accompaniment)):
        if path is not None:
            params[name] = str(path.absolute())
    mix = given(options, "reverb", "room_s", "offset_ms", "loudness_lufs", "match_vocals")
    for track in ("vocals", "accompaniment"):
        chosen = {field: getattr(options, f"{track}_{name}") for name, field in _TRACK.items()}
        mix[track] = {field: value for field, value in chosen.items() if value is not None}
    convert = {**given(options, "model", "transpose"), **parse_set(options.set)}
    return {**params, "mix": mix, "convert": convert}


def _repeated(options: argparse.Namespace) -> dict[str, Any]:
    from core.song.options import options_from_sidecar

    if options.file or options.voice or options.vocals or options.accompaniment:
        raise BadInput("--from-sidecar takes files and voice from the sidecar.", "Leave them out.", where="song")
    return options_from_sidecar(options.from_sidecar)
