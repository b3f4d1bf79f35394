"""`export-onnx` on the command line: what is refused, in words, and a real export."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.engines.sovits.test_onnx_export import write_lite
from tests.training.material import small_config


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "needs a voice, or --weights"),
        (["Ann", "--weights", "x.pth"], 2, "needs a voice, or --weights"),
        (["nobody"], 1, "nobody"),
        (["--weights", "no.pth"], 1, "no.pth"),
        (["Ann", "--out", ""], 2, "is empty"),
    ],
)
def test_wrong_orders_are_named(words: list[str], code: int, said: str, command: Command) -> None:
    err = command("export-onnx", *words, code=code)[1]
    assert said in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_lite_model_by_its_file(command: Command, tmp_path: Path) -> None:
    weights = write_lite(tmp_path, small_config("lite"))
    words = ("--weights", str(weights), "--name", "歌", "--out", str(tmp_path / "o"), "--json")
    told = json.loads(command("export-onnx", *words)[0])
    assert Path(told["onnx"]) == tmp_path / "o" / "歌" / "歌_SoVits.onnx"
    assert Path(told["onnx"]).stat().st_size == told["bytes"]
    assert told["largest_difference"] < 1e-3
