"""`qa`: is the material good enough to learn a voice from? Clips judged one by one and as a set, with a report."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, add_device, open_studio, parse_set, run_job
from core.errors import NotFound

if TYPE_CHECKING:
    from cli.output import Output
    from core.studio import Studio

_OPTIONS = ("asr", "speaker", "text_language", "language", "workers")


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "qa", "Measure and judge the clips of a voice, or the audio files of a folder.")
    parser.add_argument("target", metavar="VOICE_OR_FOLDER", help="name of a voice, or a folder of audio files")
    parser.add_argument("--preset", choices=("svc", "tts"), default="svc", help="thresholds to begin with")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE",
        help="a threshold (snr_review_db=18) or an option (asr=..., text_language=en); repeatable",
    )  # fmt: skip
    parser.add_argument("--report", metavar="FILE.html", help="where the report goes (default: the voice's folder)")
    parser.add_argument("--apply", action="store_true", help="write the proposed verdicts into the voice's clips")
    add_device(parser)


def target_of(studio: "Studio", target: str) -> dict[str, str]:
    """`{"voice": ...}` or `{"folder": ...}`; a voice of that name comes first. Raises NotFound."""
    if target in {voice.name for voice in studio.voices()}:
        return {"voice": target}
    if Path(target).is_dir():
        return {"folder": str(Path(target).resolve())}
    raise NotFound(f"There is no voice and no folder {target!r}.", "`app.py voices` lists the voices.", where=target)


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Judge, say what was found, write the report."""
    studio = open_studio(options)
    values = parse_set(options.set)
    params: dict[str, Any] = {
        **target_of(studio, options.target),
        **{name: values.pop(name) for name in _OPTIONS if name in values},
        "preset": options.preset,
        "thresholds": values,
        "apply": options.apply,
    }
    if options.report:
        params["report"] = str(Path(options.report).resolve())
    result = run_job(studio, "qa", params, out)
    whole = result["set"]
    out.line(
        f"{result['title']}: {result['clips']} clips, {result['accepted']} accepted, {result['review']} to review, "
        f"{result['rejected']} rejected; {result['minutes']:.1f} minutes."
    )
    if whole["low_note"]:
        out.line(f"Notes: {whole['low_note']} to {whole['high_note']}.")
    for finding in result["findings"]:
        count = f", {len(finding['clips'])} clips" if finding["clips"] else ""
        figures = f": {finding['figures']}" if finding["figures"] else ""
        out.line(f"- {finding['title']} ({finding['severity']}{count}){figures}")
        out.line(f"  {finding['advice']}")
    for what, why in result["not_measured"].items():
        out.note(f"  not measured: {what} ({why})")
    if options.apply:
        out.line(f"{result['changed']} verdicts changed.")
    out.line(f"Report: {result['report']}")
    return result
