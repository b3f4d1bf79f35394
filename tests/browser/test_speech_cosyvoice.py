"""The Speech page in real Chromium, with a tiny CosyVoice2: a voice is stored as a speaker and spoken with, a scene
sets the blocks and says what one waits."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, chromium: str, do: Any, speech: Path) -> Iterator[Any]:
    """A studio whose speech model is a tiny CosyVoice2, and whose voice Ann has a reference."""
    from core.settings import load_settings
    from core.studio import Studio
    from tests.engines.cosyvoice2 import tiny_folder

    model = tiny_folder.write(tmp_path_factory.mktemp("models") / "CosyVoice2-tiny")
    process, served = do.start(tmp_path_factory.mktemp("speech"), TIMBRE_SPEECH_MODEL=f"cosyvoice2:{model}")
    made = Studio(load_settings({"workspace": str(served.workspace)}, env={}))
    made.create_voice("Ann")
    made.speech.keep_reference("Ann", speech, "The old harbour wakes.")
    made.close()
    yield served
    process.terminate()
    process.wait(60)


def choose(page: Any, box: str, option: str) -> None:
    page.click(f"{box} input")
    page.click(f"{box} [role=option] >> text='{option}'")


def spoken(page: Any, studio: Any) -> dict[str, Any]:
    """Press Speak and wait for the take; what it keeps."""
    before = page.evaluate("TS.speech.last && TS.speech.last.take")
    page.click("#speak")
    page.wait_for_function(
        "old => TS.speech.last && TS.speech.last.take && TS.speech.last.take !== old && TS.speech.last.done", arg=before
    )
    take = page.evaluate("TS.speech.last.take")
    page.wait_for_selector(f"[data-take='{take}']")
    about: dict[str, Any] = json.loads(
        (studio.workspace / "outputs" / "speech" / take / "take.json").read_text("utf-8")
    )
    return about


def test_a_stored_speaker_and_a_scene(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url, "speech")
    assert "CosyVoice2-tiny" in page.input_value("#speech-engine input")
    assert "Not measured" in page.inner_text("#speech-wait")
    page.fill("#speech-text textarea", "Hello, all 3 of you.")
    choose(page, "#speech-preset", "girl")
    assert spoken(page, studio)["options"]["preset"] == "girl"
    page.wait_for_selector("#speech-wait >> text=Measured here")

    page.click("#speech-whose >> text=The chosen voice")
    page.wait_for_selector("#speech-verdict .ts-player")
    page.wait_for_selector("#speech-preset", state="hidden")
    page.click("#speech-speakers button")
    page.fill("#speech-speaker-name input, #speech-speaker-name textarea", "calm")
    page.click("#speech-speaker-store")
    page.wait_for_selector(".toast-wrap >> text=calm")
    choose(page, "#speech-stored", "calm")
    choose(page, "#speech-scene", "conversation")
    page.wait_for_function("document.querySelector('#speech-wait tbody tr:last-child').innerText.includes('0.44 s')")
    options = spoken(page, studio)["options"]
    assert "preset" not in options
    assert (options["stored"], options["scene"]) == ("calm", "conversation")
    assert "first_hop" not in options
    choose(page, "#speech-scene", "blocks as set below")
    page.click("#speech-expert button")
    page.fill("#speech-first-hop input", "20")
    page.keyboard.press("Tab")
    page.wait_for_function("document.querySelector('#speech-wait tbody tr:last-child').innerText.includes('0.92 s')")

    choose(page, "#speech-stored", "calm")
    page.fill("#speech-speaker-name input, #speech-speaker-name textarea", "soft")
    page.click("#speech-speaker-rename")
    page.wait_for_function(
        "document.querySelector('#speech-speaker-name input, #speech-speaker-name textarea').value === ''"
    )
    folder = studio.workspace / "voices" / "Ann" / "speakers"
    assert [path.name for path in folder.glob("*.safetensors")] == ["soft.speaker.safetensors"]
    page.wait_for_function("document.querySelector('#speech-stored input').value.startsWith('none')")
    choose(page, "#speech-stored", "soft")
    page.click("#speech-speaker-delete")
    page.wait_for_function("document.querySelector('#speech-stored input').value.startsWith('none')")
    assert [path.name for path in (folder / ".trash").iterdir()] == ["soft.speaker.safetensors"]
    page.click("#speech-speaker-delete")
    page.wait_for_selector(".toast-wrap >> text=No stored speaker")
