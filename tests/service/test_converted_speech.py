"""A trained voice speaks by itself: streamed sentence by sentence, kept loaded, chosen before a clone of its clips."""

from pathlib import Path

import numpy as np
import pytest

from core.dataset.voices import VoiceStore
from core.errors import BadInput
from core.service.speech import SpeechService
from core.settings import Settings, load_settings
from core.speech.chunk import joined
from core.speech.request import SpeechRequest
from tests.training.material import export_random, register_encoder

pytest.importorskip("espeakng_loader")
TEXT = "The harbour wakes before the sun. Boats slip out past the wall."


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    made = load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})
    export_random(VoiceStore(made.voices_dir).create("歌手"))
    return made


def request(**more: object) -> SpeechRequest:
    return SpeechRequest(**{"text": TEXT, "voice": "歌手", "options": {"seed": 3, "pause_ms": 100}, **more})  # type: ignore[arg-type]


def test_sentences_come_one_by_one_in_the_voices_own_rate(settings: Settings) -> None:
    service = SpeechService(settings)
    with service.open(request()) as session:
        assert session.sample_rate_hz == 44100
        chunks = list(session.stream(TEXT))
    assert [chunk.sentence for chunk in chunks if chunk.index in (0, len(chunks) - 1)] == [0, 1]
    assert chunks[-1].final
    audio = joined(chunks)
    assert np.isfinite(audio).all()
    assert 2.0 < audio.size / 44100 < 12.0
    assert np.abs(audio).max() > 1e-4
    with service.open(request(engine="builtin", voice=None)) as plain:
        assert plain.sample_rate_hz != 44100, "without a voice it is espeak-ng as it is"


def test_the_model_is_loaded_once_and_again_when_it_changed(settings: Settings) -> None:
    service = SpeechService(settings)
    with service.open(request()) as first, service.open(request(engine="builtin")) as second:
        assert first._tools is second._tools  # type: ignore[attr-defined]
        tools = first._tools  # type: ignore[attr-defined]
    export_random(VoiceStore(settings.voices_dir).get("歌手"))
    with service.open(request()) as third:
        assert third._tools is not tools  # type: ignore[attr-defined]


def test_a_voice_without_a_model_is_not_imitated_by_espeak(settings: Settings) -> None:
    VoiceStore(settings.voices_dir).create("nobody yet")
    with pytest.raises(BadInput), SpeechService(settings).open(request(voice="nobody yet")):
        pass
