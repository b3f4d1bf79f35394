"""The best clip of a voice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.dataset.clips import Clip, ClipTable
from core.dataset.voices import VoiceStore
from core.errors import BadInput
from core.speech.voice_prompt import best_clip, rank

CLIP = Clip("a", "sliced_audio/a.wav", "r.wav", 0, 8, 8.0, -20, -3, 35.0, 0.0, "0" * 64, text="Hello there.")


def test_rank() -> None:
    clips = [
        replace(CLIP, id="noisy", snr_db=10.0),
        replace(CLIP, id="short", duration_s=1.0),
        replace(CLIP, id="clipped", clipped_fraction=0.01),
        replace(CLIP, id="rejected", verdict="rejected"),
        replace(CLIP, id="silent words", text=""),
        replace(CLIP, id="longer", duration_s=12.0),
        CLIP,
    ]
    assert [clip.id for clip in rank(clips)] == ["a", "longer", "clipped", "noisy"]
    assert rank(clips, with_text=False)[0].id == "silent words"


def test_best_clip(workspace: Path, write_wav: Callable[[Path, np.ndarray, int], Path]) -> None:
    voice = VoiceStore(workspace).create("Anna")
    with pytest.raises(BadInput, match="no accepted clip"):
        best_clip(voice)
    ClipTable(voice).save([CLIP, replace(CLIP, id="b", audio="sliced_audio/b.wav", snr_db=30.0)])
    path = write_wav(voice.sliced / "b.wav", np.ones(10), 16000)
    assert best_clip(voice) == (path, "Hello there."), "the best one's file is gone"
    ClipTable(voice).save([replace(CLIP, text="")])
    with pytest.raises(BadInput, match="no transcripts"):
        best_clip(voice)
