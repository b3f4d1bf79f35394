"""Convert in the browser: pitch drawn, speakers mixed, diffusion, a result that plays; several files; a long song."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.dataset.voices import VoiceStore
from core.engines.sovits.pitch_track import HOP_S, read_track, write_track
from core.features import encoders
from core.settings import load_settings
from tests.browser.sound import PLAYS
from tests.engines.sovits import convert_material as material
from tests.training.material import sung_vowel, write_clip

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def singers(studio: Any) -> str:
    """A voice whose model knows Ann and Bo, with a diffusion model and a vocoder beside it."""
    encoder = encoders.create("builtin", "cpu", load_settings({}, env={}))
    folder = material.duet(VoiceStore(studio.workspace / "voices").create("二人"), encoder=encoder)
    material.diffusion(folder, n_units=encoder.dim)
    material.vocoder(folder / "vocoder")
    return "二人"


def eventually(true: Callable[[], Any]) -> Any:
    """The first truthy answer."""
    for _ in range(600):
        found = true()
        if found is not None and found is not False:
            return found
        time.sleep(0.2)
    pytest.fail("it never came true")


def open_convert(page: Any, studio: Any, do: Any, voice: str, *sources: Path) -> None:
    do.open(page, studio.url, "convert")
    page.wait_for_function("name => document.querySelector('#voice input').value === name", arg=voice)
    page.set_input_files("#source input[type=file]", [str(path) for path in sources])
    page.wait_for_selector("#source-player .ts-file, #source-player .ts-sources")


def drag(page: Any, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """With the pointer, between two places given as shares of the element's box."""
    box = page.locator(selector).bounding_box()
    page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + end[0] * box["width"], box["y"] + end[1] * box["height"], steps=8)
    page.mouse.up()


def tab(page: Any, index: int) -> None:
    page.locator("#convert-tabs").get_by_role("tab").nth(index).click()


def test_pitch_drawn_speakers_mixed_diffusion(page: Any, studio: Any, do: Any, singers: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "song.wav", sung_vowel(1.5, 220))
    open_convert(page, studio, do, singers, source)

    # The pitch is found, drawn over, taken back, and kept by itself.
    page.click("#convert-pitch button >> nth=0")
    page.fill("#predictor input", "pm")
    page.keyboard.press("Enter")
    tab(page, 1)
    assert "Find the pitch" in page.inner_text("#pitch-empty")
    page.click("#pitch-find")
    page.wait_for_selector(".ts-pitch:not(.ts-none)")
    place = studio.workspace / "outputs" / "pitch"
    found = read_track(place / "song.wav.found.npy").f0
    assert page.evaluate("[...TS.pitch.model.f0]") == pytest.approx(found.tolist(), rel=1e-6)
    drag(page, ".ts-pitch-view", (0.4, 0.5), (0.8, 0.3))
    drawn = read_track(eventually(lambda: next(place.glob("*.drawn.npy"), None))).f0
    changed = np.flatnonzero(drawn != found)
    assert changed[0] == pytest.approx(0.4 * drawn.size, abs=3)
    assert changed[-1] == pytest.approx(0.8 * drawn.size, abs=3)
    assert drawn[changed[3]] < drawn[changed[-3]]
    page.focus(".ts-pitch-view")
    page.keyboard.press("Control+z")
    eventually(lambda: np.array_equal(read_track(place / "song.wav.drawn.npy").f0, found))
    page.click(".ts-pitch [data-do=select]")
    drag(page, ".ts-pitch-view", (0.1, 0.5), (0.5, 0.5))
    page.click(".ts-pitch [data-do=up]")
    page.click(".ts-pitch [data-do=unvoice]")
    page.click(".ts-pitch [data-do=undo]")

    def raised() -> np.ndarray | None:
        f0 = read_track(place / "song.wav.drawn.npy").f0
        return f0 if f0.max() > 1.3 * found.max() else None

    higher = eventually(raised)
    lifted = (higher > 0) & (higher > 1.9 * found)
    assert lifted.sum() > 0.2 * (found > 0).sum()
    page.click(".ts-pitch [data-do=play]")
    page.wait_for_function("document.querySelector('[data-pitch=audio]').currentTime > 0.2")

    # Two speakers, from one to the other.
    tab(page, 2)
    page.wait_for_selector(".ts-mix:not(.ts-none)")
    drag(page, ".ts-mix-field", (0.9, 0.98), (0.9, 0.98))
    page.click(".ts-mix-row [data-speaker=Bo]")
    drag(page, ".ts-mix-field", (0.7, 0.6), (0.9, 0.05))
    curves = json.loads(page.evaluate("TS.mix.value()"))
    assert curves["Ann"][0] == [0, 1]
    assert curves["Ann"][1] == pytest.approx([0.9, 0], abs=0.05)
    assert curves["Bo"][1] == pytest.approx([0.9, 1], abs=0.06)

    # Shallow diffusion; what it needs is there, so nothing is said to be missing.
    page.click("#convert-diffusion button >> nth=0")
    page.locator("#diffusion label").nth(1).click()
    page.click("#convert")
    page.wait_for_selector("#result audio")
    assert page.evaluate(PLAYS, "#result audio") == pytest.approx(1.5, abs=0.2)
    assert page.locator("#convert-lacking .ts-problem").count() == 0
    sidecar = json.loads(next((studio.workspace / "outputs").glob("*.json")).read_text("utf-8"))
    options = sidecar["options"]
    assert options["diffusion"] == "shallow"
    assert options["speaker_mix"] == {name: [list(p) for p in curve] for name, curve in curves.items()}
    assert set(sidecar["files"]) == {"f0_file", "diffusion_model", "diffusion_config", "vocoder"}
    assert np.array_equal(read_track(Path(options["f0_file"])).f0, higher)
    assert "diffusion shallow" in page.inner_text("#result")
    assert "Traceback" not in studio.log.read_text("utf-8", "replace")


