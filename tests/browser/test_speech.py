"""The Speech page in real Chromium, with a tiny VoxCPM: a clip is dropped, a paragraph is heard without a gap while it
is made, stopped, repeated by its seed, and mended sentence by sentence."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PARAGRAPH = "The harbour wakes before the sun. Boats slip out past the wall."
STATE = "document.querySelector('#speech-live').dataset.state"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, chromium: str, do: Any) -> Iterator[Any]:
    """A studio whose speech model is a tiny VoxCPM of random weights in the real files."""
    from core.engines.voxcpm import package

    if not package.installed():
        pytest.skip("the package voxcpm is not installed")
    from tests.engines.voxcpm.tiny import build

    # Random weights rarely stop by themselves: the room of the model is what bounds a sentence.
    model = build(tmp_path_factory.mktemp("models") / "tiny", "voxcpm", max_length=200)
    process, served = do.start(tmp_path_factory.mktemp("speech"), TIMBRE_SPEECH_MODEL=str(model))
    yield served
    process.terminate()
    process.wait(60)


def spoken(page: Any) -> dict[str, Any]:
    """Wait until all is received (it plays for longer); what the page received, as it counted it."""
    page.wait_for_function(f"TS.speech.last.done || {STATE} === 'failed'")
    assert page.evaluate(STATE) != "failed", page.inner_text("#speech-live")
    return received(page)


def received(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("""() => {
      const { take, received, sum, player } = TS.speech.last;
      return { take, received, sum, laid: player.laid, gaps: player.gaps };
    }""")
    return found


def rows(page: Any) -> list[str]:
    found: list[str] = page.eval_on_selector_all("#takes [data-take]", "all => all.map(one => one.dataset.take)")
    return list(dict.fromkeys(found))


def kept(studio: Any, take: str) -> tuple[Any, dict[str, Any]]:
    folder = studio.workspace / "outputs" / "speech" / take
    return soundfile.read(folder / "take.wav", dtype="int16")[0], json.loads((folder / "take.json").read_text("utf-8"))


def test_clone_stream_stop_repeat_and_mend(
    page: Any, studio: Any, do: Any, speech: Path, write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    do.open(page, studio.url, "speech")
    assert "tiny" in page.input_value("#speech-engine input")
    page.click("#speech-whose >> text=A clip")
    audio, rate_hz = soundfile.read(speech)
    page.set_input_files(
        "#speech-clip input[type=file]", str(write_wav(tmp_path / "me.wav", audio[: 3 * rate_hz], rate_hz))
    )
    page.wait_for_selector("#speech-verdict .ts-player")
    page.fill("#speech-words textarea", "The old harbour wakes before the sun.")
    page.fill("#speech-text textarea", PARAGRAPH)
    page.click("#speech-expert button")
    page.click("#speech-quality input")
    page.click("ul[role=listbox] >> text=fast")
    page.wait_for_function("document.querySelector('#speech-steps input').value === '6'")
    page.click("#speech-steps input")  # as a person types it, and then presses Speak at once
    page.keyboard.press("Control+a")
    page.keyboard.type("2")

    page.click("#speak")
    page.wait_for_function(f"{STATE} === 'speaking' || {STATE} === 'failed'")
    heard = spoken(page)
    page.wait_for_selector(f"[data-take='{heard['take']}']")
    samples, about = kept(studio, heard["take"])
    assert (heard["received"], heard["sum"]) == (samples.size, int(samples.astype("int64").sum()))
    ends = [start + length for start, length in heard["laid"]]
    breaks = sum(abs(start - end) > 1e-6 for (start, _), end in zip(heard["laid"][1:], ends, strict=False))
    assert breaks == heard["gaps"], "pieces lie one behind the other but where the model was too slow"
    assert about["prompt_text"] == "The old harbour wakes before the sun."
    assert about["options"]["steps"] == 2
    assert "s" in page.inner_text("[data-live=first]")
    assert float(page.inner_text("[data-live=rtf]")) > 0

    page.click(f"[data-act=again][data-take='{heard['take']}']")
    page.wait_for_function("old => TS.speech.last.take && TS.speech.last.take !== old", arg=heard["take"])
    again = spoken(page)
    assert (again["received"], again["sum"]) == (heard["received"], heard["sum"]), "the same seed, the same sound"

    page.click(f"[data-act=open][data-take='{heard['take']}']")
    page.click(f"[data-act=mend][data-take='{heard['take']}'][data-sentence='1']")
    page.wait_for_function("old => TS.speech.last.take !== old", arg=again["take"])
    mended = spoken(page)
    page.wait_for_selector(f"[data-take='{mended['take']}']")
    new, told = kept(studio, mended["take"])
    assert told["made_from"] == heard["take"]
    first = told["parts"][0]["end"]
    assert (new[:first] == samples[:first]).all()
    assert mended["received"] < new.size

    page.fill("#speech-text textarea", PARAGRAPH * 20)
    page.click("#speak")
    page.wait_for_function("old => TS.speech.last.take !== old && TS.speech.last.received > 0", arg=mended["take"])
    page.click("#speech-stop")
    stopped = received(page)
    assert page.evaluate(STATE) == "stopped"
    page.wait_for_selector(f"[data-take='{stopped['take']}']")
    assert kept(studio, stopped["take"])[1]["state"] == "stopped"

    count = len(rows(page))
    page.click(f"[data-act=delete][data-take='{stopped['take']}']")
    page.wait_for_function("n => document.querySelectorAll('#takes li[data-take]').length === n", arg=count - 1)


def test_what_cannot_be_said_is_told(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url, "speech")
    page.click("#speak")
    page.wait_for_selector(".toast-wrap >> text=nothing to say")
    page.fill("#speech-text textarea", "hello")
    page.fill("#speech-seed input, #speech-seed textarea", "many")
    page.click("#speak")
    page.wait_for_selector(".toast-wrap >> text=whole number")
    assert page.evaluate(STATE) == "idle"
