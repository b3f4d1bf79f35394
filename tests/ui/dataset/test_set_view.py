"""The set in figures says which notes and sounds it holds and how even it is; what is not known takes no line."""

from dataclasses import asdict

from core.quality.figures import ClipFigures
from core.quality.set_figures import Member, set_figures
from ui.dataset.set_view import notes_svg, set_html
from ui.texts import texts


def member(source: str, text: str, **figures: float) -> Member:
    made = ClipFigures(6.0, -20.0, -1.0, 40.0, 0.0, 9000.0, 5.9, notes={57: 2.0, 58: 1.0, 60: 3.0})
    return Member(source, text, "", True, made, "en")


WHOLE = asdict(
    set_figures([member("a<b>.wav", "Hello"), member("a<b>.wav", "you"), member("c.wav", "")], {"h": 2, "oʊ": 1})
)


def test_every_figure_has_its_line() -> None:
    html = set_html(texts("en"), WHOLE)
    for words in ("A3 to C4, 3 semitones.", "Missing in between: B3.", "latin 6", "phonemes):</b> 2", "en 3",
                  "a&lt;b&gt;.wav 67 %, c.wav 33 %", "0 under 3 s, 3 of 3 to 10 s", "-20.0 … -20.0 LUFS",
                  "40 dB in the middle"):  # fmt: skip
        assert words in html, words
    assert "Voiced time by note" in html
    assert "半音" in set_html(texts("zh"), WHOLE)


def test_what_is_not_known_takes_no_line() -> None:
    assert set_html(texts("en"), {"accepted": 0}) == ""
    bare = set_html(texts("en"), {"accepted": 2, "accepted_minutes": 1.0, "by_source": {"a.wav": 1.0}})
    assert bare.count("<li>") == 1
    assert "<svg" not in bare


def test_a_bar_for_every_note() -> None:
    svg = notes_svg({57: 2.0, 60: 1.0}, "notes")
    assert svg.count("<rect") == 2
    assert "A3: 2.0 s" in svg
    assert 'height="38.0"' in svg
