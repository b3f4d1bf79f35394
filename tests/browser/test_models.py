"""Import in a real browser: a folder by its path, its report, then the new voice's model among the others."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.browser.conftest import Served
from tests.engines.sovits.test_anatomy import config
from tests.engines.sovits.upstream_folder import write_config, write_generator


@pytest.mark.parametrize("page", [{}], indirect=True)
def test_a_folder_is_looked_at_imported_and_compressed(page: Any, studio: Served, watch: Any, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    made = config(speech_encoder="vec256l9")
    write_generator(tmp_path / "小雨" / "G_7.pth", made)
    write_config(tmp_path / "小雨" / "config.json", config(speech_encoder="vec256l9", n_speakers=9))
    page.goto(f"{studio.url}/en/#models")
    page.wait_for_selector("#models-look:not([disabled])", state="visible")
    page.fill("#models-path input, #models-path textarea", str(tmp_path / "小雨"))
    page.click("#models-look")
    page.wait_for_selector("#models-found >> text=would be made")
    assert "put right" in page.inner_text("#models-found")
    assert not (studio.workspace / "voices" / "小雨").exists()
    page.click("#models-import")
    page.wait_for_selector("#models-found >> text=needs an encoder")
    page.click("#models-tabs [role=tab] >> nth=1")
    page.click("#voice-models [data-act=half]")
    page.wait_for_selector("#voice-models >> text=G_7-compressed-half")
    assert (studio.workspace / "voices" / "小雨" / "models" / "G_7-compressed-half" / "model.safetensors").is_file()
    watch.check()