def test_several_files_and_a_preset(page: Any, studio: Any, do: Any, singers: str, tmp_path: Path) -> None:
    sources = [write_clip(tmp_path / f"{name}.wav", sung_vowel(0.4)) for name in ("a", "b")]
    (tmp_path / "c.wav").write_text("no audio")
    open_convert(page, studio, do, singers, *sources, tmp_path / "c.wav")
    page.click("#convert-presets button >> nth=0")
    page.wait_for_timeout(2000)  # the clock's tick that brings the choices
    page.fill("#preset input", "so-vits-svc 4.1 (built in)")
    page.keyboard.press("Enter")
    page.wait_for_selector("label.selected:has-text('flac')")
    page.fill("#preset-name input, #preset-name textarea", "我的")
    page.click("#preset-save")
    kept = eventually(lambda: next((studio.workspace / "presets" / "convert").glob("*.json"), None))
    assert json.loads(kept.read_text("utf-8"))["options"]["pitch"] == "pm"
    page.click("#convert")
    page.wait_for_selector("#batch .ts-badge.ts-bad")
    page.wait_for_function("document.querySelectorAll('#batch [data-hear]').length === 2")
    assert "2 of 3 done, 1 failed" in page.inner_text("#batch")
    page.click("#batch [data-hear] >> nth=0")
    page.wait_for_function("document.querySelector('#batch audio.ts-hear').currentTime > 0.05")
    assert page.locator("#batch a[download$='.flac']").count() == 2


def test_a_text_is_spoken_offline_and_converted(page: Any, studio: Any, do: Any, singers: str) -> None:
    pytest.importorskip("espeakng_loader")
    do.open(page, studio.url, "convert")
    page.wait_for_function("name => document.querySelector('#voice input').value === name", arg=singers)
    page.click("#source-kind label:nth-of-type(2)")
    page.wait_for_selector("#said-text textarea", state="visible")
    page.wait_for_function("document.querySelector('#key-auto input').checked")  # who knows how high an engine speaks
    page.click("#convert")
    page.wait_for_selector(".toast-body >> text=There is no text yet")
    page.fill("#said-text textarea", "Guten Abend, das Haus ist nicht groß.")
    page.focus("#said-rate input")
    page.wait_for_selector("#said-seen >> text=German")
    page.click("#convert")
    page.wait_for_selector("#result .ts-facts >> text=German")  # a result of before may be there still
    assert page.evaluate(PLAYS, "#result audio") > 1.0
    sources = list((studio.workspace / "outputs" / "sources").glob("Guten*.wav"))
    assert len(sources) == 1, "what the engine said is kept, to be heard as Before"
    page.fill("#said-text textarea", "")
    page.click("#outputs [data-act=settings] >> nth=0")
    page.wait_for_function("document.querySelector('#said-text textarea').value.startsWith('Guten Abend')")


@pytest.mark.slow
def test_a_song_of_four_minutes_stays_light(page: Any, studio: Any, do: Any, singers: str, tmp_path: Path) -> None:
    n_frames = round(240 / HOP_S)
    rate_hz = 8000
    t = np.arange(240 * rate_hz) / rate_hz
    source = write_clip(tmp_path / "long.wav", 0.3 * np.sin(2 * np.pi * 220 * t), rate_hz=rate_hz)
    f0 = (220 * 2 ** (np.sin(np.arange(n_frames) / 300) / 3)).astype(np.float32)
    f0[5000:5005] *= 2
    open_convert(page, studio, do, singers, source)
    tab(page, 1)
    with page.expect_file_chooser() as chooser:  # as a person does: Gradio keeps the input outside of its button
        page.click("#pitch-import")
    chooser.value.set_files(str(write_track(tmp_path / "x.npy", f0)))
    page.wait_for_selector(".ts-pitch:not(.ts-none)")
    page.click(".ts-pitch [data-do=whole]")
    page.click(".ts-pitch [data-do=fix]")
    page.click(".ts-pitch [data-do=smooth]")
    place = studio.workspace / "outputs" / "pitch" / "long.wav.drawn.npy"
    eventually(lambda: np.abs(read_track(place).f0[5000:5005] / f0[4999] - 1).max() < 0.02)
    assert page.evaluate("TS.pitch.span") == pytest.approx(240, abs=0.1)
    assert page.locator(".ts-pitch *").count() < 40, "nothing on the page grows with the song"
    page.wait_for_function("[...TS.pitch.spectrum.blocks.values()].filter((one) => one.data).length >= 4")
    longest = page.evaluate("""async () => {
      const pen = TS.pitch, times = [];
      for (let i = 0; i < 10; i += 1) {
        pen.zoom(i % 2 ? 2 : 0.5);
        await new Promise(requestAnimationFrame);
        const start = performance.now();
        await new Promise(requestAnimationFrame);
        times.push(performance.now() - start);
      }
      return Math.max(...times);
    }""")
    print(f"longest frame while zooming a four-minute song: {longest:.0f} ms")
