"""`say`: a text in, speech out."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, add_device, add_set, given, named_path, open_studio, parse_set, run_job
from cli.output import duration
from core.errors import BadInput, StudioError

if TYPE_CHECKING:
    from cli.output import Output

PLAIN_ENGINES = ("builtin", "piper", "edge")


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "say", "Say a text in a voice.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("text", nargs="?", help="what is said")
    what.add_argument("--file", type=Path, metavar="FILE", help="text file with what is said")
    what.add_argument("--srt", type=Path, metavar="FILE", help="subtitles: each cue is said at its time")
    what.add_argument("--csv", type=Path, metavar="FILE", help="table with a column `text`: a file of speech a row")
    parser.add_argument(
        "--engine",
        metavar="NAME",
        help="speech engine (default: voxcpm); builtin (espeak-ng) needs no model; with a trained --voice builtin, "
        "piper and edge speak through its model",
    )
    parser.add_argument("--model", metavar="DIR|NAME", help="folder or name of the model (default: the best here)")
    whose = parser.add_argument_group("the voice (default: any)")
    whose.add_argument("--voice", metavar="NAME", help="a voice of the studio: its best clip is the reference")
    whose.add_argument("--prompt-audio", type=Path, metavar="FILE", help="reference clip, 3 to 30 seconds")
    whose.add_argument("--prompt-text", metavar="TEXT", help="what is said in it")
    whose.add_argument(
        "--reference-audio", type=Path, metavar="FILE", help="clip whose voice alone is taken (VoxCPM 2)"
    )
    whose.add_argument(
        "--speaker",
        metavar="WHO",
        help="cosyvoice2: a speaker stored with --voice, without it one of the model's own; builtin, piper and edge: "
        "woman, man, or a voice of the engine (piper: its .onnx file)",
    )
    whose.add_argument("--denoise", action="store_true", help="take the noise out of the clip first")
    parser.add_argument("--stream", action="store_true", help="make it in the small chunks of a live stream")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed says it the same way")
    parser.add_argument(
        "--out", type=named_path, required=True, metavar="FILE", help="result: .wav, .flac or .mp3; with --csv a folder"
    )
    plain = parser.add_argument_group("with --engine builtin (espeak-ng), piper or edge, and a trained --voice")
    plain.add_argument("--language", metavar="CODE", help="of the text (default: seen from it)")
    plain.add_argument("--rate", type=float, metavar="X", help="speed (default: 1)")
    plain.add_argument("--volume", type=float, metavar="DB", dest="volume_db", help="louder or softer (default: 0)")
    add_set(parser, "the engine; of the conversion, for a trained voice")
    add_device(parser)


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Say it here and now."""
    if options.engine in PLAIN_ENGINES and (options.voice or options.engine != "builtin"):
        return _in_trained_voice(options, out)
    params: dict[str, Any] = given(options, "text", "engine", "model", "voice", "prompt_text", "seed")
    for name in ("file", "srt", "prompt_audio", "reference_audio", "out"):
        path = getattr(options, name)
        if path is not None:
            params[name] = str(path)
    own = _builtin(options) if options.engine == "builtin" else {}
    if options.speaker and not own:
        own["stored" if options.voice else "preset"] = options.speaker
    params |= {"stream": options.stream, "denoise": options.denoise, "options": own | parse_set(options.set)}
    if options.csv is not None:
        return _batch({**params, "csv": str(options.csv)}, options, out)
    result = run_job(open_studio(options), "say", params, out)
    prompt = result["prompt"]
    for finding in prompt["findings"] if prompt else ():
        out.note(f"  {Path(prompt['file']).name}: {finding}")
    for warning in result["warnings"]:
        out.note(f"  {warning}")
    out.line(
        f"{result['out']}: {duration(result['seconds'])}, seed {result['seed']}; first sound after "
        f"{result['first_chunk_s']:.2f} s, {result['rtf']:.2f} s of work a second"
    )
    return result


def _builtin(options: argparse.Namespace) -> dict[str, Any]:
    """What the built-in engine takes when it speaks by itself. Raises BadInput."""
    if options.volume_db is not None:
        raise BadInput("--volume needs a trained --voice.", "Leave it out.", where="volume")
    named = {"speaker": options.speaker, "language": options.language, "speed": options.rate}
    return {key: value for key, value in named.items() if value is not None}


def _batch(params: dict[str, Any], options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    result = run_job(open_studio(options), "say-batch", params, out)
    for row in result["rows"]:
        if "error" in row:
            out.note(f"  Row {row['row']}: {row['error']['message']} {row['error']['hint']}")
    out.line(f"{result['out']}: {result['made']} files, {duration(result['seconds'])}")
    if result["failed"]:
        raise StudioError(
            f"{result['failed']} of {len(result['rows'])} rows could not be said.", f"See {result['report']}."
        )
    return result


def _in_trained_voice(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """A plain engine says the text, the voice's model makes it its own."""
    unfit = [
        f"--{name.replace('_', '-')}"
        for name in ("srt", "csv", "prompt_audio", "prompt_text", "reference_audio", "stream", "denoise")
        if getattr(options, name)
    ]
    if unfit or not options.voice:
        told = f"takes no {', '.join(unfit)}" if unfit else "needs --voice, a trained one"
        raise BadInput(f"--engine {options.engine} {told}.", "See `app.py say --help`.", where="engine")
    params: dict[str, Any] = given(options, "text", "engine", "voice", "language", "speaker", "rate", "volume_db")
    if options.file is not None:
        from core.speech.say import read_text

        params["text"] = read_text(options.file)
    convert = given(options, "model", "seed") | parse_set(options.set)
    params |= {"out": str(options.out.absolute()), "convert": convert}
    result = run_job(open_studio(options), "text-to-voice", params, out)
    for warning in result["warnings"]:
        out.note(f"  {warning}")
    out.line(f"{result['output']}: {duration(result['duration_s'])}, {result['language']} by {result['engine']}")
    return result
