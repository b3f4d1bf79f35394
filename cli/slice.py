"""`slice`: a recording and its subtitles in, clips with their text out."""

import argparse
from pathlib import Path
from typing import Any

from cli.common import UsageError, add_command, add_set, given, known_voice, named_path, open_studio, parse_set, run_job
from cli.output import Output

_OPTIONS = ("buffer_ms", "silence_ms", "vad_threshold", "sample_rate", "language", "speaker")
_SWITCHES = ("append", "merge", "fix_timing", "sovits", "use_original")
_SHOWN = 12


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "slice", "Cut a recording by its subtitles into clips with text.")
    parser.add_argument("audio", type=Path, help="the recording")
    parser.add_argument("subs", type=Path, help="its subtitles: SRT, WebVTT or ASS")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--out", type=named_path, metavar="DIR", help="folder for 0001.wav ..., train.jsonl, report.json"
    )
    where.add_argument("--voice", metavar="NAME", help="put the clips into this voice instead")
    parser.add_argument("--buffer-ms", type=int, metavar="MS", help="search beside each cue, ms (default: 100)")
    parser.add_argument("--silence-ms", type=int, metavar="MS", help="silence around each clip, ms (default: 200)")
    parser.add_argument("--vad-threshold", type=float, metavar="P", help="speech from this probability (default: 0.5)")
    parser.add_argument("--sample-rate", type=int, metavar="HZ", help="rate of the clips, Hz (default: 44100)")
    parser.add_argument("--append", action="store_true", help="go on with the numbers of the dataset in the folder")
    parser.add_argument("--merge", action="store_true", help="join cues to whole sentences first, by the rules")
    parser.add_argument("--glossary", type=Path, metavar="FILE", help="with --merge: names and terms, see clean-subs")
    parser.add_argument("--fix-timing", action="store_true", help="correct an offset or a drift, if one is found")
    parser.add_argument("--sovits", action="store_true", help="also lay out dataset_raw/<speaker> for so-vits-svc")
    parser.add_argument("--use-original", action="store_true", help="with --voice: not its cleaned copy")
    parser.add_argument("--language", metavar="LANG", help="zh, en, ja, ko or yue (default: told from the text)")
    parser.add_argument("--speaker", metavar="NAME", help="who speaks (default: what the subtitles say)")
    add_set(parser, "cutting")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads; 0 chooses (default: 0)")


def run(options: argparse.Namespace, out: Output) -> dict[str, Any]:
    """Cut."""
    studio = open_studio(options)
    chosen = {**given(options, *_OPTIONS), **{name: True for name in _SWITCHES if getattr(options, name)}}
    if options.glossary:
        from core.subtitles.recognition import read_glossary

        if not options.merge:
            raise UsageError(
                "argument --glossary: needs --merge", "usage: app.py slice AUDIO SUBS --merge --glossary FILE"
            )
        chosen["glossary"] = read_glossary(options.glossary)
    params: dict[str, Any] = {
        "audio": str(options.audio.resolve()),
        "subs": str(options.subs.resolve()),
        "options": {**chosen, **parse_set(options.set)},
    }
    if options.voice:
        params["voice"] = known_voice(studio, options.voice)
    else:
        params["out"] = str(options.out.resolve())
    result = run_job(studio, "slice", params, out)
    notes = [*result["warnings"], *(finding["message"] for finding in result["findings"])]
    for note in notes[:_SHOWN]:
        out.note(f"  {note}")
    if len(notes) > _SHOWN:
        out.note(f"  and {len(notes) - _SHOWN} more remarks: see {result['report']}")
    shares = result["summary"]
    out.line(
        f"{result['clips']} clips, {result['minutes']:.1f} minutes: {shares['share_below_3_s']:.0%} below 3 s, "
        f"{shares['share_3_to_10_s']:.0%} of 3 to 10 s, {shares['share_above_10_s']:.0%} longer. "
        f"{result['by_subtitle']} by the subtitle's own times, {result['not_cut']} of {result['cues']} cues not cut."
    )
    out.line(f"Report: {result['report']}")
    return result
