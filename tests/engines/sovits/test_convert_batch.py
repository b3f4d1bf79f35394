"""Several recordings in one job: errors stay with their recording, cancelled ones are told, 4.1's pairing."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.dataset.voices import VoiceStore
from core.engines.sovits import convert
from core.engines.sovits.convert_batch import items_of, parse_batch, run_batch, sounds_below
from core.errors import BadInput, Cancelled
from core.jobs.context import ForegroundContext
from core.settings import Settings, load_settings
from core.studio import Studio
from tests.training.material import export_random, register_encoder, sung_vowel, write_clip


@pytest.fixture
def settings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    register_encoder(monkeypatch)
    settings = load_settings({"workspace": workspace, "device": "cpu", "threads": 1}, env={})
    export_random(VoiceStore(settings.voices_dir).create("one"))
    return settings


@pytest.fixture
def songs(workspace: Path) -> Path:
    folder = workspace / "in"
    for name in ("b.wav", "deep/a.wav"):
        write_clip(folder / name, sung_vowel(0.4))
    (folder / "broken.wav").write_text("no audio")
    (folder / "cover.jpg").write_bytes(b"x")
    (folder / ".hidden.wav").write_bytes(b"x")
    return folder


def params(settings: Settings, sources: list[Path], **options: object) -> dict:
    desk = Studio(settings).conversion
    return desk.batch_params({"voice": "one", "pitch": "dio", **options}, items_of(sources, [], []))


def test_one_error_does_not_stop_the_rest(settings: Settings, songs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    really = convert.load_tools
    monkeypatch.setattr(convert, "load_tools", lambda *args: loaded.append(1) or really(*args))
    found = sounds_below(songs)
    assert [path.name for path in found] == ["b.wav", "broken.wav", "a.wav"]
    result = run_batch(params(settings, found), ForegroundContext(settings))
    assert (result["done"], result["failed"]) == (2, 1)
    assert [row["state"] for row in result["files"]] == ["completed", "failed", "completed"]
    assert "broken.wav" in result["files"][1]["error"]["message"]
    for row in (result["files"][0], result["files"][2]):
        assert Path(row["output"]).parent == Path(result["folder"])
        assert Path(row["sidecar"]).is_file()
    assert len(loaded) == 1, "the models are loaded once"
    report = json.loads(Path(result["report"]).read_text("utf-8"))
    assert report["files"] == result["files"]


def test_where_nothing_could_be_done_the_job_fails(settings: Settings, songs: Path) -> None:
    broken = params(settings, [songs / "broken.wav", songs / "gone.wav"])
    with pytest.raises(BadInput, match=r"None of the 2 .*broken\.wav"):
        run_batch(broken, ForegroundContext(settings))
    assert [row["state"] for row in json.loads(Path(broken["report"]).read_text())["files"]] == ["failed", "failed"]


def test_a_cancel_keeps_what_is_whole(settings: Settings, songs: Path) -> None:
    asked = params(settings, [songs / "b.wav", songs / "deep" / "a.wav", songs / "b.wav"])
    ctx = ForegroundContext(settings, lambda _, message: message.startswith("2 of 3") and ctx.request_cancel())
    with pytest.raises(Cancelled):
        run_batch(asked, ctx)
    rows = json.loads(Path(asked["report"]).read_text())["files"]
    assert [row["state"] for row in rows] == ["completed", "cancelled", "cancelled"]
    assert sorted(p.suffix for p in Path(asked["folder"]).iterdir()) == [".json", ".json", ".wav"]


def test_each_recording_may_have_its_own(settings: Settings, songs: Path) -> None:
    asked = params(settings, [songs / "b.wav"])
    asked["items"] = items_of([songs / "b.wav", songs / "b.wav"], [0.0, 12.0], [])
    rows = run_batch(asked, ForegroundContext(settings))["files"]
    assert [row["transpose"] for row in rows] == [0, 12]
    assert rows[0]["output"] != rows[1]["output"]


def test_pairing_is_upstreams() -> None:
    a, b, c = Path("a"), Path("b"), Path("c")
    assert [one.get("transpose") for one in items_of([a, b, c], [3.0, 5.0], [])] == [3.0, 5.0, 3.0]
    pairs = [(one["source"], one["speaker"]) for one in items_of([a, b], [], ["x", "y"])]
    assert pairs == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert items_of([a], [], []) == [{"source": "a"}]


def test_what_is_wrong_is_said_before_any_work(settings: Settings, songs: Path) -> None:
    with pytest.raises(BadInput, match="noise"):
        params(settings, [songs / "b.wav"], noise=1)
    good = params(settings, [songs / "b.wav"])
    with pytest.raises(BadInput, match="items"):
        parse_batch({**good, "items": []})
    with pytest.raises(BadInput, match="no folder"):
        sounds_below(songs / "none")
    (songs / "empty").mkdir()
    with pytest.raises(BadInput, match="no recording"):
        sounds_below(songs / "empty")


def test_length_of_a_result_is_its_recordings(settings: Settings, songs: Path) -> None:
    from core.audio.encode import read_wav

    result = run_batch(params(settings, [songs / "b.wav"]), ForegroundContext(settings))
    made, _ = read_wav(result["files"][0]["output"])
    assert made.size == read_wav(songs / "b.wav")[0].size
    assert np.abs(made).max() > 0.01
