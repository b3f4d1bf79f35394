"""Where models are found."""

from pathlib import Path

import pytest

from core.engines.cosyvoice2.models import MODELS, find_model
from core.errors import NotFound, Unavailable
from core.settings import Settings


def test_a_folder_a_name_and_the_one_that_is_here(tmp_path: Path) -> None:
    settings = Settings(workspace=tmp_path, pretrain_dir=tmp_path / "pretrain")
    assert find_model(settings, str(tmp_path)) == tmp_path
    with pytest.raises(NotFound, match="neither a folder nor a known name"):
        find_model(settings, "cosyvoice9")
    with pytest.raises(Unavailable, match=r"lacks .*llm\.pt"):
        find_model(settings)
    one = MODELS[1]
    for file in one.files:
        path = settings.pretrain_dir / one.folder / (file if isinstance(file, str) else file[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert find_model(settings) == find_model(settings, one.name.upper()) == settings.pretrain_dir / one.folder
