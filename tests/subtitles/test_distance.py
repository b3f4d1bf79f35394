"""Edit distance against its definition; differences that together are the texts."""

from hypothesis import given
from hypothesis import strategies as st

from core.subtitles.distance import bare, diff, edit_distance, longest_runs, normalised_distance, tokens, weight

short = st.text("abc好", max_size=9)


def table(left: str, right: str) -> int:
    """Levenshtein as everyone writes it."""
    row = list(range(len(right) + 1))
    for at, char in enumerate(left, start=1):
        before, row[0] = row[0], at
        for to, other in enumerate(right, start=1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (char != other))
    return row[-1]


@given(short, short)
def test_bit_parallel_is_levenshtein(left: str, right: str) -> None:
    assert edit_distance(left, right) == table(left, right)


@given(st.text(max_size=60), st.text(max_size=60))
def test_normalised(left: str, right: str) -> None:
    assert 0 <= normalised_distance(left, right) <= 1
    assert normalised_distance(left, left) == 0


def test_what_mending_may_change_is_free() -> None:
    assert normalised_distance("hello WORLD how are you", "Hello, world! How are you?") == 0
    assert normalised_distance("ＡＢＣ 你好,世界", "abc，你好。世界") == 0
    assert bare(" ,.!") == ""


def test_runs() -> None:
    added, lost = longest_runs("the boat left the harbour", "the boat of my dear old father left")
    assert added == "of my dear old father"
    assert lost == "the harbour"
    assert longest_runs("I met there brother", "I met their brother!") == ("", "")
    assert longest_runs("今天很好", "今天天气非常好")[0] == "天气非常"
    assert weight(["two", "words"]) == 8
    assert weight(["天", "气"]) == 6


@given(st.text("ab好。 ,", max_size=30), st.text("ab好。 ,", max_size=30))
def test_pieces_are_the_texts(left: str, right: str) -> None:
    pieces = diff(left, right)
    assert "".join(text for kind, text in pieces if kind != "added") == left
    assert "".join(text for kind, text in pieces if kind != "lost") == right
    assert "".join(tokens(left)) == left
