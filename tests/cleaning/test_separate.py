"""Without weights or package the step says what to do, before anything is done."""

from pathlib import Path

import pytest

from core.cleaning.separate import check
from core.errors import Unavailable
from core.models.catalogue import entry
from tests.cleaning.kit import context


def test_missing_weights_come_with_a_way_to_get_them(workspace: Path) -> None:
    with pytest.raises(Unavailable) as err:
        check(context(workspace).settings)
    assert "Kim_Vocal_2.onnx" in err.value.message
    assert "pretrain/separation" in err.value.hint


def test_with_weights_the_package_is_asked_for(workspace: Path) -> None:
    import importlib.util

    if importlib.util.find_spec("audio_separator") is not None:
        pytest.skip("audio-separator is installed here")
    one = entry("vocals")
    for name in one.files:
        assert isinstance(name, str)
        (workspace / one.folder).mkdir(exist_ok=True)
        (workspace / one.folder / name).write_bytes(b"x")
    with pytest.raises(Unavailable, match="audio-separator"):
        check(context(workspace).settings)


def test_only_onnx_is_taken() -> None:
    assert [name for name in entry("vocals").files if not str(name).endswith((".onnx", ".json"))] == []
