"""The parts of the page Cutting that the server draws: nothing from a file becomes markup."""

import pytest

from core.cutting.sheet import Sheet
from ui.cue_view import MOST_FINDINGS, desk_html, feed_html, findings_html
from ui.texts import texts

EVIL = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_control_of_the_desk_is_there_and_named(lang: str) -> None:
    html = desk_html(texts(lang))
    for name in ("play", "split", "merge", "delete", "accept", "reject", "undo", "redo", "in", "out", "whole"):
        assert f'data-do="{name}"' in html
    for part in ("view", "overview", "regions", "cursor", "audio", "start", "end", "text", "list", "rows", "state"):
        assert f'data-desk="{part}"' in html
    assert html.count("<label") == 3


def test_the_feed_names_what_to_show() -> None:
    html = feed_html('a "b" 声', EVIL, 3, 7)
    assert 'data-voice="a &quot;b&quot; 声"' in html
    assert "<img" not in html
    assert 'data-origin="3"' in html
    assert 'data-cutting="7"' in html


def test_findings_are_listed_escaped_and_bounded() -> None:
    t = texts("en")
    assert findings_html(t, None) == findings_html(t, Sheet()) == ""
    many = [{"line": n, "code": "x", "message": EVIL} for n in range(MOST_FINDINGS + 5)]
    html = findings_html(t, Sheet(source=EVIL, findings=many))
    assert "<img" not in html
    assert html.count("<li>") == MOST_FINDINGS + 1
    assert "and 5 more" in html
    assert " open>" in html, "with no cues at all the reasons are what one needs"
