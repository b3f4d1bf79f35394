"""Text that arrives in chunks."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engines.cosyvoice2.text import normalised, pieces

TEXTS = st.text(alphabet="ab 1.,!今天。，(\n", max_size=90)


@given(TEXTS, st.data())
def test_pieces_do_not_depend_on_chunks_and_nothing_is_lost(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    edges = [0, *cuts, len(text)]
    chunks = [text[a:b] for a, b in itertools.pairwise(edges)]
    found = list(pieces(chunks))
    assert "".join(found) == text
    assert found == list(pieces([text]))
    assert all(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs 3.14, or 1,000.", ["It", " costs", " 3.14,", " or", " 1,000."]),
        ("你好，世界。", ["你好，", "世界。"]),
        ("今天天气很好适合出去散步", ["今天天气很好适合", "出去散步"]),
        ("3 4 five", ["3 4 five"]),
    ],
)
def test_where_pieces_end(text: str, expected: list[str]) -> None:
    assert list(pieces(iter(text))) == expected


def test_words_are_handed_on_as_they_come() -> None:
    arrived = []

    def chunks():  # type: ignore[no-untyped-def]
        for chunk in ("Good mor", "ning to", " you"):
            arrived.append(chunk)
            yield chunk

    stream = pieces(chunks())
    assert next(stream) == "Good"
    assert next(stream) == " morning"
    assert len(arrived) == 2


def test_normalising_keeps_the_spaces_around() -> None:
    assert normalised("  ") == "  "
    assert normalised(" plain words ") == " plain words "
    assert normalised(" 3 ").strip() in ("3", "three")
    assert normalised(" 3 ")[0] == normalised(" 3 ")[-1] == " "
