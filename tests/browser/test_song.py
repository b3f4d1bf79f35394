"""What a trained voice is for, beside Convert: a song at the mixing desk, a text spoken, the microphone live."""

import json
from pathlib import Path
from typing import Any

import pytest
import soundfile

from core.audio.encode import write_audio
from core.dataset.voices import VoiceStore
from core.engines.sovits.config import save_config
from core.engines.sovits.export import export_model
from core.engines.sovits.model import build_generator
from core.engines.sovits.presets import preset
from core.features import encoders
from core.settings import load_settings
from tests.browser.conftest import Served, open_page
from tests.song.test_mix import RATE_HZ, band
from tests.training.material import sung_vowel


@pytest.fixture(scope="module")
def voice(studio: Served) -> str:
    """A voice with a lite model of random weights and the real built-in encoder."""
    settings = load_settings({"workspace": studio.workspace}, env={})
    encoder = encoders.create("builtin", "cpu", settings)
    config = preset("lite", encoder="builtin", encoder_dim=encoder.dim, speakers=["a"])
    made = VoiceStore(settings.voices_dir).create("小雨")
    save_config(config, made.path / "config.json")
    card = {"voice": made.name, "encoder": "builtin", "encoder_fingerprint": encoder.fingerprint, "f0_median": 220.0}
    card |= {"preset": "lite", "step": 1, "run": "random", "created": 1.0}
    export_model(made.models / "random", build_generator(config), made.path / "config.json", card)
    return made.name


@pytest.mark.usefixtures("voice")
def test_stems_become_a_song_that_is_heard_part_by_part(page: Any, studio: Served, tmp_path: Path) -> None:
    vocals = write_audio(tmp_path / "vocals.wav", sung_vowel(1.5), RATE_HZ)
    rest = write_audio(tmp_path / "band.wav", band(1.5), RATE_HZ)
    open_page(page, studio.url, "song")
    page.click("#song-kind label:nth-of-type(2)")
    for name, file in (("vocals", vocals), ("accompaniment", rest)):
        page.set_input_files(f"#song-{name} input[type=file]", file)
        page.wait_for_selector(f"#song-{name}-player .ts-wave")
    page.click("#make-song")
    page.wait_for_selector("#song-result .ts-player")
    assert page.locator("#song-result [data-source]").count() == 4
    assert page.locator("#song-result .ts-levels svg").count() >= 1
    page.click("#song-result [data-name='1']")
    page.wait_for_function("() => document.querySelector('#song-result audio').duration > 1")
    assert list(studio.workspace.glob("outputs/*_song.wav.json"))


def test_a_text_is_spoken_through_the_voices_model(page: Any, studio: Served, voice: str) -> None:
    """Built-in speech, "The chosen voice": espeak-ng says it, the converter gives it the voice, at the model's rate."""
    open_page(page, studio.url, "speech")
    page.wait_for_function("() => document.querySelector('#voice input').value !== ''")
    page.fill("#speech-engine input", "Built-in")
    page.keyboard.press("Enter")
    page.click("#speech-whose >> text=The chosen voice")
    page.wait_for_selector("#speech-verdict .ts-muted")
    page.fill("#speech-text textarea", "Good morning.")
    page.click("#speak")
    page.wait_for_selector("#takes [data-take]")
    take = page.get_attribute("#takes [data-take]", "data-take")
    kept = studio.workspace / "outputs" / "speech" / take
    about = json.loads((kept / "take.json").read_text("utf-8"))
    assert (about["engine"], about["voice"]) == ("builtin", voice)
    samples, rate_hz = soundfile.read(kept / "take.wav")
    assert rate_hz == 44100, "espeak-ng itself speaks at another rate"
    assert samples.size > 0.3 * rate_hz
    assert abs(samples).max() > 1e-4
    page.wait_for_function("size => TS.speech.last.received === size", arg=samples.size)


@pytest.mark.usefixtures("voice")
def test_the_microphone_comes_back_in_another_voice(page: Any, studio: Served) -> None:
    """Chromium's made-up microphone beeps; what comes back is played, and its figures are shown."""
    open_page(page, studio.url, "live")
    page.wait_for_function("() => document.querySelector('#voice input').value !== ''")
    page.evaluate("""() => {
      TS.played = 0;
      const push = MessagePort.prototype.postMessage;
      MessagePort.prototype.postMessage = function (data, ...more) {
        if (data.sound) TS.played += data.sound.reduce((sum, x) => sum + Math.abs(x), 0);
        return push.call(this, data, ...more);
      };
    }""")
    page.click("#live-expert button >> nth=0")
    page.fill("#live-crossfade input[type=number]", "80")
    page.click("#live-start")
    page.wait_for_function("() => document.querySelector('#live-told').dataset.state === 'live_running'")
    page.wait_for_function("() => TS.played > 1")
    assert "ms behind" in page.inner_text("#live-told")
    page.click("#live-stop")
    page.wait_for_function("() => document.querySelector('#live-told').dataset.state === 'live_stopped'")
