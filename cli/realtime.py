"""`realtime`: microphone to speaker in another voice, on this machine's sound devices."""

import argparse
from typing import TYPE_CHECKING, Any

from cli.common import add_command, add_device, add_set, given, known_voice, open_studio, parse_set

if TYPE_CHECKING:
    from cli.output import Output
    from core.realtime.session import Standing


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "realtime", "Convert from microphone to speaker until Ctrl-C.")
    parser.add_argument("voice", help="name of the voice")
    parser.add_argument("--model", metavar="NAME", help="one of the voice's models (default: the newest)")
    parser.add_argument("--transpose", type=float, metavar="N", help="semitones up or down (default: 0)")
    parser.add_argument("--block", type=float, metavar="S", dest="block_s", help="sound converted at a time (0.25)")
    parser.add_argument("--gate", type=float, metavar="DB", dest="gate_db", help="softer blocks are silence (-55)")
    parser.add_argument("--input", metavar="DEVICE", help="name or number of the microphone (default: the system's)")
    parser.add_argument("--output", metavar="DEVICE", help="name or number of the speaker (default: the system's)")
    parser.add_argument("--rate", type=int, default=48000, metavar="HZ", help="of the devices (default: 48000)")
    add_set(parser, "live conversion")
    add_device(parser)


def device(text: str | None) -> int | str | None:
    """A device's number, or part of its name."""
    return int(text) if text is not None and text.isdigit() else text


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Convert until Ctrl-C."""
    from core.realtime.device import package, run_stream

    package()
    studio = open_studio(options)
    known_voice(studio, options.voice)
    chosen = given(options, "voice", "model", "transpose", "block_s", "gate_db") | parse_set(options.set)

    def show(standing: "Standing", underruns: int) -> None:
        told = f"{standing.latency_ms:.0f} ms behind, {standing.rtf:.2f} s of work a second, {underruns} gaps"
        out.progress(0.0, told)

    with studio.live.open(chosen, options.rate) as session:
        out.line(f"Live, {1000 * session.plan.latency_s:.0f} ms and the work behind. Ctrl-C ends it.")
        underruns = 0
        try:
            places = {"source": device(options.input), "target": device(options.output)}
            underruns = run_stream(session, options.rate, stop=lambda: False, on_standing=show, **places)
        except KeyboardInterrupt:
            out.line("Ended.")
        standing = session.standing
    return {"blocks": standing.blocks, "late": standing.late, "latency_ms": standing.latency_ms, "underruns": underruns}
