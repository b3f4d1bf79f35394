"""The report is whole HTML, harmless whatever a clip is called, and needs nothing from outside."""

import re
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from core.quality.findings import Finding
from core.quality.report import MOST_ROWS, Report, render, write_report
from core.quality.set_figures import set_figures, set_findings
from core.quality.texts import said
from core.quality.thresholds import parse_thresholds
from tests.quality.test_set_figures import FIGURES, ONE

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
VOID = {"meta", "rect", "line", "br"}


class Tags(HTMLParser):
    """Every tag with its attributes; open ones must be closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag


def report(name: str = "clip.wav", language: str = "en", n_rows: int = 1) -> Report:
    limits = parse_thresholds("tts")
    whole = set_figures([ONE], {"h": 2, name: 1})
    findings = [*set_findings(whole, limits), Finding("one_source", "remark", [], 0.9, 0.9, 0.6, {"source": name})]
    result: dict[str, Any] = {
        "preset": "tts", "clips": 1, "accepted": 1, "review": 0, "rejected": 0, "not_measured": {"asr": name},
        "set": {**asdict(whole), "by_source": {name: 1.0}}, "thresholds": limits.model_dump(),
        "findings": [{**asdict(one), **asdict(said(one, language))} for one in findings],
    }  # fmt: skip
    row = {
        "name": name, "verdict": "review", "by_user": True, "figures": asdict(FIGURES),
        "findings": [
            {"code": "noisy", "figure": 3.0, "params": {}},
            {"code": "unreadable", "figure": None, "params": {"problem": name}},
        ],
    }  # fmt: skip
    return Report(name, language, result, [row] * n_rows)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", ["clip.wav", EVIL])
def test_a_clip_may_be_called_anything(name: str, language: str) -> None:
    page = render(report(name, language))
    tags = Tags()
    tags.feed(page)
    kinds = {tag for tag, _ in tags.seen}
    assert not kinds & {"script", "img", "iframe", "link", "object", "a"}
    for _, attributes in tags.seen:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "href")]
    assert page.count("alert(1)") == (page.count("&gt;alert(1)&lt;") if name == EVIL else 0)


def test_nothing_comes_from_outside() -> None:
    page = render(report())
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", page)
    assert "default-src 'none'" in page
    assert page.count("<svg") == 4


def test_long_tables_end_and_say_where_the_rest_is() -> None:
    page = render(report(n_rows=MOST_ROWS + 5))
    assert page.count("<td>clip.wav</td>") == MOST_ROWS
    assert "and 5 more, in quality.json" in page


def test_it_is_written_whole(tmp_path: Path) -> None:
    write_report(tmp_path / "new" / "r.html", report("声.wav", "zh"))
    assert "声.wav" in (tmp_path / "new" / "r.html").read_text("utf-8")


def test_headings_print_whole_and_with_their_table() -> None:
    html = render(report("x", "zh"))
    assert "<thead>" in html, "a table over two pages repeats its headings"
    assert "break-after:avoid" in html
    assert "th{white-space:nowrap}" in html, "words of a heading are not broken"
