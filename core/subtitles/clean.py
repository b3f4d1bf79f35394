"""The job "clean-subs": a file of subtitles in, whole sentences out, in one of three ways.

"rules" needs nothing; "endpoint" asks the model that was set up; "answer" reads what a chat answered to the texts that
"prompt" wrote. Whatever comes from outside is checked cue by cue, and a review file keeps both sides.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import atomic
from core.errors import BadInput, Unavailable
from core.subtitles.check import Checked, check_answer, resolve, side_by_side
from core.subtitles.cue import Cue, Finding, Parsed
from core.subtitles.merge import merge_with_spans
from core.subtitles.options import CheckOptions, MergeOptions, parse_options
from core.subtitles.parse import read
from core.subtitles.prompt import build_prompts
from core.subtitles.write import to_srt

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_MOST_ANSWER_BYTES = 32 << 20


class CleanOptions(BaseModel):
    """Parameters of the job. Unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subs: str = Field(description="file of subtitles: SRT, WebVTT or ASS")
    out: str = Field(description="where the cleaned SRT goes; the texts to paste, for the way prompt")
    way: Literal["rules", "endpoint", "prompt", "answer"] = "rules"
    answer: str | None = Field(default=None, description="file with a chat's answer, for the way answer")
    encoding: str | None = Field(default=None, description="of the subtitles, where the person knows better")
    take: list[int] | None = Field(default=None, description="answered cues to take, from 0; None: those that pass")
    merge: MergeOptions = MergeOptions.model_validate({})
    check: CheckOptions = CheckOptions.model_validate({})


def run_clean_subs(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Clean a file of subtitles; `params` are those of `CleanOptions`.

    Writes `out` and, but for the way "prompt", `review` beside it: JSON with `source` and `answer` (cues), `rows` (see
    `side_by_side`) and `findings`, which `load_review` reads.

    Returns `out`, `review`, `way`, `cues_in`, `cues`, `failed` (cues of an answer that do not pass), `lost` (source
    cues that the answer left out; the rules took care of them), `prompts` (how many texts to paste), `findings`,
    `format`, `encoding`.

    Raises BadInput (options, files, nothing in them, `out` is the source), Unavailable (no endpoint), NoSpace,
    Cancelled.
    """
    options = parse_options(CleanOptions, params)
    atomic.check_target(options.out, options.subs)  # the exact times of the source are nowhere else
    parsed = read(options.subs, encoding=options.encoding)
    if not parsed.cues:
        why = parsed.findings[0].message if parsed.findings else "There are no times in it."
        raise BadInput(
            f"No cue could be read from {Path(options.subs).name}. {why}", "Choose another file.", where="subs"
        )
    result: dict[str, Any] = {
        "out": options.out, "review": None, "way": options.way, "cues_in": len(parsed.cues), "cues": 0, "failed": 0,
        "lost": 0, "prompts": 0, "format": parsed.format, "encoding": parsed.encoding,
    }  # fmt: skip
    if options.way == "prompt":
        texts = build_prompts(parsed.cues, options.merge)
        atomic.write_text(options.out, f"\n\n{'=' * 72}\n\n".join(texts))
        return {**result, "prompts": len(texts), "findings": [vars(one) for one in parsed.findings]}
    checked = _checked(parsed, options, ctx)
    cues = resolve(checked, options.take, options.merge)
    findings = [*parsed.findings, *checked.findings]
    ctx.check()
    review = review_path(options.out)
    save_review(review, checked, findings)
    atomic.write_text(options.out, to_srt(cues))
    return {
        **result,
        "review": str(review),
        "cues": len(cues),
        "failed": sum(one.verdict == "failed" for one in checked.cues),
        "lost": len(checked.lost),
        "findings": [vars(one) for one in findings],
    }


def _checked(parsed: Parsed, options: CleanOptions, ctx: "JobContext") -> Checked:
    if options.way == "answer":
        return check_answer(parsed.cues, _pasted(options.answer), options.check)
    if options.way == "endpoint":
        from core.subtitles.endpoint import clean_with_endpoint
        from core.subtitles.endpoint_config import config_dir, load_config, load_key

        config = load_config()
        if config is None:
            raise Unavailable(
                "No language model has been set up.",
                f"Enter its address on the page, or put base_url and model into {config_dir() / 'endpoint.json'}.",
                where="endpoint",
            )
        answer = clean_with_endpoint(parsed.cues, config, load_key(), ctx, options.merge)
        checked = check_answer(parsed.cues, answer.cues, options.check)
        return Checked(checked.source, checked.cues, checked.lost, answer.findings)
    merged = merge_with_spans(parsed.cues, options.merge)
    limits = options.check.model_copy(update={"limit_s": options.merge.limit_s})
    checked = check_answer(parsed.cues, merged.cues, limits)
    return Checked(checked.source, checked.cues, checked.lost, merged.findings)


def _pasted(path: str | None) -> str:
    if not path:
        raise BadInput("Which answer?", "Name the file that holds what the chat answered.", where="answer")
    file = Path(path)
    hint = "Save the chat's answer as a text file and name it."
    try:
        if file.stat().st_size > _MOST_ANSWER_BYTES:
            raise BadInput(f"{file.name} is too large for an answer.", hint, where=str(file))
        text = file.read_bytes().decode("utf-8-sig", "replace")
    except OSError as err:
        raise BadInput(f"{file} cannot be read: {err.strerror}.", hint, where=str(file)) from err
    if "-->" not in text:
        raise BadInput(f"{file.name} holds no subtitles.", hint, where=str(file))
    return text


def review_path(out: str | Path) -> Path:
    """Where the review of a cleaned file lies."""
    return Path(out).with_suffix(".review.json")


def save_review(path: Path, checked: Checked, findings: list[Finding]) -> None:
    """Keep both sides for a page. Raises NoSpace, BadInput (write-protected)."""
    data = {
        "source": [vars(cue) for cue in checked.source],
        "answer": [vars(one.cue) for one in checked.cues],
        "rows": side_by_side(checked),
        "findings": [vars(one) for one in findings],
    }
    atomic.write_text(path, json.dumps(data, ensure_ascii=False))


def load_review(path: Path, options: CheckOptions | None = None) -> Checked:
    """A review again, judged anew; `resolve` makes the final cues of it. Raises BadInput if the file is damaged."""
    try:
        data = json.loads(path.read_text("utf-8"))
        source, answer = ([Cue(**cue) for cue in data[side]] for side in ("source", "answer"))
        findings = [Finding(**one) for one in data["findings"]]
    except (OSError, ValueError, LookupError, TypeError) as err:
        raise BadInput(
            f"{path.name} is no review of subtitles.", "Clean the subtitles again.", where=str(path)
        ) from err
    checked = check_answer(source, answer, options)
    return Checked(checked.source, checked.cues, checked.lost, findings)
