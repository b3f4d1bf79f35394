"""`models`: the weights that the studio knows, and the trained models of the voices."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cli.common import add_command, open_studio
from cli.output import table

if TYPE_CHECKING:
    from cli.output import Output


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "models", "List pretrained weights (here or not) and trained voice models.")
    parser.add_argument("--voice", metavar="NAME", help="only the trained models of this voice")


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """List."""
    studio = open_studio(options)
    voices = [options.voice] if options.voice else [voice.name for voice in studio.voices()]
    trained = [model for name in voices for model in studio.voice_models(name)]
    if not options.voice:
        _pretrained(studio, out)
    if trained:
        rows = [[m.voice, m.name, m.preset, m.encoder, str(m.step), str(m.path)] for m in trained]
        for line in table(rows, ["voice", "model", "preset", "encoder", "step", "folder"]):
            out.line(line)
    else:
        out.line("No trained models yet: app.py train VOICE")
    result: dict[str, Any] = {"trained": [asdict(model) for model in trained]}
    if not options.voice:
        result["pretrained"] = [
            {**asdict(found.entry), "state": found.state, "path": found.path, "missing_here": found.missing}
            for found in _presence(studio)
        ]
    return result


def _presence(studio: Any) -> list[Any]:
    from core.models import catalogue

    return list(catalogue.present(studio.settings).values())


def _pretrained(studio: Any, out: "Output") -> None:
    from core.errors import human_bytes

    for found in _presence(studio):
        entry = found.entry
        size = human_bytes(entry.size_bytes) if entry.size_bytes else "in its package"
        out.line(f"{entry.name}: {found.state}; {size}; {entry.licence}")
        out.line(f"    {entry.purpose}")
        if found.state != "present":
            out.line(f"    from: {entry.origin}")
            out.line(f"    by hand: {entry.by_hand}")
    out.line()
