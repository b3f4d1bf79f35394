"""`convert`: audio in one voice in, the same in another voice out."""

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
from core.errors import BadInput

if TYPE_CHECKING:
    from cli.output import Output
    from core.studio import Studio


USAGE = "usage: app.py convert VOICE FILE [FILE ...] [options]"


def transpose(text: str) -> float | str:
    """A number of semitones, or `auto`."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of semitones nor 'auto'") from err


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "convert", "Convert files of any length with a trained voice.")
    parser.add_argument("voice", nargs="?", help="name of the voice")
    parser.add_argument("files", nargs="*", type=Path, help="audio or video files")
    parser.add_argument(
        "--from-sidecar", type=Path, metavar="JSON", help="repeat the conversion that a result's .json describes"
    )
    parser.add_argument("--model", metavar="NAME", help="one of the voice's models (default: the newest)")
    parser.add_argument("--transpose", type=transpose, metavar="N|auto", help="semitones up or down (default: 0)")
    parser.add_argument("--pitch", metavar="NAME", help="pitch predictor (default: fcpe)")
    parser.add_argument("--noise-scale", type=float, metavar="X", help="randomness of the generator (default: 0.4)")
    parser.add_argument("--seed", type=int, metavar="N", help="seed; the same seed gives the same file")
    parser.add_argument("--format", choices=("wav", "flac", "mp3"), help="of the result (default: wav)")
    parser.add_argument(
        "--out", type=named_path, metavar="PATH", help="result file, or folder for several (default: outputs)"
    )
    add_set(parser, "conversion")
    add_device(parser)


def target(out_path: Path | None, source: Path, n_files: int, suffix: str) -> Path | None:
    """Where the result of `source` goes. None leaves the choice to the workspace's outputs folder."""
    if out_path is None:
        return None
    if n_files > 1 or out_path.is_dir() or not out_path.suffix:
        return out_path / f"{source.stem}.{suffix}"
    return out_path


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Convert one file after another, or repeat a conversion by its sidecar."""
    if options.from_sidecar is not None:
        return _repeat(open_studio(options), options, out)
    if not options.voice or not options.files:
        raise UsageError("convert needs a voice and at least one file, or --from-sidecar JSON", USAGE)
    studio = open_studio(options)
    chosen = given(options, "model", "transpose", "pitch", "noise_scale", "seed", "format")
    chosen |= parse_set(options.set)
    if options.out and "format" not in chosen and options.out.suffix.lower() in (".wav", ".flac", ".mp3"):
        chosen["format"] = options.out.suffix.lower()[1:]
    suffix = str(chosen.get("format", "wav"))
    if options.out and len(options.files) > 1 and options.out.is_file():
        raise BadInput(f"{options.out} is a file.", "For several files name a folder.", where="--out")
    known_voice(studio, options.voice)
    made: list[dict[str, Any]] = []
    for source in options.files:
        params = {"voice": options.voice, "source": str(source.absolute()), **chosen}
        place = target(options.out, source, len(options.files), suffix)
        if place is not None:
            params["out"] = str(place.absolute())
        made.append(_one(studio, params, out))
    return {"voice": options.voice, "outputs": made}


def _one(studio: "Studio", params: dict[str, Any], out: "Output") -> dict[str, Any]:
    result = run_job(studio, "convert", params, out)
    out.line(f"{result['output']}  ({result['duration_s']:.1f} s, {result['rtf']:.2f} x real time)")
    return result


def _repeat(studio: "Studio", options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """The same conversion again: source and model are checked to be those of the sidecar; only --out may be given."""
    from core.engines.sovits.convert_options import options_from_sidecar

    if options.voice or options.files:
        raise BadInput("--from-sidecar takes voice and file from the sidecar.", "Leave them out.", where="convert")
    params = options_from_sidecar(options.from_sidecar)
    place = target(options.out, Path(params["source"]), 1, str(params["format"]))
    if place is not None:
        params["out"] = str(place.absolute())
    return {"voice": params["voice"], "outputs": [_one(studio, params, out)]}
