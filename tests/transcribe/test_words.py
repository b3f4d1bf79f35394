"""Words with times become cues of whole sentences."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.transcribe.words import Word, cues_of

texts = st.sampled_from([" so", " we", " went.", " Then,", " Dr.", " Smith", "今天", "好。", " ", " why?", " and"])


@st.composite
def heard(draw: st.DrawFn) -> list[Word]:
    """Words as recognisers give them: now and then of no length, or before the end of the last."""
    words, at = [], 0.0
    for _ in range(draw(st.integers(0, 40))):
        at = max(0.0, at + draw(st.sampled_from([0.0, 0.0, -0.02, 0.1, 0.7, 3.0])))
        length = draw(st.sampled_from([0.0, 0.2, 0.35, 1.0]))
        words.append(Word(draw(texts), at, at + length))
        at += length
    return words


def say(*lines: tuple[float, float, str]) -> list[tuple[int, int, str]]:
    cues = cues_of([Word(text, start, end) for start, end, text in lines])
    return [(cue.start_ms, cue.end_ms, cue.text) for cue in cues]


@given(heard())
def test_rules_that_always_hold(words: list[Word]) -> None:
    cues = cues_of(words)
    said = "".join(word.text for word in words)
    assert "".join("".join(cue.text for cue in cues).split()) == "".join(said.split())
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    for cue in cues:
        assert 0 <= cue.start_ms < cue.end_ms
        assert cue.duration_ms <= 15_000
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(cues))


def test_one_cue_a_sentence_with_the_words_own_times() -> None:
    cues = say(
        (0.12, 0.5, " I"),
        (0.5, 0.9, " met"),
        (0.9, 1.1, " Dr."),
        (1.1, 1.5, " Smith."),
        (1.6, 2.0, " He"),
        (2.0, 2.4, " left."),
    )
    assert cues == [(120, 1500, "I met Dr. Smith."), (1600, 2400, "He left.")]


def test_pauses_end_sentences_without_marks_only() -> None:
    plain = [(at * 0.3, at * 0.3 + 0.3, f" w{at}") for at in range(10)]
    later = [(start + 3.8, end + 3.8, text) for start, end, text in plain]
    assert len(say(*plain, *later)) == 2
    marked = [
        *plain[:5],
        (1.5, 1.8, " end."),
        (1.9, 2.2, " We"),
        (3.0, 3.3, " go."),
        (3.4, 3.6, " So."),
        (3.7, 3.9, " Yes."),
    ]
    assert [text for _, _, text in say(*marked)][1] == "We go."


def test_a_sentence_too_long_is_cut_at_a_clause() -> None:
    words = [(at * 1.0, at * 1.0 + 0.9, f" w{at}," if at == 9 else f" w{at}") for at in range(20)]
    words[-1] = (19.0, 19.9, " end.")
    cues = say(*words)
    assert len(cues) == 2
    assert cues[0][2].endswith("w9,")


def test_chinese_has_no_spaces() -> None:
    assert say((0, 1, "今"), (1, 2, "天"), (2, 3, "好。"), (3, 4, "走。")) == [
        (0, 3000, "今天好。"),
        (3000, 4000, "走。"),
    ]
