"""Cues put together by rules alone: whole sentences, 5 to 12 seconds, never over 15, times to the millisecond.

A cue made here starts where its first source cue starts and ends where its last one ends; no time is computed.
Where the rules contradict each other they rank: 15 seconds, long silences, changes of speaker and voices at the same
time; then whole sentences; then the length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.subtitles.cue import Cue, Finding
from core.subtitles.options import MergeOptions
from core.subtitles.partition import Boundary, Lengths, partition
from core.subtitles.recognition import made_up, mend, parse_glossary, repeats
from core.subtitles.scripts import core_of, ends_clause, ends_sentence, is_speech, join
from core.subtitles.tidy import Style, close, spaced, style_of, tidy

# What it costs to end a cue inside a sentence; only their order matters, and that two breaks cost more than one.
_PAUSE, _SEMICOLON, _COMMA, _CLAUSE = 100.0, 130.0, 160.0, 190.0
_OVERLAP = 25.0
_AT_ONCE = 0.5  # of the shorter cue: from here on two cues are two voices, not one that goes on
_LOOK_AHEAD = 50
_SHORT_PAUSE_SHARE = 1 / 3  # of `pause_ms`: a comma's worth


@dataclass(frozen=True)
class Merged:
    """The outcome of merging.

    Attributes:
        cues: in order, numbered from 1.
        spans: for each of them the first and last source cue, positions from 0; together they hold every source cue.
        findings: cues that could not follow all rules; `cue` is a position in `cues`.
    """

    cues: list[Cue]
    spans: list[tuple[int, int]]
    findings: list[Finding]


def merge(cues: Sequence[Cue], options: MergeOptions | None = None) -> list[Cue]:
    """The cues of `merge_with_spans`."""
    return merge_with_spans(cues, options).cues


def merge_with_spans(cues: Sequence[Cue], options: MergeOptions | None = None, style: Style | None = None) -> Merged:
    """Merge `cues`, which must be in order of their starts (as the parser returns them).

    `style` is that of the whole file where `cues` are a part of one.
    """
    options = options or MergeOptions()
    style = style or style_of([cue.text for cue in cues], sum(cue.duration_ms for cue in cues))
    at_once, again = _at_once(cues), repeats([cue.text for cue in cues])
    apart = at_once | again
    boundaries = [
        Boundary(0.0, must=True) if at in apart or at + 1 in apart else _boundary(cues, at, options, style)
        for at in range(len(cues) - 1)
    ]
    lengths = Lengths(1000 * options.target_min_s, 1000 * options.target_max_s, 1000 * options.limit_s)
    spans = partition([(cue.start_ms, cue.end_ms) for cue in cues], boundaries, lengths)
    merged: list[Cue] = []
    findings: list[Finding] = []
    fresh = True  # whether a sentence starts here
    for number, (first, last) in enumerate(spans, start=1):
        group = cues[first : last + 1]
        boundary = boundaries[last] if last < len(boundaries) else None
        finished = boundary is None or boundary.cost == 0
        text, mended = _text(group, options, style, fresh, finished)
        findings += [Finding(None, number - 1, "mended", said) for said in mended]
        speakers = {cue.speaker for cue in group}
        end_ms = max(cue.end_ms for cue in group)
        merged.append(Cue(group[0].start_ms, end_ms, text, number, speakers.pop() if len(speakers) == 1 else ""))
        findings += _findings(number - 1, merged[-1], boundary, options)
        if first in at_once:
            said = "It runs at the same time as another cue, so neither was joined to anything. Keep the one you hear."
            findings.append(Finding(None, number - 1, "at_once", said))
        if first in again or made_up(text):
            said = "Recognisers write such lines where nobody speaks. Listen to it; without speech it will not be cut."
            findings.append(Finding(None, number - 1, "made_up", said))
        fresh = finished
    if style.all_caps and options.fix_text:
        findings.insert(
            0, Finding(None, None, "all_caps", "The file is in capitals; they were made small. Look at names.")
        )
    return Merged(merged, spans, findings)


def _at_once(cues: Sequence[Cue]) -> set[int]:
    """Positions of cues that share more than half of the shorter one with another: two voices, or two languages.

    Joined they would be a text in the order of starts that nobody says.
    """
    found: set[int] = set()
    for at, cue in enumerate(cues):
        for other in range(at + 1, min(at + 1 + _LOOK_AHEAD, len(cues))):
            if cues[other].start_ms >= cue.end_ms:
                break
            shared_ms = min(cue.end_ms, cues[other].end_ms) - cues[other].start_ms
            if shared_ms > _AT_ONCE * min(cue.duration_ms, cues[other].duration_ms):
                found |= {at, other}
    return found


def _boundary(cues: Sequence[Cue], at: int, options: MergeOptions, style: Style) -> Boundary:
    cue, following = cues[at], cues[at + 1]
    gap_ms = following.start_ms - cue.end_ms
    whole = ends_sentence(cue.text, following.text)
    marked = whole or ends_clause(cue.text)
    pause = not marked and gap_ms >= options.pause_ms
    other_speaker = cue.speaker != following.speaker
    sound = not is_speech(cue.text) or not is_speech(following.text)
    if whole or sound or other_speaker or (pause and style.unpunctuated):
        cost = 0.0
    elif pause:
        cost = _PAUSE
    elif marked:
        cost = _SEMICOLON if core_of(cue.text)[-1] in ";；؛፤:：፥" else _COMMA
    else:
        cost = _CLAUSE - 30.0 * min(1.0, max(0, gap_ms) / options.pause_ms)
    bridge_ms = options.bridge_ms if cost == 0 else options.bridge_inside_ms
    overlap = _OVERLAP if gap_ms < 0 and cost else 0.0
    return Boundary(cost + overlap, must=gap_ms > bridge_ms or other_speaker or sound)


def _text(
    group: Sequence[Cue], options: MergeOptions, style: Style, fresh: bool, finished: bool
) -> tuple[str, list[str]]:
    """(the text of a merged cue, what was mended in it beside marks and capitals)."""
    pieces = [spaced(cue.text, style) if options.fix_text else cue.text for cue in group]
    text = pieces[0]
    for before, cue, piece in zip(group, group[1:], pieces[1:], strict=False):
        gap_ms = cue.start_ms - before.end_ms
        if style.unpunctuated and options.fix_text and not ends_sentence(text):
            if gap_ms >= options.pause_ms:
                text = close(text, style.stop)
            elif gap_ms >= options.pause_ms * _SHORT_PAUSE_SHARE and style.comma in ("，", "、"):
                text = close(text, style.comma)
        text = join(text, piece)
    if not options.fix_text:
        return text, []
    text, mended = mend(text, parse_glossary(options.glossary))
    if style.unpunctuated and finished and is_speech(text):
        text = close(text, style.stop)
    return tidy(text, style, starts_sentence=fresh), mended


def _findings(at: int, cue: Cue, boundary: Boundary | None, options: MergeOptions) -> list[Finding]:
    found = []
    if cue.duration_ms > 1000 * options.limit_s:
        text = f"The cue is {cue.duration_ms / 1000:.1f} s long in the source and was left as it is; split it by hand."
        found.append(Finding(None, at, "too_long", text))
    if boundary is not None and boundary.cost:
        why = "a long silence follows" if boundary.must else f"it would be longer than {options.limit_s:g} s"
        found.append(Finding(None, at, "broken_sentence", f"The cue ends inside a sentence, because {why}."))
    if not is_speech(cue.text):
        found.append(Finding(None, at, "not_speech", "The text describes a sound; nobody speaks it."))
    return found
