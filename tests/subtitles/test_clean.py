"""The job: a file in, a file out, a review that a page can go on with."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput, Unavailable
from core.jobs.context import ForegroundContext
from core.jobs.handlers import HANDLERS, resolve
from core.settings import Settings
from core.subtitles import endpoint_config
from core.subtitles.check import resolve as resolve_cues
from core.subtitles.clean import load_review, run_clean_subs
from core.subtitles.endpoint_config import save_config, save_key
from core.subtitles.parse import read
from tests.subtitles.llm_server import Server

SOURCE = """1
00:00:00,960 --> 00:00:02,001
hello their

2
00:00:02,100 --> 00:00:04,000
how are you today.

3
00:00:05,500 --> 00:00:09,123
I am fine.

4
00:00:09,000 --> 00:00:08,000
backwards
"""


@pytest.fixture
def subs(tmp_path: Path) -> Path:
    path = tmp_path / "录音.srt"
    path.write_bytes(SOURCE.encode("utf-16"))
    return path


def clean(subs: Path, ctx: ForegroundContext, **more: Any) -> dict[str, Any]:
    result = run_clean_subs({"subs": str(subs), "out": str(subs.with_name("clean.srt")), **more}, ctx)
    json.dumps(result, allow_nan=False)
    return result


def test_by_rules(subs: Path, tmp_path: Path) -> None:
    result = clean(subs, ForegroundContext(Settings(workspace=tmp_path)))
    written = read(result["out"])
    assert [(cue.start_ms, cue.end_ms) for cue in written.cues] == [(960, 9123)]
    assert written.cues[0].text == "Hello their how are you today. I am fine."
    assert (result["cues_in"], result["cues"], result["failed"], result["encoding"]) == (3, 1, 0, "utf-16")
    assert "backwards" in result["findings"][0]["message"]
    rows = json.loads(Path(result["review"]).read_text())["rows"]
    assert [row["source"] for row in rows] == [[0, 1, 2]]
    assert resolve(HANDLERS["clean-subs"].target) is run_clean_subs


def test_by_a_chat(subs: Path, tmp_path: Path) -> None:
    context = ForegroundContext(Settings(workspace=tmp_path))
    prompt = clean(subs, context, way="prompt")
    assert prompt["prompts"] == 1
    assert "hello their" in Path(prompt["out"]).read_text()
    answer = tmp_path / "answer.txt"
    answer.write_text("Sure:\n\n1\n00:00:00,960 --> 00:00:04,000\nHello there, how are you today?\n\n"
                      "2\n00:00:05,500 --> 00:00:09,000\nI am fine.\n")  # fmt: skip
    result = clean(subs, context, way="answer", answer=str(answer))
    assert (result["failed"], result["lost"], result["cues"]) == (1, 0, 2)
    written = read(result["out"]).cues
    assert [cue.text for cue in written] == ["Hello there, how are you today?", "I am fine."]
    assert written[1].end_ms == 9123  # the invented end was refused, the rules kept the source's

    review = load_review(Path(result["review"]))
    assert [one.verdict for one in review.cues] == ["ok", "failed"]
    assert resolve_cues(review, {0, 1})[1].end_ms == 9000
    assert clean(subs, context, way="answer", answer=str(answer), take=[0, 1])["cues"] == 2
    assert read(result["out"]).cues[1].end_ms == 9000


def test_by_an_endpoint(
    subs: Path,
    ctx: ForegroundContext,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_config, "config_dir", lambda: tmp_path / "config")
    monkeypatch.delenv(endpoint_config.KEY_VARIABLE, raising=False)
    with pytest.raises(Unavailable, match="No language model"):
        clean(subs, ctx, way="endpoint")
    save_config(server.config())
    save_key("sk-secret-9")
    result = clean(subs, ctx, way="endpoint")
    assert (result["failed"], result["lost"], result["cues"]) == (0, 0, 1)
    assert server.headers[0]["Authorization"] == "Bearer sk-secret-9"
    assert not any(b"sk-secret-9" in path.read_bytes() for path in tmp_path.glob("*.*") if path.is_file())
    assert "sk-secret-9" not in json.dumps(result)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"way": "magic"}, "way"),
        ({"ways": "rules"}, "ways"),
        ({"merge": {"limit_s": 3}}, "limit_s"),
        ({"way": "answer"}, "Which answer"),
        ({"way": "answer", "answer": "nowhere.txt"}, "cannot be read"),
        ({"subs": "nowhere.srt"}, "no file"),
    ],
)
def test_bad_input(params: dict[str, Any], said: str, subs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        run_clean_subs(
            {"subs": str(subs), "out": str(tmp_path / "o.srt"), **params},
            ForegroundContext(Settings(workspace=tmp_path)),
        )
    assert not (tmp_path / "o.srt").exists()


def test_a_file_without_cues_says_why(tmp_path: Path) -> None:
    prose = tmp_path / "notes.srt"
    prose.write_text("just some prose")
    context = ForegroundContext(Settings(workspace=tmp_path))
    with pytest.raises(BadInput, match="just some prose"):
        clean(prose, context)
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(BadInput, match="no review"):
        load_review(tmp_path / "bad.json")
    good = tmp_path / "good.srt"
    good.write_text(SOURCE)
    with pytest.raises(BadInput, match="no subtitles"):
        clean(good, context, way="answer", answer=str(prose))
