"""What a cutting did, as the page tells it."""

from pathlib import Path
from typing import Any

from ui.cutting.cut import PER_PAGE, banner_html, summary_html, table_html
from ui.texts import texts

T = texts("en")


def report(n: int = 3, **changes: Any) -> dict[str, Any]:
    cues = [
        {
            "position": at, "index": at + 1, "cue_start_s": at * 1.0, "cue_end_s": at + 0.9, "start_s": at + 0.05,
            "end_s": at + 1.0, "source": "vad", "shift_start_ms": 50, "shift_end_ms": 100, "level_db": -20.5,
            "text": f"<b>{at}", "audio": f"/w/{at}.wav", "warnings": [],
        }
        for at in range(n)
    ]  # fmt: skip
    shares = {"share_below_3_s": 1.0, "share_3_to_10_s": 0.0, "share_above_10_s": 0.0,
              "histogram": [{"from_s": 0, "to_s": 1, "count": n}, {"from_s": 1, "to_s": None, "count": 0}]}
    return {"cues": cues, "summary": shares, "warnings": [], "correction": None,
            "result": {"clips": n, "minutes": 1.5, "not_cut": 0, "by_subtitle": 0}, **changes}


def test_every_cue_has_its_row_and_can_be_heard() -> None:
    html = table_html(T, report(3), 0, "all")
    assert html.count("<tr data-position") == 3
    assert "+50 / +100" in html
    assert "0:01.050 – 0:02.000" in html
    assert html.count("data-hear=") == 3
    assert "&lt;b&gt;0" in html
    many = table_html(T, report(2000), 3, "all")
    assert many.count("<tr data-position") == PER_PAGE
    assert f"{3 * PER_PAGE + 1}–{4 * PER_PAGE} of 2000" in many


def test_what_was_not_cut_is_told_and_not_played() -> None:
    made = report(2)
    made["cues"][1] |= {"audio": None, "warnings": ["It has no length: <not> cut."], "level_db": None}
    html = table_html(T, made, 0, "marked")
    assert html.count("<tr data-position") == 1
    assert "data-hear" not in html
    assert "&lt;not&gt; cut" in html


def test_an_offset_is_offered_to_be_corrected_once() -> None:
    found = {"offset_s": -0.42, "drift": 1.0008, "confidence": 0.9, "applied": False}
    html = banner_html(T, report(correction=found))
    assert "0.42 s late" in html
    assert "+2.9 s an hour" in html
    assert 'data-act="correct"' in html
    assert banner_html(T, report(correction={**found, "applied": True})) == ""
    assert "0.42 s early" in banner_html(T, report(correction={**found, "offset_s": 0.42}))
    assert banner_html(T, report()) == banner_html(T, None) == ""


def test_summary_and_its_empty_state(tmp_path: Path) -> None:
    html = summary_html(T, report(3, warnings=["The file <is> cut off."]))
    assert "<b>3</b><span>clips" in html
    assert "100%" in html
    assert "&lt;is&gt;" in html
    assert "cleaned copy" not in html
    more = report(3, audio="/v/raw_audio/a.wav", cut_from="/v/denoised_audio/a/2.flac")
    more["result"] |= {"list": "/v/gpt_<sovits>.list", "sovits": None}
    html = summary_html(T, more)
    assert "cleaned copy" in html
    assert "/v/gpt_&lt;sovits&gt;.list" in html
    assert "Not cut yet" in summary_html(T, None)
    assert table_html(T, None, 0, "all") == ""
