"""Merging by rules: times untouched, 15 seconds never passed, sentences before length."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.subtitles.check import check_answer
from core.subtitles.cue import Cue
from core.subtitles.merge import Merged, merge, merge_with_spans
from core.subtitles.options import MergeOptions, parse_options
from core.subtitles.scripts import ends_clause

words = st.sampled_from(
    [
        "the boat",
        "left early,",
        "and then",
        "it rained.",
        "Why?",
        "[Music]",
        "今天",
        "很好。",
        "你说，",
        "Dr.",
        "so…",
        "i know",
    ]
)


@st.composite
def rows(draw: st.DrawFn) -> list[Cue]:
    """Cues in order with pauses, overlaps, speakers and long ones."""
    cues: list[Cue] = []
    at = 0
    for _ in range(draw(st.integers(0, 14))):
        # No two begin at once: which of them an answer means could not be told.
        least = cues[-1].start_ms + 1 if cues else 0
        at = max(least, at + draw(st.sampled_from([-300, 0, 0, 40, 300, 700, 2000, 4000])))
        length = draw(st.sampled_from([1, 333, 1200, 2500, 4999, 9000, 16000]))
        cues.append(Cue(at, at + length, draw(words), speaker=draw(st.sampled_from(["", "", "A", "B"]))))
        at += length
    return cues


def make(*lines: tuple[float, float, str]) -> list[Cue]:
    return [Cue(round(1000 * start), round(1000 * end), text) for start, end, text in lines]


def texts(merged: Merged) -> list[str]:
    return [cue.text for cue in merged.cues]


@given(rows())
def test_rules_that_always_hold(cues: list[Cue]) -> None:
    options = parse_options(MergeOptions, None)
    merged = merge_with_spans(cues, options)
    assert [at for first, last in merged.spans for at in range(first, last + 1)] == list(range(len(cues)))
    for cue, (first, last) in zip(merged.cues, merged.spans, strict=True):
        group = cues[first : last + 1]
        assert cue.start_ms == group[0].start_ms
        assert cue.end_ms == max(one.end_ms for one in group)
        assert first == last or cue.duration_ms <= 15_000
        assert len({one.speaker for one in group}) == 1
        gaps = [b.start_ms - a.end_ms for a, b in pairwise(group)]
        assert all(gap <= options.bridge_inside_ms for gap in gaps)


@given(rows())
def test_the_rules_pass_their_own_check(cues: list[Cue]) -> None:
    checked = check_answer(cues, merge(cues))
    assert [one.reasons for one in checked.cues if one.verdict != "ok"] == []
    assert checked.lost == []


def test_fragments_become_a_sentence_with_exact_times() -> None:
    cues = [
        Cue(1640960, 1642001, "the old harbour wakes"),
        Cue(1642003, 1645537, "before the sun ,"),
        Cue(1645600, 1647999, "and the boats slip out."),
        Cue(1648500, 1654321, "Nobody saw them."),
    ]
    first, second = merge(cues)
    assert (first.start_ms, first.end_ms) == (1640960, 1647999)
    assert first.text == "The old harbour wakes before the sun, and the boats slip out."
    assert (second.start_ms, second.end_ms, second.index) == (1648500, 1654321, 2)


def test_sentences_come_before_length() -> None:
    # 13.9 s is over the target, but the sentence ends there; the comma at 9 s is no place to stop.
    merged = merge_with_spans(
        make((0, 9, "It was a long way,"), (9.1, 13.9, "but we came home."), (14, 19, "Then we slept."))
    )
    assert merged.spans == [(0, 1), (2, 2)]
    # Two short sentences go together, a third would be too much.
    short = make((0, 3, "One."), (3.1, 6, "Two."), (6.1, 11, "Three is longer."), (11.1, 16, "Four."))
    assert merge_with_spans(short).spans == [(0, 1), (2, 2), (3, 3)]


def test_a_sentence_over_the_limit_is_broken_at_its_best_place_and_told() -> None:
    cues = make(
        (0, 6, "When the rain came"),
        (6, 11, "over the hill,"),
        (11.4, 16, "we ran to the house"),
        (16, 20, "and waited."),
    )
    merged = merge_with_spans(cues)
    assert merged.spans == [(0, 1), (2, 3)]
    assert [(f.cue, f.code) for f in merged.findings] == [(0, "broken_sentence")]
    assert merged.cues[1].text == "we ran to the house and waited."  # not a new sentence, so no capital
    assert ends_clause(merged.cues[0].text)


def test_a_single_long_cue_stays_and_is_told() -> None:
    merged = merge_with_spans(make((0, 21, "All in one."), (21.1, 22, "More.")))
    assert merged.spans == [(0, 0), (1, 1)]
    assert merged.findings[0].code == "too_long"


def test_long_silences_are_not_bridged() -> None:
    assert merge_with_spans(make((0, 2, "One."), (3.6, 5, "Two."))).spans == [(0, 0), (1, 1)]
    assert merge_with_spans(make((0, 2, "One."), (3.4, 5, "Two."))).spans == [(0, 1)]
    inside = merge_with_spans(make((0, 2, "We went. And then"), (5, 7, "it rained.")))
    assert inside.spans == [(0, 0), (1, 1)]
    assert "silence" in inside.findings[0].message


def test_pauses_stand_for_missing_marks() -> None:
    cues = make(
        (0, 2, "so we went"), (2.1, 5, "to the boat"), (5.8, 8, "and it was the old one"), (8.1, 11, "that you know")
    )
    merged = merge_with_spans(cues)
    assert texts(merged) == ["So we went to the boat.", "And it was the old one that you know."]
    # The same pause inside a sentence of a file that has marks ends nothing.
    marked = make((0, 3, "so we went"), (3.8, 6, "to the boat."), (6.1, 9, "Good."))
    assert merge_with_spans(marked).cues[0].text.startswith("So we went to the boat.")


def test_chinese_and_japanese() -> None:
    chinese = make((0, 2, "今天天气很好"), (2.3, 5, "我们去公园"), (5.8, 7, "你 要 来 吗"), (7.2, 11, "好的"))
    assert texts(merge_with_spans(chinese)) == ["今天天气很好，我们去公园。", "你要来吗，好的。"]
    marked = make((0, 4, "今天天气很好，"), (4.1, 7, "我们去公园。"), (7.2, 13, "走吧！"))
    assert texts(merge_with_spans(marked)) == ["今天天气很好，我们去公园。", "走吧！"]
    japanese = make((0, 3, "今日は"), (3, 6, "公園に行きました"), (6.8, 12, "楽しかった"))
    assert texts(merge_with_spans(japanese)) == ["今日は公園に行きました。", "楽しかった。"]


def test_speakers_and_sounds_stay_apart() -> None:
    cues = [Cue(0, 1000, "Hi.", speaker="A"), Cue(1000, 2000, "Ho.", speaker="B"), Cue(2100, 3000, "Hm.", speaker="B")]
    assert merge_with_spans(cues).spans == [(0, 0), (1, 2)]
    assert merge_with_spans(cues).cues[1].speaker == "B"
    music = merge_with_spans(make((0, 2, "Hi."), (2, 3, "[Music]"), (3, 4, "Ho.")))
    assert music.spans == [(0, 0), (1, 1), (2, 2)]
    assert [f.code for f in music.findings] == ["not_speech"]


def test_text_can_be_left_alone() -> None:
    options = parse_options(MergeOptions, {"fix_text": False})
    assert merge(make((0, 2, "i went ,"), (2, 6, "home .")), options)[0].text == "i went , home ."


def test_hours_of_speech() -> None:
    cues = [Cue(at * 2500, at * 2500 + 2400, "and then we went on" if at % 5 else "It was so.") for at in range(8_000)]
    assert sum(last - first + 1 for first, last in merge_with_spans(cues).spans) == 8_000


def test_two_voices_at_once_are_kept_apart() -> None:
    both = merge_with_spans(make((0, 4, "I went"), (0.5, 3.5, "No, stop."), (4.1, 6, "home."), (6.1, 8, "Good.")))
    assert texts(both)[:2] == ["I went", "No, stop."]
    assert both.spans[:2] == [(0, 0), (1, 1)]
    assert [(f.cue, f.code) for f in both.findings if f.code == "at_once"] == [(0, "at_once"), (1, "at_once")]
    inside = merge_with_spans(make((0, 9, "A long one."), (5, 6, "Inside."), (9.1, 10, "After.")))
    assert [first for first, _ in inside.spans[:2]] == [0, 1]


def test_edges_that_overlap_a_little_are_one_voice() -> None:
    assert texts(merge_with_spans(make((0, 3, "I went"), (2.8, 5, "home.")))) == ["I went home."]


def test_what_is_mended_is_told() -> None:
    options = parse_options(MergeOptions, {"glossary": ["Timbre"]})
    merged = merge_with_spans(make((0, 3, "This is tim"), (3.1, 6, "ber, the the voice studio.")), options)
    assert texts(merged) == ["This is Timbre, the voice studio."]
    assert [f.code for f in merged.findings] == ["mended", "mended"]
    plain = merge_with_spans(make((0, 3, "the the dog.")), parse_options(MergeOptions, {"fix_text": False}))
    assert texts(plain) == ["the the dog."]


def test_lines_that_recognisers_make_up_are_told_and_stay_alone() -> None:
    lines = make(
        (0, 4, "It is late."), (4, 6, "Yes."), (6, 8, "Yes."), (8, 10, "Yes."), (10, 12, "Thanks for watching!")
    )
    merged = merge_with_spans(lines)
    assert [f.code for f in merged.findings] == ["made_up"] * 3
    assert texts(merged)[-2:] == ["Yes.", "Thanks for watching!"]
