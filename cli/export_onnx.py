"""`export-onnx`: a voice model as an ONNX file, for programs that run without torch."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import UsageError, add_command, given, known_voice, named_path, open_studio, run_job

if TYPE_CHECKING:
    from cli.output import Output

USAGE = "usage: app.py export-onnx VOICE [options] | --weights G_N.pth [options]"


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "export-onnx", "Write a voice model as ONNX, checked against torch.")
    parser.add_argument("voice", nargs="?", help="name of the voice")
    parser.add_argument("--model", metavar="NAME", help="one of the voice's models (default: the newest)")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="instead of a voice: a .pth or .safetensors file")
    parser.add_argument("--config", type=Path, metavar="FILE", help="its config.json (default: the one beside it)")
    parser.add_argument("--name", metavar="NAME", help="name of the files (default: the voice's)")
    parser.add_argument(
        "--mix",
        action=argparse.BooleanOptionalAction,
        help="speaker as weights a frame (default: if several)",
    )
    parser.add_argument("--predict-f0", action="store_true", help="let the graph make the melody (for speech)")
    parser.add_argument(
        "--source-noise", action="store_true", help="take the source's random numbers as inputs, to repeat a result"
    )
    parser.add_argument("--out", type=named_path, metavar="DIR", help="folder of the result (default: outputs/onnx)")


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Export here and now."""
    if (options.voice is None) == (options.weights is None):
        raise UsageError("export-onnx needs a voice, or --weights FILE", USAGE)
    studio = open_studio(options)
    if options.voice:
        known_voice(studio, options.voice)
    params = given(options, "voice", "model", "name", "mix")
    params |= {"predict_f0": options.predict_f0, "source_noise": options.source_noise}
    for name in ("weights", "config", "out"):
        if (path := getattr(options, name)) is not None:
            params[name] = str(path.absolute())
    result = run_job(studio, "export-onnx", params, out)
    out.line(f"{result['onnx']}  ({result['bytes'] / 1e6:.1f} MB, opset {result['opset']})")
    out.line(f"{result['json']}")
    out.line(f"takes {', '.join(result['inputs'])}; differs from torch by {result['largest_difference']:.1e} at most")
    return result
