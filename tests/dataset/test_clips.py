"""The clip table: clips survive the disk, a person's verdict stays, damage is named, changes follow one another."""

import json
import math
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dataset.clips import VERDICTS, Clip, ClipTable, clip_path
from core.dataset.manifest import write_manifest
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput, NotFound

finite = st.floats(-1e6, 1e6)
text = st.text(max_size=40)
clips_strategy = st.lists(
    st.builds(
        Clip,
        id=st.uuids().map(str),
        audio=text,
        source=text,
        start_s=finite,
        end_s=finite,
        duration_s=finite,
        lufs=finite,
        peak_db=finite,
        snr_db=finite,
        clipped_fraction=finite,
        sha256=text,
        text=text,
        verdict=st.sampled_from(VERDICTS),
        reasons=st.lists(text, max_size=3),
        by_user=st.booleans(),
    ),
    max_size=6,
)


def clip(number: int, verdict: str = "accepted") -> Clip:
    name = f"{number:016x}"
    return Clip(
        name, f"sliced_audio/a_{name}.wav", "a.wav", number, number + 1, 1.0, -20, -3, 40, 0, name * 4, verdict=verdict
    )  # type: ignore[arg-type]


@pytest.fixture
def voice(tmp_path: Path) -> Voice:
    return VoiceStore(tmp_path).create("Ann")


@given(clips_strategy)
@settings(max_examples=60)
def test_the_table_holds_what_was_put_in(tmp_path_factory: pytest.TempPathFactory, clips: list[Clip]) -> None:
    table = ClipTable(Voice("x", tmp_path_factory.getbasetemp() / "table"))
    table.save(clips)
    assert table.load() == clips
    rows = [json.loads(line) for line in (table.voice.path / "train.jsonl").read_text("utf-8").split("\n") if line]
    accepted = [c for c in clips if c.verdict == "accepted"]
    assert [row["text"] for row in rows] == [c.text for c in accepted]
    assert all(set(row) == {"audio", "text", "duration"} and Path(row["audio"]).is_absolute() for row in rows)


def test_no_table_is_no_clips(voice: Voice) -> None:
    assert ClipTable(voice).load() == []
    assert write_manifest(voice).read_text() == ""
    assert clip_path(voice, clip(1)) == voice.sliced / f"a_{1:016x}.wav"


@pytest.mark.parametrize("damage", ["{", '{"id": 1}', "[]", '{"id":"a","surprise":1}', "\x00"])
def test_a_damaged_line_is_named(voice: Voice, damage: str) -> None:
    table = ClipTable(voice)
    table.save([clip(1)])
    table.path.write_text(table.path.read_text() + damage + "\n")
    with pytest.raises(BadInput, match="line 2") as caught:
        table.load()
    assert "Prepare" in caught.value.hint
    table.path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="damaged"):
        table.load()


def test_a_persons_verdict(voice: Voice) -> None:
    table = ClipTable(voice)
    table.save([clip(1), clip(2, "rejected"), clip(3)])
    changed = table.set_verdict([clip(1).id, clip(2).id], "review")
    assert [(c.verdict, c.by_user) for c in changed] == [("review", True), ("review", True), ("accepted", False)]
    assert table.load() == changed
    assert len((voice.path / "train.jsonl").read_text().splitlines()) == 1
    with pytest.raises(BadInput):
        table.set_verdict([clip(1).id], "splendid")
    with pytest.raises(NotFound, match="no clip"):
        table.set_verdict([clip(1).id, "nope"], "accepted")
    assert table.load() == changed


def test_changes_from_many_threads_all_arrive(voice: Voice) -> None:
    table = ClipTable(voice)
    table.save([clip(n) for n in range(12)])
    threads = [
        threading.Thread(target=ClipTable(voice).set_verdict, args=([clip(n).id], "rejected")) for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {c.verdict for c in table.load()} == {"rejected"}


def test_what_json_cannot_hold_is_refused_before_anything_is_written(voice: Voice) -> None:
    table = ClipTable(voice)
    table.save([clip(1)])
    with pytest.raises(ValueError):
        table.save([replace(clip(1), lufs=-math.inf)])
    assert table.load() == [clip(1)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs RLIMIT_FSIZE, which stands in for a full disk")
def test_a_full_disk_leaves_the_old_table(voice: Voice) -> None:
    table = ClipTable(voice)
    table.save([clip(n) for n in range(50)])
    before = table.path.read_bytes()
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from core.dataset.clips import ClipTable; from core.dataset.voices import Voice\n"
        "from core.errors import NoSpace\n"
        "table = ClipTable(Voice('Ann', Path(sys.argv[1]))); clips = table.load()\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "try: table.set_verdict([clips[0].id], 'rejected')\n"
        "except NoSpace: sys.exit(0)\n"
        "sys.exit(4)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(voice.path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert table.path.read_bytes() == before
    assert not [p for p in voice.sliced.iterdir() if p.name.startswith(".tmp")]


def test_tables_older_than_speaker_and_language_load(workspace: Path) -> None:
    voice = VoiceStore(workspace).create("old")
    new = asdict(Clip("a", "sliced_audio/a.wav", "r.wav", 0, 1, 1.0, -20, -3, 35.0, 0.0, "0" * 64))
    assert {"speaker", "language"} <= new.keys()
    table = ClipTable(voice)
    table.save([])
    old = {key: value for key, value in new.items() if key not in ("speaker", "language")}
    table.path.write_text(json.dumps(old) + "\n", encoding="utf-8")
    (clip,) = table.load()
    assert (clip.speaker, clip.language) == ("", "")
