"""`clean` from the command line: files into a folder, a voice's recordings, what is refused."""

from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from core.audio.encode import write_audio
from tests.dataset.kit import Bench

TONE = 0.05 * np.sin(np.arange(32000) * 0.2)


def test_files(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    take = write_audio(workspace / "take.wav", TONE, 16000)
    out = workspace / "out"
    words = ["clean", str(take), "--out", str(out), "--steps", "highpass, loudness", "--set", "target_lufs=-16"]
    assert main([*words, "--workspace", str(workspace)]) == 0
    said = capfd.readouterr().out
    assert f"take.wav -> {out / 'take.flac'}" in said
    assert "-16.0 LUFS" in said
    assert [path.name for path in sorted((out / "take steps").glob("*.flac"))] == ["1_highpass.flac", "2_loudness.flac"]


def test_a_voice(workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bench = Bench(workspace, "ann")
    bench.record("a.wav", TONE)
    assert main(["clean", "--voice", "ann", "--steps", "highpass", "--workspace", str(workspace)]) == 0
    assert "denoised_audio" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["x.wav"], 2, "one of the arguments"),
        (["x.wav", "--out", "o"], 1, "There is no file"),
        (["--voice", "nobody"], 1, "no voice"),
        (["x.wav", "--out", "o", "--steps", "polish"], 1, "steps.0"),
    ],
)
def test_refusals(words: list[str], code: int, said: str, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["clean", *words, "--workspace", str(workspace)]) == code
    assert said in capfd.readouterr().err
