"""The request to a language model, by hand in a chat or through an endpoint, and reading what it answers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.subtitles.cue import Cue, Parsed
from core.subtitles.options import MergeOptions
from core.subtitles.parse import parse_text
from core.subtitles.recognition import parse_glossary
from core.subtitles.scripts import ends_sentence, joins_without_space
from core.subtitles.write import to_srt

RULES = """\
You prepare subtitles of recorded speech as training data for a text-to-speech model. A speech recogniser wrote them; \
merge its fragments into whole sentences and correct the text.

1. Times. A new cue begins at exactly the start of the first cue that it is made of and ends at exactly the end of the \
last one. Copy times digit by digit, milliseconds included; never round, shift or invent one, and never split a cue.
2. Order. Use every cue once, in the given order, neighbours only. Leave nothing out, not even repetitions.
3. Sentences before length. End a new cue only where a sentence ends, never at a comma or inside a clause.
4. Length. Aim for {target_min_s:g} to {target_max_s:g} seconds a cue; never exceed {limit_s:g} seconds. A single cue \
that is longer stays as it is. Do not bridge a silence of more than {bridge_s:g} seconds.
5. Text. Write what was said, word for word. Set correct punctuation, correct obvious recognition and spelling \
mistakes, and set capitals as the language asks. Add no words, leave none out, translate nothing, note no sounds.

Answer with the new subtitles in SRT format and nothing else: number, time line, one line of text, empty line."""


@dataclass(frozen=True)
class Window:
    """A part of the cues for one request. `context` comes just before and is only to be read."""

    cues: list[Cue]
    context: list[Cue]


def rules(options: MergeOptions | None = None) -> str:
    """The instructions, with the lengths that were chosen."""
    options = options or MergeOptions()
    known = parse_glossary(options.glossary)
    told = RULES.format(
        target_min_s=options.target_min_s,
        target_max_s=options.target_max_s,
        limit_s=options.limit_s,
        bridge_s=options.bridge_ms / 1000,
    )
    return told + (f"\n\nNames and terms are spelled so: {'; '.join(known.terms)}." if known.terms else "")


def request(window: Window) -> str:
    """The cues of one window as the model is to see them."""
    parts = []
    if window.context:
        said = " ".join(cue.text for cue in window.context)
        parts.append(f"What was said just before, for understanding only; do not repeat it:\n{said}\n")
    parts.append(f"Subtitles:\n\n{to_srt(window.cues)}")
    return "\n".join(parts)


def build_prompts(cues: Sequence[Cue], options: MergeOptions | None = None, *, most_tokens: int = 8000) -> list[str]:
    """Texts to paste into a chat, one after the other; their answers are pasted back together."""
    parts = windows(cues, most_tokens)
    return [f"{rules(options)}\n\n{request(part)}" for part in parts]


def windows(cues: Sequence[Cue], most_tokens: int, context_cues: int = 3) -> list[Window]:
    """Cut `cues` into windows of at most about `most_tokens`, at the end of a sentence or in a long silence.

    A cut is looked for in the last third of a window; without a good place the largest silence there is taken.
    """
    parts: list[Window] = []
    start = 0
    while start < len(cues):
        size, end = 0, start
        while end < len(cues) and (end == start or size + _tokens(cues[end]) <= most_tokens):
            size += _tokens(cues[end])
            end += 1
        if end < len(cues):
            least = start + max(1, (end - start) * 2 // 3)
            end = max(range(least, end + 1), key=lambda at: _cut_quality(cues, at))
        parts.append(Window(list(cues[start:end]), list(cues[max(0, start - context_cues) : start])))
        start = end
    return parts


def _cut_quality(cues: Sequence[Cue], at: int) -> tuple[bool, int]:
    before, after = cues[at - 1], cues[at]
    return ends_sentence(before.text, after.text), after.start_ms - before.end_ms


def _tokens(cue: Cue) -> int:
    """About how many tokens a cue takes in SRT. The times alone take some thirty."""
    tight = sum(map(joins_without_space, cue.text))
    return 34 + tight + (len(cue.text) - tight) // 3


def parse_answer(text: str) -> Parsed:
    """Read a model's answer: SRT, perhaps in code fences, with thoughts before and remarks around it.

    Never raises; what is not part of a cue becomes a finding.
    """
    text = re.sub(r"<think(?:ing)?>.*?</think(?:ing)?>", "", text, flags=re.DOTALL | re.IGNORECASE)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    fenced = re.findall(r"^[ \t]*(?:```|~~~)[^\n]*\n(.*?)(?:^[ \t]*(?:```|~~~)|\Z)", text, re.DOTALL | re.MULTILINE)
    inside = [block for block in fenced if "-->" in block]
    return parse_text("\n\n".join(inside) if inside else text, paragraphs=False)
