"""`clean-subs`: fragments of a recogniser in, whole sentences out."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import UsageError, add_command, add_set, named_path, open_studio, parse_set, run_job

if TYPE_CHECKING:
    from cli.output import Output

WAYS = ("rules", "endpoint", "prompt", "answer")
_SHOWN = 20
_EPILOG = """\
ways:
  rules          offline: punctuation and pauses (the default)
  endpoint       a language model behind an OpenAI-compatible address, set up on the page
  prompt         write to --out the text to paste into a chat
  answer FILE    take what the chat answered; every cue is checked, those that fail are replaced by the rules'
"""


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "clean-subs", "Merge subtitles into whole sentences of 5 to 12 seconds.")
    parser.epilog = _EPILOG
    parser.add_argument("subs", nargs="?", type=Path, help="subtitles: SRT, WebVTT or ASS, in any encoding")
    parser.add_argument("--out", type=named_path, required=True, metavar="FILE", help="where the cleaned SRT goes")
    parser.add_argument("--way", nargs="+", default=["rules"], metavar=("WAY", "FILE"), help="see below")
    parser.add_argument("--encoding", metavar="NAME", help="encoding of the subtitles (default: found out)")
    parser.add_argument("--glossary", type=Path, metavar="FILE", help="names and terms, one a line, or wrong = right")
    add_set(parser, "merging")


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Clean here and now."""
    way, subs, answer = _words(options)
    params: dict[str, Any] = {
        "subs": str(subs), "out": str(options.out), "way": way, "answer": answer, "encoding": options.encoding,
        "merge": parse_set(options.set),
    }  # fmt: skip
    if options.glossary:
        from core.subtitles.recognition import read_glossary

        params["merge"]["glossary"] = read_glossary(options.glossary)
    result = run_job(open_studio(options), "clean-subs", params, out)
    for finding in result["findings"][:_SHOWN]:
        place = f"line {finding['line']}: " if finding["line"] else ""
        out.note(f"  {place}{finding['message']}")
    if len(result["findings"]) > _SHOWN:
        out.note(f"  and {len(result['findings']) - _SHOWN} more")
    if way == "prompt":
        parts = "text" if result["prompts"] == 1 else f"{result['prompts']} texts, one after the other,"
        out.line(f"Paste the {parts} of {result['out']} into a chat, save the answer,")
        out.line(f"and run: app.py clean-subs {subs} --way answer FILE --out CLEAN.srt")
        return result
    if result["failed"] or result["lost"]:
        _show_failed(Path(result["review"]), out)
    out.line(f"{result['cues_in']} cues became {result['cues']}: {result['out']}")
    return result


def _words(options: argparse.Namespace) -> tuple[str, Path, str | None]:
    """(way, subtitles, answer): `--way` may have swallowed the words behind it. Raises UsageError."""
    way, *rest = options.way
    usage = "usage: app.py clean-subs SUBS --out CLEAN.srt [--way rules|endpoint|prompt|answer FILE]"
    if way not in WAYS:
        raise UsageError(f"argument --way: there is no way {way!r}: {', '.join(WAYS)}", usage)
    answer = rest.pop(0) if way == "answer" and rest else None
    if way == "answer" and answer is None:
        raise UsageError("argument --way: answer needs the file that holds it", usage)
    subs = options.subs or (Path(rest.pop(0)) if rest else None)
    if subs is None:
        raise UsageError("the following arguments are required: SUBS", usage)
    if rest:
        raise UsageError(f"unrecognized arguments: {' '.join(rest)}", usage)
    return way, subs, answer


def _show_failed(review: Path, out: "Output") -> None:
    """What does not pass, beside the original."""
    rows = [row for row in json.loads(review.read_text("utf-8"))["rows"] if row["verdict"] != "ok"]
    out.note(f"{len(rows)} cues do not pass; the rules alone were used there:")
    for row in rows[:_SHOWN]:
        out.note(f"  original: {' / '.join(cue['text'] for cue in row['original'])}")
        if row["answer"]:
            out.note(f"  answer:   {row['answer']['text']}")
        for reason in row["reasons"]:
            out.note(f"            {reason['message']}")
    if len(rows) > _SHOWN:
        out.note(f"  and {len(rows) - _SHOWN} more in {review}")
