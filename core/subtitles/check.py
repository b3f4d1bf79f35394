"""Cleaned subtitles that came from a person, a chat or a model: nothing in them is believed.

Every boundary must be one of the source's, to the millisecond; cues are in order, use every source cue once and last
no longer than the limit; the text stays within an edit distance of the source's. What fails is shown beside the
original and taken or refused cue by cue.
"""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from core.subtitles.cue import Cue, Finding
from core.subtitles.distance import diff, longest_runs, normalised_distance, weight
from core.subtitles.merge import merge_with_spans
from core.subtitles.options import CheckOptions, MergeOptions
from core.subtitles.prompt import parse_answer
from core.subtitles.scripts import ends_clause, join
from core.subtitles.tidy import style_of
from core.subtitles.timecode import clock


@dataclass(frozen=True)
class Reason:
    """Why a cue fails (or, as a warning, what is not nice): a short name, and a sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class CheckedCue:
    """One cue of an answer.

    Attributes:
        cue: as the answer has it.
        verdict: "ok", or "failed" if there are reasons.
        reasons, warnings: why it fails; what a person may want to know besides.
        first, last: source cues that it stands for, positions from 0. By its boundaries where they exist in the
            source, else by time; None where it covers none.
        original: their text.
        distance: edits a character between the texts, 0..1, case, spaces and punctuation aside.
    """

    cue: Cue
    verdict: Literal["ok", "failed"]
    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...]
    first: int | None
    last: int | None
    original: str
    distance: float


@dataclass(frozen=True)
class Checked:
    """An answer beside its source.

    Attributes:
        source: the original cues.
        cues: those of the answer, in its order.
        lost: source cues that no cue of the answer stands for.
        findings: what was odd about the answer as a file.
    """

    source: list[Cue]
    cues: list[CheckedCue]
    lost: list[int]
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """True if the answer can be used as it is."""
        return not self.lost and all(one.verdict == "ok" for one in self.cues)


def check_answer(original: Sequence[Cue], answer: Sequence[Cue] | str, options: CheckOptions | None = None) -> Checked:
    """Judge every cue of an answer; text is read by `parse_answer`. `original` must be in order of its starts."""
    options = options or CheckOptions()
    findings: list[Finding] = []
    moved: set[int] = set()
    if isinstance(answer, str):
        parsed = parse_answer(answer)
        answer, findings = parsed.cues, parsed.findings
        moved = {one.cue for one in findings if one.code == "out_of_order" and one.cue is not None}
    source = list(original)
    starts = [cue.start_ms for cue in source]
    known = {"start": set(starts), "end": {cue.end_ms for cue in source}}
    checked: list[CheckedCue] = []
    taken = -1  # the last source cue used so far
    for at, cue in enumerate(answer):
        before = answer[at - 1] if at else None
        following = answer[at + 1].start_ms if at + 1 < len(answer) else None
        first, last = _covered(source, starts, cue, taken, following)
        reasons = _time_reasons(cue, before, known, first, last, options)
        if at in moved:
            reasons.append(Reason("out_of_order", "The answer has this cue in another place."))
        if first is not None and last is not None:
            if first <= taken:
                said = f"Source cue {first + 1} stands in an earlier cue of the answer already."
                reasons.append(Reason("used_again", said))
            taken = max(taken, last)
        text = _source_text(source, first, last)
        distance = normalised_distance(text, cue.text)
        reasons += _text_reasons(text, cue.text, distance, options) if first is not None else []
        warnings = []
        if ends_clause(cue.text) and not ends_clause(text):
            warnings.append(Reason("ends_in_clause", "The cue ends inside a sentence."))
        verdict: Literal["ok", "failed"] = "failed" if reasons else "ok"
        checked.append(CheckedCue(cue, verdict, tuple(reasons), tuple(warnings), first, last, text, distance))
    used = {
        at for one in checked if one.first is not None and one.last is not None for at in range(one.first, one.last + 1)
    }
    return Checked(source, checked, [at for at in range(len(source)) if at not in used], findings)


def _covered(
    source: list[Cue], starts: list[int], cue: Cue, taken: int, following: int | None
) -> tuple[int | None, int | None]:
    """Source cues (first, last) that a cue of the answer stands for; `following` is the start of the answer's next."""
    begins = range(bisect_left(starts, cue.start_ms), bisect_left(starts, cue.start_ms + 1))
    # Of several that start together the first that is still free is meant.
    first = next((at for at in begins if at > taken), begins[0] if begins else None)
    if first is not None:
        until = bisect_left(starts, cue.end_ms)
        last = next((at for at in range(first, until) if source[at].end_ms == cue.end_ms), None)
        if last is not None:
            # Cues that lie wholly inside the others of a group belong to it.
            while last + 1 < until and source[last + 1].end_ms <= cue.end_ms and starts[last + 1] != following:
                last += 1
            return first, last
    inside = [at for at, one in enumerate(source) if cue.start_ms <= (one.start_ms + one.end_ms) // 2 < cue.end_ms]
    return (inside[0], inside[-1]) if inside else (None, None)


def _time_reasons(
    cue: Cue, before: Cue | None, known: dict[str, set[int]], first: int | None, last: int | None, options: CheckOptions
) -> list[Reason]:
    reasons = []
    for what, value in (("start", cue.start_ms), ("end", cue.end_ms)):
        if value not in known[what]:
            near = min(known[what], key=lambda one: abs(one - value), default=None)
            said = f"No cue of the source {what}s at {clock(value)}"
            said += "." if near is None else f"; the nearest is {clock(near)}."
            reasons.append(Reason(f"{what}_not_in_source", said))
    if cue.end_ms <= cue.start_ms:
        reasons.append(Reason("no_length", "The cue ends before it begins."))
    if before is not None and cue.start_ms < before.start_ms:
        reasons.append(Reason("out_of_order", "The cue starts before the one above it."))
    own = first is not None and not reasons  # cues that overlap in the source may do so here
    if before is not None and cue.start_ms < before.end_ms and not own:
        said = f"The cue starts {before.end_ms - cue.start_ms} ms before the one above it ends."
        reasons.append(Reason("overlap", said))
    if cue.duration_ms > 1000 * options.limit_s and (first is None or first != last):
        said = f"The cue lasts {cue.duration_ms / 1000:.1f} s, longer than {options.limit_s:g} s."
        reasons.append(Reason("too_long", said))
    return reasons


def _text_reasons(source: str, text: str, distance: float, options: CheckOptions) -> list[Reason]:
    if not text.strip():
        return [Reason("empty", "The text is gone.")]
    reasons = []
    if distance > options.max_distance:
        said = f"{distance:.0%} of the text differs from the source; {options.max_distance:.0%} pass as mending."
        reasons.append(Reason("text_changed", said))
    if distance:
        added, lost = longest_runs(source, text)
        if weight([added]) > options.max_run:
            reasons.append(Reason("text_added", f"“{added}” is not in the source."))
        if weight([lost]) > options.max_run:
            reasons.append(Reason("text_lost", f"“{lost}” was left out."))
    return reasons


def _source_text(source: list[Cue], first: int | None, last: int | None) -> str:
    text = ""
    if first is not None and last is not None:
        for cue in source[first : last + 1]:
            text = join(text, cue.text)
    return text


def resolve(checked: Checked, take: Collection[int] | None = None, options: MergeOptions | None = None) -> list[Cue]:
    """The final cues: those of the answer that were taken, and the rules' own merge of all source cues beside them.

    `take`: positions in `checked.cues`; None takes those that pass. A cue that would use a source cue twice is not
    taken. Nothing of the source is lost.
    """
    options = options or MergeOptions()
    wanted = {at for at, one in enumerate(checked.cues) if one.verdict == "ok"} if take is None else set(take)
    source, owner = checked.source, [-1] * len(checked.source)
    final: list[Cue] = []
    for at, one in enumerate(checked.cues):
        if at in wanted and one.first is not None and one.last is not None:
            rows = range(one.first, one.last + 1)
            if all(owner[row] < 0 for row in rows):
                for row in rows:
                    owner[row] = at
                speakers = {source[row].speaker for row in rows}
                speaker = speakers.pop() if len(speakers) == 1 else ""
                final.append(Cue(one.cue.start_ms, one.cue.end_ms, one.cue.text, None, speaker))
    style = style_of([cue.text for cue in source], sum(cue.duration_ms for cue in source))
    start = 0
    for row in range(len(source) + 1):
        if row == len(source) or owner[row] >= 0:
            final += merge_with_spans(source[start:row], options, style).cues
            start = row + 1
    final.sort(key=lambda cue: (cue.start_ms, cue.end_ms))
    return [Cue(cue.start_ms, cue.end_ms, cue.text, number, cue.speaker) for number, cue in enumerate(final, start=1)]


def side_by_side(checked: Checked) -> list[dict[str, Any]]:
    """Rows for a page, in order of time, JSON.

    Each has `source` (positions), `original` (cues), `answer` (a cue or None), `position` in `checked.cues` (or None),
    `verdict` ("ok", "failed", "lost"), `reasons`, `warnings`, `distance` and `diff` (pairs of "same", "lost" or
    "added" and text).
    """
    rows: list[dict[str, Any]] = []
    for at, one in enumerate(checked.cues):
        covered = range(one.first, one.last + 1) if one.first is not None and one.last is not None else range(0)
        rows.append(
            {
                "source": list(covered),
                "original": [asdict(checked.source[row]) for row in covered],
                "answer": asdict(one.cue),
                "position": at,
                "verdict": one.verdict,
                "reasons": [asdict(reason) for reason in one.reasons],
                "warnings": [asdict(reason) for reason in one.warnings],
                "distance": round(one.distance, 4),
                "diff": diff(one.original, one.cue.text),
            }
        )
    for row in checked.lost:
        cue = checked.source[row]
        reason = Reason("lost", "No cue of the answer stands for this one.")
        rows.append(
            {
                "source": [row], "original": [asdict(cue)], "answer": None, "position": None, "verdict": "lost",
                "reasons": [asdict(reason)], "warnings": [], "distance": 1.0, "diff": [("lost", cue.text)],
            }
        )  # fmt: skip
    rows.sort(key=lambda row: (row["answer"] or row["original"][0])["start_ms"])
    return rows
