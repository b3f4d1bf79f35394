"""A recording read once: every cue comes with its sound, every second is heard once, memory holds a few minutes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.audio.encode import write_audio
from core.cutting.chapters import CHAPTER_S, Chapter, Recording
from core.cutting.plan import HOP_SAMPLES, MARGIN_S
from core.errors import BadInput
from core.jobs.context import ForegroundContext
from core.settings import load_settings

RATE_HZ = 8000
SECONDS = 250


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording whose samples tell where they are: a slow ramp."""
    ramp = np.linspace(-0.9, 0.9, SECONDS * RATE_HZ, dtype=np.float32)
    return write_audio(tmp_path_factory.mktemp("chapters") / "ramp.wav", ramp, RATE_HZ)


def read(path: Path, times: list[tuple[float, float]]) -> tuple[Recording, list[Chapter]]:
    recording = Recording(path, np.array(times).reshape(-1, 2), 0.1)
    return recording, list(recording.chapters(ForegroundContext(load_settings(env={}))))


starts = st.lists(st.tuples(st.floats(0, SECONDS + 30), st.floats(0.1, 59.0)), max_size=12)


@given(starts)
@settings(max_examples=8)
def test_every_cue_has_its_sound_and_every_second_is_heard_once(counted: Path, cues: list[tuple[float, float]]) -> None:
    times = sorted((start, start + length) for start, length in cues)
    recording, chapters = read(counted, times)
    assert recording.duration_s == SECONDS
    assert [position for chapter in chapters for position in chapter.wanted] == list(range(len(times)))
    heard = 0.0
    for chapter in chapters:
        assert chapter.heard_s[0] == pytest.approx(heard)
        heard = chapter.heard_s[1]
        assert chapter.speech_from % HOP_SAMPLES == 0
        assert chapter.sound.size <= (3 * CHAPTER_S + 10) * RATE_HZ
        if chapter.sound.size:
            place = (chapter.sound[0] + 0.9) / 1.8 * SECONDS
            assert place == pytest.approx(chapter.sound_from / RATE_HZ, abs=0.02)
        for position in chapter.wanted:
            start, end = times[position]
            low, high = max(0.0, start - 0.1 - MARGIN_S), min(SECONDS, end + 0.1 + MARGIN_S)
            assert chapter.sound_from <= low * RATE_HZ + 1
            assert chapter.sound_from + chapter.sound.size >= high * RATE_HZ - 1
            if start < SECONDS:
                assert chapter.speech_from + chapter.speech.size >= high * 16000 - 2
    assert heard == pytest.approx(SECONDS)


def test_without_cues_the_whole_is_heard(counted: Path) -> None:
    _, chapters = read(counted, [])
    assert len(chapters) == -(-SECONDS // int(CHAPTER_S))
    assert chapters[-1].heard_s[1] == SECONDS


def test_unreadable(tmp_path: Path) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    with pytest.raises(BadInput):
        read(bad, [])
