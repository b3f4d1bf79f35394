"""A folder of so-vits-svc in a real browser: looked at, imported, compressed; and all the way to a song that plays."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.audio.encode import write_audio
from tests.browser.conftest import Served, open_page, start_studio
from tests.engines.sovits.test_anatomy import config
from tests.engines.sovits.upstream_folder import write_config, write_contentvec, write_generator
from tests.song.test_mix import RATE_HZ, band
from tests.training.material import sung_vowel

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PLAYS = """async (selector) => {
  const audio = document.querySelector(selector);
  await audio.play();
  await new Promise((ok) => { audio.ontimeupdate = () => audio.currentTime > 0.05 && ok(); });
  audio.pause();
  return audio.duration;
}"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, chromium: str) -> Iterator[Served]:
    """A studio with a folder of pretrained models of its own: imports fill it."""
    pretrain = tmp_path_factory.mktemp("pretrain")
    process, served = start_studio(tmp_path_factory.mktemp("models"), TIMBRE_PRETRAIN_DIR=str(pretrain))
    yield served
    process.terminate()
    process.wait(60)


def look_at(page: Any, folder: Path) -> None:
    """Name a folder on the Models page and press Look first."""
    page.wait_for_selector("#models-look:not([disabled])", state="visible")
    page.fill("#models-path input, #models-path textarea", str(folder))
    page.click("#models-look")
    page.wait_for_selector("#models-found >> text=would be made")


def test_a_folder_becomes_a_song(page: Any, studio: Served, tmp_path: Path) -> None:
    """Import with its encoder, convert on one page, mix on the next; then the model goes on as ONNX."""
    torch.set_num_threads(1)
    folder = tmp_path / "Ann"
    made = config(speech_encoder="vec256l9")
    write_generator(folder / "G_800.pth", made)
    write_config(folder / "config.json", made)
    write_contentvec(folder / "checkpoint_best_legacy_500.pt")
    vocals = write_audio(tmp_path / "vocals.wav", sung_vowel(1.5), RATE_HZ)
    rest = write_audio(tmp_path / "band.wav", band(1.5), RATE_HZ)

    open_page(page, studio.url, "models")
    look_at(page, folder)
    page.click("#models-import")
    page.wait_for_selector("#models-found >> text=ready")
    page.wait_for_function("document.querySelector('#voice input').value === 'Ann'")

    page.click("#nav a[href='#convert']")
    page.set_input_files("#source input[type=file]", str(vocals))
    page.wait_for_selector("#source-player audio")
    page.click("#convert")
    page.wait_for_selector("#result audio")
    assert page.evaluate(PLAYS, "#result audio") == pytest.approx(1.5, abs=0.2)

    page.click("#nav a[href='#song']")
    page.click("#song-kind label:nth-of-type(2)")
    for name, file in (("vocals", vocals), ("accompaniment", rest)):
        page.set_input_files(f"#song-{name} input[type=file]", str(file))
        page.wait_for_selector(f"#song-{name}-player .ts-wave")
    page.click("#make-song")
    page.wait_for_selector("#song-result .ts-player")
    assert page.evaluate(PLAYS, "#song-result audio") == pytest.approx(1.5, abs=0.2)
    assert len(list(studio.workspace.glob("outputs/*_song.wav.json"))) == 1

    page.click("#nav a[href='#models']")
    page.click("#models-tabs [role=tab] >> nth=1")
    page.click("#voice-models [data-act=onnx]")
    page.wait_for_selector("#onnx-made a[download]")
    with page.expect_download() as download:
        page.click("#onnx-made a[download] >> nth=0")
    import onnxruntime

    session = onnxruntime.InferenceSession(download.value.path(), providers=["CPUExecutionProvider"])
    assert {"c", "f0"} < {one.name for one in session.get_inputs()}
    with page.expect_download() as download:
        page.click("#onnx-made a[download] >> nth=1")
    assert json.loads(Path(download.value.path()).read_text("utf-8"))["Characters"] == ["ann", "bob", "cy"]
    assert "Traceback" not in studio.log.read_text("utf-8", "replace")


def test_a_folder_is_looked_at_imported_and_compressed(page: Any, studio: Served, tmp_path: Path) -> None:
    write_generator(tmp_path / "小雨" / "G_7.pth", config(speech_encoder="hubertsoft"))
    write_config(tmp_path / "小雨" / "config.json", config(speech_encoder="hubertsoft", n_speakers=9))
    open_page(page, f"{studio.url}/en/", "models")
    look_at(page, tmp_path / "小雨")
    assert "put right" in page.inner_text("#models-found")
    assert not (studio.workspace / "voices" / "小雨").exists()
    page.click("#models-import")
    page.wait_for_selector("#models-found >> text=needs an encoder")
    page.click("#models-tabs [role=tab] >> nth=1")
    page.click("#voice-models [data-voice=小雨][data-act=half]")
    page.wait_for_selector("#voice-models >> text=G_7-compressed-half")
    assert (studio.workspace / "voices" / "小雨" / "models" / "G_7-compressed-half" / "model.safetensors").is_file()
