"""Original and cleaned cues side by side."""

from core.subtitles.check import check_answer, side_by_side
from core.subtitles.cue import Cue
from ui.cutting.review import PER_PAGE, review_html
from ui.texts import texts

SOURCE = [Cue(0, 1000, "the old <harbour>"), Cue(1000, 2000, "wakes"), Cue(3000, 4000, "she left")]


def test_differences_reasons_and_marks() -> None:
    answer = [Cue(0, 2000, "The old <harbour> wakes."), Cue(3100, 4000, "she left")]
    html = review_html(texts("en"), side_by_side(check_answer(SOURCE, answer)), 0)
    assert "3 cues become 2" in html
    assert "<ins>The</ins>" in html
    assert "<del>the</del>" in html
    assert "&lt;harbour&gt;" in html
    assert html.count(" checked") == 1, "what fails the check is not taken unless a person says so"
    assert "No cue of the source starts at" in html


def test_pages_and_the_empty_state() -> None:
    cues = [Cue(n * 1000, n * 1000 + 900, f"word {n}.") for n in range(60)]
    rows = side_by_side(check_answer(cues, cues))
    assert review_html(texts("en"), rows, 0).count("<tr data-verdict") == PER_PAGE
    assert review_html(texts("en"), rows, 99).count("<tr data-verdict") == 60 % PER_PAGE
    assert "Nothing to compare" in review_html(texts("en"), [], 0)
