"""The best clip of a voice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.dataset.clips import Clip, ClipTable
from core.dataset.voices import VoiceStore
from core.errors import BadInput
from core.speech.voice_prompt import best_clip, clear_reference, rank, set_reference

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


def test_a_chosen_reference_comes_first(workspace: Path, speech: Path, tmp_path: Path) -> None:
    voice = VoiceStore(workspace).create("Anna")
    source = tmp_path / "me.WAV"
    source.write_bytes(speech.read_bytes())
    kept = set_reference(voice, source, " My own words. ")
    source.unlink()
    assert best_clip(voice) == (kept, "My own words.")
    set_reference(voice, speech, "")
    assert best_clip(voice, with_text=False)[1] == ""
    with pytest.raises(BadInput, match="no accepted clip"):
        best_clip(voice)  # its words are needed, and nobody knows them
    set_reference(voice, speech, "Words.")
    assert best_clip(voice)[1] == "Words."
    clear_reference(voice)
    with pytest.raises(BadInput):
        best_clip(voice, with_text=False)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"clip": "../../x", "text": ""}', '{"clip": 3}', "nonsense"])
def test_an_odd_note_of_the_reference_is_none(workspace: Path, text: str) -> None:
    voice = VoiceStore(workspace).create("Anna")
    (voice.path / "prompts").mkdir()
    (voice.path / "prompts" / "reference.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="no accepted clip"):
        best_clip(voice)
