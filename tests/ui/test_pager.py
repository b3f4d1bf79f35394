"""Turning pages."""

from ui.pager import pager_html
from ui.texts import texts


def test_buttons_lead_to_pages_that_exist() -> None:
    assert pager_html(texts("en"), 0, 50, 50) == ""
    first = pager_html(texts("en"), 0, 120, 50)
    assert "1–50 of 120" in first
    assert 'data-page-to="-1" disabled' in first
    assert 'data-page-to="1">' in first
    last = pager_html(texts("en"), 2, 120, 50)
    assert "101–120 of 120" in last
    assert 'data-page-to="3" disabled' in last
