"""An answer is not believed: altered times, invented text, lost or doubled cues are refused, each with its reason."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.subtitles.check import Checked, check_answer, resolve, side_by_side
from core.subtitles.cue import Cue
from core.subtitles.merge import merge
from core.subtitles.options import CheckOptions, parse_options
from core.subtitles.prompt import parse_answer
from core.subtitles.write import to_srt

SOURCE = [
    Cue(1640960, 1642001, "hello their"),
    Cue(1642100, 1644000, "how are you today"),
    Cue(1644500, 1646000, "I am fine."),
    Cue(1646100, 1649000, "Thank you very much indeed."),
    Cue(1649500, 1656000, "Now let us go on"),
    Cue(1656000, 1663000, "with the rest of it."),
]
GOOD = [
    Cue(1640960, 1644000, "Hello there, how are you today?"),
    Cue(1644500, 1649000, "I am fine. Thank you very much indeed."),
    Cue(1649500, 1663000, "Now let us go on with the rest of it."),
]


def changed(at: int, start: int = 0, end: int = 0, text: str | None = None) -> list[Cue]:
    cue = GOOD[at]
    new = Cue(cue.start_ms + start, cue.end_ms + end, cue.text if text is None else text)
    return [*GOOD[:at], new, *GOOD[at + 1 :]]


def reasons(checked: Checked, at: int) -> list[str]:
    return [reason.code for reason in checked.cues[at].reasons]


def test_a_good_answer_passes_as_cues_and_as_text() -> None:
    for answer in (GOOD, to_srt(GOOD)):
        checked = check_answer(SOURCE, answer)
        assert checked.ok
        assert [(one.first, one.last) for one in checked.cues] == [(0, 1), (2, 3), (4, 5)]
        assert [(c.start_ms, c.end_ms, c.text) for c in resolve(checked)] == [
            (c.start_ms, c.end_ms, c.text) for c in GOOD
        ]


@given(st.integers(0, 2), st.sampled_from(["start", "end"]), st.integers(-900, 900).filter(bool))
def test_any_altered_time_is_refused(at: int, side: str, shift: int) -> None:
    checked = check_answer(SOURCE, changed(at, **{side: shift}))
    known = {cue.start_ms for cue in SOURCE} if side == "start" else {cue.end_ms for cue in SOURCE}
    value = (GOOD[at].start_ms if side == "start" else GOOD[at].end_ms) + shift
    assert checked.cues[at].verdict == "failed" or value in known
    if value not in known:
        assert f"{side}_not_in_source" in reasons(checked, at)
    assert not checked.ok


@given(st.data())
def test_rounded_times_are_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, 2))
    rounded = round(GOOD[at].start_ms, -3), round(GOOD[at].end_ms, -2)
    moved = changed(at, rounded[0] - GOOD[at].start_ms, rounded[1] - GOOD[at].end_ms)
    assert check_answer(SOURCE, moved).ok is (moved == GOOD)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Hello there, how are you today, my dear old friend?", "text_added"),
        ("Hello there.", "text_lost"),
        ("Bonjour, comment allez-vous?", "text_changed"),
        ("", "empty"),
    ],
)
def test_text_that_goes_beyond_mending_is_refused(text: str, code: str) -> None:
    checked = check_answer(SOURCE, changed(0, text=text))
    assert code in reasons(checked, 0)
    assert checked.cues[0].original == "hello their how are you today"
    assert [one.verdict for one in checked.cues[1:]] == ["ok", "ok"]


def test_too_long_unless_the_source_is() -> None:
    joined = [GOOD[0], Cue(1644500, 1663000, f"{GOOD[1].text} {GOOD[2].text}")]
    assert reasons(check_answer(SOURCE, joined), 1) == ["too_long"]
    alone = [Cue(0, 20_000, "One very long cue.")]
    assert check_answer(alone, alone).ok


def test_lost_doubled_and_moved_cues() -> None:
    lost = check_answer(SOURCE, [GOOD[0], GOOD[2]])
    assert lost.lost == [2, 3]
    assert not lost.ok
    twice = check_answer(SOURCE, [GOOD[0], GOOD[1], GOOD[1], GOOD[2]])
    assert "used_again" in reasons(twice, 2)
    moved = check_answer(SOURCE, [GOOD[1], GOOD[0], GOOD[2]])
    assert "out_of_order" in reasons(moved, 1)
    as_text = check_answer(SOURCE, to_srt([GOOD[1], GOOD[0], GOOD[2]]))
    assert "out_of_order" in reasons(as_text, 0)
    over = check_answer(SOURCE, [GOOD[0], Cue(1642100, 1646000, "how are you today I am fine."), *GOOD[2:]])
    assert "used_again" in reasons(over, 1)
    none = check_answer(SOURCE, [Cue(5, 6, "x")])
    assert none.cues[0].first is None
    assert none.lost == list(range(6))
    assert check_answer([], []).ok
    assert not check_answer([], GOOD).ok


def test_overlap_of_the_source_is_no_fault_of_the_answer() -> None:
    source = [Cue(0, 5000, "One is here."), Cue(4900, 9000, "Two is here.")]
    assert check_answer(source, source).ok
    invented = [Cue(0, 5000, "One is here."), Cue(4800, 9000, "Two is here.")]
    assert {"start_not_in_source", "overlap"} <= set(reasons(check_answer(source, invented), 1))


def test_a_cue_that_ends_at_a_comma_is_only_remarked() -> None:
    checked = check_answer(SOURCE, changed(1, text="I am fine. Thank you very much indeed,"))
    assert checked.ok
    assert [warning.code for warning in checked.cues[1].warnings] == ["ends_in_clause"]


def test_refused_cues_fall_back_to_the_rules_and_nothing_is_lost() -> None:
    checked = check_answer(SOURCE, changed(1, end=10))
    final = resolve(checked)
    assert [(c.start_ms, c.end_ms) for c in final] == [(c.start_ms, c.end_ms) for c in GOOD]
    assert final[1].text == "I am fine. Thank you very much indeed."
    assert [cue.index for cue in final] == [1, 2, 3]
    # A person may take what failed, and refuse what passed.
    forced = resolve(checked, {1})
    assert forced[1].end_ms == GOOD[1].end_ms + 10
    assert resolve(checked, set()) == merge(SOURCE)


@given(st.sets(st.integers(0, 3)))
def test_whatever_is_taken_every_source_cue_is_used_once(take: set[int]) -> None:
    checked = check_answer(
        SOURCE, [GOOD[0], GOOD[1], Cue(1646100, 1656000, "Thank you very much indeed. Now"), GOOD[2]]
    )
    final = resolve(checked, take)
    edges = [(cue.start_ms, cue.end_ms) for cue in final]
    assert edges[0][0] == SOURCE[0].start_ms
    assert edges[-1][1] == SOURCE[-1].end_ms
    assert all(end <= start for (_, end), (start, _) in pairwise(edges))
    assert sum(any(s <= c.start_ms < e for s, e in edges) for c in SOURCE) == len(SOURCE)


def test_rows_for_a_page() -> None:
    rows = side_by_side(check_answer(SOURCE, [changed(0, end=1)[0], GOOD[2]]))
    assert [(row["verdict"], row["source"], row["position"]) for row in rows] == [
        ("failed", [0, 1], 0), ("lost", [2], None), ("lost", [3], None), ("ok", [4, 5], 1)
    ]  # fmt: skip
    assert rows[0]["reasons"][0]["code"] == "end_not_in_source"
    assert "00:27:24,001" in rows[0]["reasons"][0]["message"]
    assert ("lost", "their") in rows[0]["diff"]
    assert rows[0]["original"][0]["text"] == "hello their"


def test_limits_can_be_chosen() -> None:
    strict = parse_options(CheckOptions, {"max_distance": 0.0})
    assert reasons(check_answer(SOURCE, GOOD, strict), 0) == ["text_changed"]


@given(st.text(max_size=300))
def test_any_pasted_text_can_be_judged(text: str) -> None:
    assert not check_answer(SOURCE, text).ok
    assert merge(SOURCE) == resolve(check_answer(SOURCE, text)) or "-->" in text


@pytest.mark.parametrize(
    "wrap",
    [
        "{}",
        "```srt\n{}```",
        "Sure! Here are the subtitles:\n\n```\n{}\n```\nLet me know --> anything else.",
        "<think>1\n00:00:00,000 --> 00:00:01,000\nno\n</think>\n{}",
        "Here you go:\n\n{}\nI hope that helps!\n",
        "~~~text\n{}",
        "```srt\n{}```\n```python\nprint()\n```",
    ],
)
def test_chatter_and_fences_are_put_aside(wrap: str) -> None:
    for answer in (wrap.format(to_srt(GOOD)), wrap.format(to_srt(GOOD)).replace("\n", "\r\n")):
        assert check_answer(SOURCE, answer).ok


def test_chatter_is_told() -> None:
    parsed = parse_answer(f"Here you go:\n\n{to_srt(GOOD)}\nI hope that helps!")
    assert [finding.code for finding in parsed.findings] == ["stray_text", "stray_text"]


def test_several_answers_pasted_together() -> None:
    both = f"Part one\n{to_srt(GOOD[:1])}\nPart two\n\n{to_srt(GOOD[1:])}"
    assert check_answer(SOURCE, both).ok
