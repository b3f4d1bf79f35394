"""The table of clips: pages, choices, verdicts in bulk."""

from core.dataset.clips import Clip
from ui.clip_view import PER_PAGE, View, clip_table, filtered, summary_html
from ui.texts import texts


def clip(number: int, verdict: str = "accepted", text: str = "") -> Clip:
    place = (f"c{number}", f"sliced_audio/c{number}.wav", "a.wav", float(number), number + 2.0, 2.0)
    return Clip(*place, -20.0, -3.0, 40.0, 0.0, f"{number:064x}", text=text, verdict=verdict,  # type: ignore[arg-type]
                reasons=["noisy"])


def test_two_thousand_clips_are_shown_by_the_page() -> None:
    clips = [clip(n) for n in range(2000)]
    first = clip_table(texts("en"), clips, View())
    assert first.count("<tr data-id") == PER_PAGE
    assert len(first) < 100_000
    assert 'data-id="c0"' in first
    assert f"1–{PER_PAGE} of 2000" in first
    last = clip_table(texts("en"), clips, View(page=10**6))
    assert 'data-id="c1999"' in last
    assert clip_table(texts("en"), clips[:5], View()).count("data-page-to") == 0


def test_choices_and_bulk_verdicts() -> None:
    clips = [clip(1), clip(2, "review", "a <b>"), clip(3, "rejected")]
    assert [c.id for c in filtered(clips, "review", ())] == ["c2"]
    assert [c.id for c in filtered(clips, "finding", {"c1", "c3"})] == ["c1", "c3"]
    html = clip_table(texts("en"), clips, View("finding", 0, frozenset({"c3"}), "Noise <i>", undo=1))
    assert html.count("<tr data-id") == 1
    assert "Noise &lt;i&gt; 1" in html
    assert "Reject all 1" in html
    assert 'data-act="undo">' in html
    assert 'data-act="redo" disabled>' in html
    assert "a &lt;b&gt;" in clip_table(texts("en"), clips, View())
    assert "noisy" in clip_table(texts("en"), clips, View())


def test_no_clips_says_what_to_do() -> None:
    assert "Add recordings" in clip_table(texts("en"), [], View())
    assert summary_html(texts("en"), []) == ""
