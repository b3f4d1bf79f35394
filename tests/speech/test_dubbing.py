"""Lines at their times, and speech said faster."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import BadInput
from core.speech.dubbing import Line, lines_of, placed
from core.speech.stretch import faster

RATE_HZ = 16000


def tone(seconds: float, hz: float = 220.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


@pytest.mark.parametrize("speed", [1.1, 1.3, 2.0])
def test_faster_keeps_pitch_and_level(speed: float) -> None:
    audio = tone(2.0)
    out = faster(audio, speed, RATE_HZ)
    assert out.dtype == np.float32
    assert out.size == pytest.approx(audio.size / speed, rel=0.03)
    middle = out[RATE_HZ // 4 : RATE_HZ // 4 + 8000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    assert spectrum.argmax() * RATE_HZ / middle.size == pytest.approx(220, abs=3)
    assert middle.std() == pytest.approx(audio.std(), rel=0.05)


def test_faster_leaves_alone_what_it_should() -> None:
    audio = tone(1.0)
    assert faster(audio, 1.0, RATE_HZ) is audio
    assert faster(audio[:100], 1.5, RATE_HZ).size == 100
    with pytest.raises(ValueError, match="speed"):
        faster(audio, 0.5, RATE_HZ)


def test_lines_start_in_time_and_are_sped_up_where_they_must() -> None:
    lines = [Line("a", 500, 1500), Line("b", 2000, 3000), Line("c", 3100, 4000)]
    notes: list[str] = []
    out = placed(lines, [tone(1.4), tone(1.2), tone(0.5)], RATE_HZ, 1.3, notes)
    assert notes == []
    assert not out[:8000].any()
    assert out[8000:9000].any()
    assert out[32000:33000].any()
    assert not out[31000:32000].any(), "the first line ends before the second starts"
    assert out.size == 49600 + 8000


def test_a_line_that_does_not_fit_makes_the_next_late_and_says_so() -> None:
    notes: list[str] = []
    out = placed([Line("a", 0, 1000), Line("b", 1000, 2000)], [tone(3.0), tone(0.5)], RATE_HZ, 1.2, notes)
    assert len(notes) == 1
    assert notes[0].startswith("Cue 2 starts 1.")
    assert out.size == pytest.approx(3.0 / 1.2 * RATE_HZ + 8000, rel=0.03)


def test_cues_with_something_to_say(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello.\n\n2\n00:00:03,000 --> 00:00:04,000\n♪♪\n\n", "utf-8")
    assert lines_of(str(path)) == [Line("Hello.", 1000, 2000)]
    path.write_text("1\n00:00:03,000 --> 00:00:04,000\n…\n\n", "utf-8")
    with pytest.raises(BadInput, match="nothing to say"):
        lines_of(str(path))
