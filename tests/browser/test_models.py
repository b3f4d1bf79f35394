"""A folder of so-vits-svc in a real browser: looked at, imported, compressed; and all the way to a song that plays."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.audio.encode import write_audio
from core.settings import load_settings
from tests.browser.conftest import Served, open_page, start_studio
from tests.browser.sound import PLAYS
from tests.engines.sovits.test_anatomy import config
from tests.engines.sovits.upstream_folder import write_config, write_contentvec, write_generator
from tests.song.test_mix import RATE_HZ, band
from tests.training.material import make_voice, sung_vowel

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


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


def test_a_data_set_goes_to_so_vits_svc_and_back(page: Any, studio: Served) -> None:
    make_voice(load_settings({"workspace": studio.workspace}, env={}), "安", n_clips=4, seconds=0.5)
    page.add_init_script("localStorage.setItem('timbre-voice', '安')")  # the voice of the last visit
    open_page(page, f"{studio.url}/en/", "models")
    page.click("#models-tabs [role=tab] >> nth=3")
    page.wait_for_selector("#data-told >> text=Nothing was written")
    page.wait_for_selector("#data-voices >> text=安")  # the chosen voice is chosen here too
    for field, value in (("#data-encoder", "builtin"), ("#data-pitch", "dio")):
        page.wait_for_selector(f"{field} input", state="visible")
        page.fill(f"{field} input", value)
        page.keyboard.press("Enter")
    page.click("#data-write")
    page.wait_for_selector("#data-told >> text=4 clips of")
    made = Path(page.inner_text("#data-told code"))
    assert (made / "filelists" / "train.txt").is_file()
    (made / "dataset" / "44k" / "安").rename(made / "dataset" / "44k" / "新人")
    page.fill("#data-folder input, #data-folder textarea", str(made))
    page.click("#data-read")
    page.wait_for_selector("#data-told td >> text=新人")
    assert len(list((studio.workspace / "voices" / "新人" / "sliced_audio").glob("*.wav"))) == 4


class Hostile:
    """Pickles to a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_a_hostile_file_is_refused_in_words(page: Any, studio: Served, tmp_path: Path) -> None:
    torch.save({"model": {"a": torch.zeros(1)}, "x": Hostile(tmp_path / "mark")}, tmp_path / "G_1.pth")
    open_page(page, f"{studio.url}/en/", "models")
    page.wait_for_selector("#models-import:not([disabled])", state="visible")
    page.fill("#models-path input, #models-path textarea", str(tmp_path / "G_1.pth"))
    page.click("#models-import")
    page.wait_for_selector("#models-found >> text=refused")
    assert "asks to run code" in page.inner_text("#models-found")
    page.click("#models-tabs [role=tab] >> nth=4")
    page.set_input_files("#tool-file input[type=file]", str(tmp_path / "G_1.pth"))
    page.wait_for_selector("#tool-file >> text=G_1.pth")
    page.click("#inspect")
    page.wait_for_selector("#file-info .ts-badword >> text=asks to run code")
    assert not (tmp_path / "mark").exists()
