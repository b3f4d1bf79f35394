"""The band below the waveform: minutes that fit together, of the file as it is now."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.cutting.speech import FRAME_S
from core.cutting.speech_block import speech_block
from core.errors import BadInput
from tests.cutting.conftest import RATE_HZ, Talk


def test_speech_is_shown_where_it_is(talk: Talk, tmp_path: Path) -> None:
    shown = np.frombuffer(speech_block(talk.audio, 0, tmp_path), np.uint8) / 255.0
    assert shown.size == pytest.approx(talk.samples.size / RATE_HZ / FRAME_S, abs=1)
    inside = np.zeros(shown.size, np.bool_)
    for start, end in talk.truth:
        inside[round(start / FRAME_S) : round(end / FRAME_S)] = True
    assert shown[inside].mean() > 0.85
    assert shown[~inside].mean() < 0.25
    assert speech_block(talk.audio, 5, tmp_path) == b""


def test_minutes_fit_together_and_a_changed_file_is_heard_again(
    talk: Talk, tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    longer = np.tile(talk.samples, 4)
    path = write_wav(tmp_path / "long.wav", longer, RATE_HZ)
    blocks = [speech_block(path, at, tmp_path / "cache") for at in range(2)]
    assert [len(block) for block in blocks] == [1875, 1875]
    again = np.frombuffer(b"".join(blocks), np.uint8) / 255.0
    at = round(60.0 / FRAME_S)
    assert again[at : at + 200].max() > 0.5
    write_wav(path, np.zeros(RATE_HZ, np.float32), RATE_HZ)
    assert max(speech_block(path, 0, tmp_path / "cache")) < 60
    with pytest.raises(BadInput, match="no longer there"):
        speech_block(tmp_path / "none.wav", 0, tmp_path / "cache")
