"""What the doors ask of speech beside sound: what can speak here, whether a clip and a request are good."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadInput, NotFound, Unavailable
from core.settings import load_settings
from core.speech.desk import ModelChoice, SpeechDesk
from core.speech.request import SpeechRequest
from core.studio import Studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    settings = {"workspace": str(tmp_path / "ws"), "pretrain_dir": str(tmp_path / "pretrain")}
    made = Studio(load_settings(settings, env={}))
    yield made
    made.close()


@pytest.fixture
def desk(studio: Studio) -> SpeechDesk:
    assert studio.speech is studio.speech, "one for all: it holds the loaded models"
    return studio.speech


def test_models_that_are_here(studio: Studio, desk: SpeechDesk, tmp_path: Path) -> None:
    assert desk.models() == []
    folder = tmp_path / "pretrain" / "voxcpm" / "voxcpm1.5"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "audiovae.pth", "tokenizer.json"):
        (folder / name).write_text("x")
    voice = studio.create_voice("ann")
    for name, card in (("tuned", {"engine": "voxcpm"}), ("sings", {"engine": "sovits"}), ("odd", [1])):
        (voice.models / name).mkdir(parents=True)
        (voice.models / name / "card.json").write_text(json.dumps(card), encoding="utf-8")
    assert desk.models() == [ModelChoice("voxcpm", "voxcpm1.5"), ModelChoice("voxcpm", "tuned", "ann")]


def test_the_folder_that_settings_name_speaks_too(tmp_path: Path) -> None:
    settings = load_settings({"workspace": str(tmp_path), "speech_model": f"cosyvoice2:{tmp_path / 'mine'}"}, env={})
    assert Studio(settings).speech.models()[0] == ModelChoice("cosyvoice2", "mine")


def test_a_clip_is_judged(desk: SpeechDesk, tmp_path: Path, speech: Path) -> None:
    verdict = desk.examine(speech, " its words ")
    assert verdict.seconds > 3
    assert verdict.text == "its words"
    import soundfile

    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(48000, np.float32), 16000)
    with pytest.raises(BadInput, match="silent"):
        desk.examine(silent)
    with pytest.raises(NotFound):
        desk.best_clip("nobody")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"text": "  "}, BadInput),
        ({"text": "hello", "engine": "voxcpm"}, Unavailable),
        ({"text": "hello", "engine": "parrot"}, BadInput),
        ({"text": "hello", "voice": "nobody"}, NotFound),
        ({"text": "hello", "prompt_audio": Path("/no/such.wav")}, BadInput),
        ({"text": "hello", "engine": "builtin", "options": {"speed": 99.0}}, BadInput),
        ({"text": "hello", "engine": "builtin", "options": {"language": "klingon"}}, BadInput),
    ],
)
def test_a_request_is_refused_before_anything_is_loaded(
    desk: SpeechDesk, change: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        desk.checked(SpeechRequest(**change))  # type: ignore[arg-type]


def test_a_checked_request_says_what_speaks(desk: SpeechDesk) -> None:
    checked = desk.checked(SpeechRequest(text="hello", options={"speed": 1.2}))
    assert (checked.engine, checked.model, checked.options) == ("builtin", "", {"speed": 1.2})


def test_words_of_a_clip_need_a_recogniser(desk: SpeechDesk, speech: Path) -> None:
    with pytest.raises(Unavailable):
        desk.transcribe(speech)
