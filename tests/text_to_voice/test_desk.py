"""What the page asks of texts: engines that are here, whose voices they have, a text queued with its plain speech."""

from pathlib import Path

import pytest

from core.dataset.voices import VoiceStore
from core.errors import BadInput, NotFound
from core.settings import load_settings
from core.studio import Studio
from tests.training.material import export_random


@pytest.fixture
def studio(workspace: Path) -> Studio:
    made = load_settings({"workspace": workspace, "pretrain_dir": workspace / "pretrain"}, env={})
    VoiceStore(made.voices_dir).create("Bo")
    export_random(VoiceStore(made.voices_dir).create("歌手"))
    return Studio(made)


def test_engines_and_their_voices(studio: Studio) -> None:
    desk = studio.texts
    assert [one.name for one in desk.engines()] == ["builtin", "piper", "edge"]
    assert desk.engines()[0].ready
    assert desk.speakers("builtin", "xx") == ["woman", "man"]
    assert desk.speakers("edge", "de")[2:] == ["de-DE-KatjaNeural", "de-DE-ConradNeural"]
    assert desk.speakers("edge", "xx") == ["woman", "man"]
    assert desk.speakers("piper", "en") == []
    folder = studio.settings.pretrain_dir / "piper" / "en"
    folder.mkdir(parents=True)
    for name in ("amy.onnx", "amy.onnx.json", "alone.onnx"):
        (folder / name).write_bytes(b"x")
    assert desk.speakers("piper", "en") == [str(folder / "amy.onnx")]


def test_a_text_is_queued_with_a_place_for_its_plain_speech(studio: Studio) -> None:
    job = studio.texts.start({"voice": "歌手", "text": "今天 / 很好"})
    kept = Path(job.params["spoken"])
    assert (job.kind, job.voice, job.params["text"]) == ("text-to-voice", "歌手", "今天 / 很好")
    assert (kept.parent, kept.suffix) == (studio.settings.outputs / "sources", ".wav")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x")
    assert Path(studio.texts.start({"voice": "歌手", "text": "今天 / 很好"}).params["spoken"]) != kept
    with pytest.raises(BadInput, match="text"):
        studio.texts.start({"voice": "歌手", "text": "..."})
    with pytest.raises(BadInput, match="pad_s"):
        studio.texts.start({"voice": "歌手", "text": "a", "convert": {"pad_s": -1}})
    with pytest.raises(NotFound, match="nobody"):
        studio.texts.start({"voice": "nobody", "text": "a"})
    with pytest.raises(NotFound, match="no trained model"):
        studio.texts.start({"voice": "Bo", "text": "a"})
