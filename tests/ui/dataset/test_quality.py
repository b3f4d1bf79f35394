"""What the quality gate found, as the page tells it; its form asks for every threshold."""

from core.quality.thresholds import Thresholds, parse_thresholds
from ui.dataset.quality import LIMITS, OFF_AT_ZERO, changed, findings_html
from ui.texts import texts

RESULT = {"set": {"accepted_minutes": 3.25, "low_note": "A2", "high_note": "E4"}, "accepted": 4, "review": 1,
          "rejected": 2, "not_measured": {"text_differs": "<none>"}}  # fmt: skip


def test_every_number_of_the_gate_can_be_changed() -> None:
    by_hand = {"need_text", "speech_rates"}  # a switch of the preset, and a table
    assert {name for name, _ in LIMITS} == set(Thresholds.model_fields) - by_hand


def test_fields_left_alone_change_nothing_and_zero_means_off() -> None:
    for preset in ("svc", "tts"):
        limits = parse_thresholds(preset).model_dump()
        shown = {name: limits[name] or 0 for name, _ in LIMITS}
        assert changed(limits, shown) == {}
        off = changed(limits, {**shown, **dict.fromkeys(OFF_AT_ZERO, 0)})
        assert set(off.values()) <= {None}
        parse_thresholds(preset, {**off, "snr_review_db": 30.0})


def test_findings_say_why_and_what_to_do() -> None:
    one = {"code": "noisy", "severity": "reject", "clips": ["a", "b"], "title": "Noise", "why": "It is <learnt>.",
           "advice": "Record again.", "figures": "4 dB"}  # fmt: skip
    html = findings_html(texts("en"), "a voice&", RESULT, [one])
    for words in ("Noise", "It is &lt;learnt&gt;.", "Record again.", "4 dB", "Show 2", "A2–E4", "&lt;none&gt;"):
        assert words in html
    assert "voice=a+voice%26" in html
    assert 'data-act="judge" data-verdict="rejected" data-code="noisy" data-severity="reject"' in html
    assert "Not checked yet" in findings_html(texts("en"), "v", None, [])
    assert "Nothing to remark on" in findings_html(texts("en"), "v", RESULT, [])
