"""The texts for a chat hold every cue once, at most as many as fit, with the rules and their lengths."""

from hypothesis import given
from hypothesis import strategies as st

from core.subtitles.cue import Cue
from core.subtitles.options import MergeOptions, parse_options
from core.subtitles.prompt import build_prompts, request, rules, windows

CUES = [Cue(at * 2000, at * 2000 + 1900, "It was so." if at % 4 == 3 else "and then we") for at in range(60)]


@given(st.integers(1, 3000), st.integers(0, 60))
def test_windows_hold_every_cue_once(most: int, count: int) -> None:
    parts = windows(CUES[:count], most)
    assert [cue for part in parts for cue in part.cues] == CUES[:count]
    at = 0
    for part in parts:
        assert part.cues
        assert part.context == CUES[max(0, at - 3) : at]
        at += len(part.cues)


def test_windows_end_with_a_sentence_and_stay_small() -> None:
    parts = windows(CUES, 600)
    assert len(parts) > 3
    assert all(part.cues[-1].text.endswith(".") for part in parts)
    assert max(len(part.cues) for part in parts) <= 600 / 34


def test_the_text_to_paste() -> None:
    (text,) = build_prompts(CUES[:8], parse_options(MergeOptions, {"limit_s": 14}))
    assert "never exceed 14 seconds" in text
    assert "00:00:14,000 --> 00:00:15,900" in text
    assert text.startswith(rules(parse_options(MergeOptions, {"limit_s": 14})))
    parts = build_prompts(CUES, most_tokens=800)
    assert len(parts) > 1
    assert "do not repeat it" in parts[1]
    assert "do not repeat it" not in parts[0]
    assert request(windows(CUES, 800)[0]).count("-->") == len(windows(CUES, 800)[0].cues)
