"""What a run leaves in a folder: clips, rows, lines as GPT-SoVITS reads them, and nothing if it does not end."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audio.encode import read_wav
from core.cutting.cutter import Cut
from core.cutting.dataset_folder import BROKEN, MANIFEST, existing
from core.cutting.options import CutOptions
from core.cutting.outputs import LIST, SOVITS, FolderTarget, guess_language, list_line
from core.cutting.plan import CuePlan
from core.errors import Conflict, NoSpace
from core.subtitles.cue import Cue


@pytest.mark.parametrize(
    ("text", "language"),
    [("你好，世界。", "zh"), ("こんにちは世界", "ja"), ("안녕하세요", "ko"), ("Hello.", "en"), ("", "en")],
)
def test_language_by_script(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_a_bar_or_a_line_break_never_breaks_the_line() -> None:
    line = list_line({"audio": "/a b/0001.wav", "text": "one | two\nthree"}, "A|B")
    assert line.split("|") == ["/a b/0001.wav", "A B", "EN", "one two three"]


SOUND = np.full(1600, 0.1, np.float32)


def cut(position: int, seconds: float = 0.1) -> Cut:
    return Cut(CuePlan(position, float(position), position + seconds, "vad", []), SOUND)


def cue(text: str = "Hello.", speaker: str = "") -> Cue:
    return Cue(0, 1000, text, None, speaker)


def report(n: int) -> dict[str, Any]:
    return {"warnings": [], "cues": [{"position": at, "audio": None} for at in range(n)]}


def fill(folder: Path, cues: list[Cue], **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what `finish` says, the report) of a run that cuts each cue."""
    told = report(len(cues))
    chosen = CutOptions.model_validate({"sample_rate": 16000, "silence_ms": 100, **options})
    with FolderTarget(folder, "talk.wav", chosen) as target:
        made = [target.write(cut(at), one) for at, one in enumerate(cues)]
        return target.finish(made, told), told


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text("utf-8").split("\n") if line]


def test_a_clip_is_its_sound_between_its_silences(tmp_path: Path) -> None:
    fill(tmp_path / "a", [cue()])
    audio, rate_hz = read_wav(tmp_path / "a" / "0001.wav")
    assert rate_hz == 16000
    assert audio.size == 1600 + 2 * 1600
    assert np.flatnonzero(audio).tolist() == list(range(1600, 3200))


def test_rows_hold_what_is_known_and_nothing_empty(tmp_path: Path) -> None:
    fill(tmp_path / "a", [cue("你好 | \u2028 x"), cue("", "Bo")], language="zh")
    first, second = rows_of(tmp_path / "a")
    assert first == {
        "audio": str(tmp_path / "a" / "0001.wav"), "text": "你好 | \u2028 x", "duration": 0.3, "language": "zh",
        "source": "talk.wav", "start_s": 0.0, "end_s": 0.1,
    }  # fmt: skip
    assert (second["text"], second["speaker"]) == ("", "Bo"), "a text is always there"


@pytest.mark.parametrize(("chosen", "told", "listed"), [("Ann", "Bo", "Ann"), ("", "Bo", "Bo"), ("", "", "the folder")])
def test_who_speaks(tmp_path: Path, chosen: str, told: str, listed: str) -> None:
    folder = tmp_path / "the folder"
    fill(folder, [cue(speaker=told)], speaker=chosen, sovits=True)
    assert (folder / LIST).read_text("utf-8").split("|")[1] == listed
    assert (folder / SOVITS / listed / "0001.wav").samefile(folder / "0001.wav")


def test_the_list_is_left_out_on_request(tmp_path: Path) -> None:
    places, _ = fill(tmp_path / "a", [cue()], gpt_sovits=False)
    assert places["list"] is None
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["0001.wav", "report.json", MANIFEST]


def test_the_report_learns_where_each_clip_lies(tmp_path: Path) -> None:
    places, told = fill(tmp_path / "a", [cue(), cue()])
    assert [entry["audio"] for entry in told["cues"]] == [
        str(tmp_path / "a" / name) for name in ("0001.wav", "0002.wav")
    ]
    assert json.loads(Path(places["report"]).read_text("utf-8")) == told
    assert places["dataset"] == {"count": 2, "minutes": 0.01}


def test_every_run_keeps_its_report(tmp_path: Path) -> None:
    for number in range(3):
        fill(tmp_path / "a", [cue(f"run {number}")], append=number > 0)
    assert sorted(path.name for path in (tmp_path / "a").glob("report*.json")) == [
        "report before (2).json", "report before.json", "report.json",
    ]  # fmt: skip
    assert [row["text"] for row in rows_of(tmp_path / "a")] == ["run 0", "run 1", "run 2"]
    assert len((tmp_path / "a" / LIST).read_text("utf-8").splitlines()) == 3


def test_without_its_end_nothing_of_a_run_stays(tmp_path: Path) -> None:
    fill(tmp_path / "a", [cue()])
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    target = FolderTarget(tmp_path / "a", "b.wav", CutOptions(sample_rate=16000, append=True))

    def broken() -> None:
        with target:
            target.write(cut(0), cue())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from core.cutting.cutter import Cut
from core.cutting.options import CutOptions
from core.cutting.outputs import FolderTarget
from core.cutting.plan import CuePlan
from core.errors import NoSpace
from core.subtitles.cue import Cue

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
told = {"warnings": [], "cues": [{"position": 0, "audio": None, "text": "x" * 2000}]}
with FolderTarget(Path(sys.argv[1]), "b.wav", CutOptions(sample_rate=16000, append=True, sovits=True)) as target:
    cut = Cut(CuePlan(0, 0.0, 0.1, "vad", []), np.full(1600, 0.1, np.float32))
    made = [target.write(cut, Cue(0, 1000, "Hello."))]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    try:
        target.finish(made, told)
    except NoSpace:
        sys.exit(28)
"""


@pytest.mark.skipif(os.name == "nt", reason="limits are those of POSIX")
@pytest.mark.parametrize("limit", [0, 100, 1000, 2050, 2400, 100_000])  # the report, the list, the manifest, nothing
def test_a_disk_that_fills_up_at_the_end_leaves_the_folder_as_it_was(
    tmp_path: Path, repo_root: Path, limit: int
) -> None:
    folder = tmp_path / "a"
    fill(folder, [cue("x" * 300)] * 5)
    with (folder / MANIFEST).open("ab") as manifest:
        manifest.write(b'{"audio": "0006.wav", "te')
    before = everything(folder)
    command = [sys.executable, "-c", FULL, str(folder), str(limit)]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if limit == 100_000 else 28), done.stderr
    if limit < 100_000:
        assert everything(folder) == before
    else:
        assert len(rows_of(folder)) == 6
        assert (folder / BROKEN).is_file()


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@given(st.binary(max_size=80), st.booleans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_last_line_looks_like_the_numbers_go_on(tmp_path: Path, tail: bytes, ended: bool) -> None:
    folder = tmp_path / secrets.token_hex(4)
    fill(folder, [cue("one"), cue("two")])
    with (folder / MANIFEST).open("ab") as manifest:
        manifest.write(tail + (b"\n" if ended else b""))
    fill(folder, [cue("three")], append=True)
    found = existing(folder, append=True)
    assert found.broken == []
    texts = [row.get("text") for row in found.rows]
    assert texts[:2] == ["one", "two"]
    assert texts[-1] == "three"
    assert (folder / "0003.wav").is_file()


def test_a_file_that_appears_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    target = FolderTarget(tmp_path / "a", "b.wav", CutOptions(sample_rate=16000))

    def run() -> None:
        with target:
            made = [target.write(cut(at), cue()) for at in range(3)]
            (tmp_path / "a" / "0002.wav").write_bytes(b"mine")
            target.finish(made, report(3))

    with pytest.raises(Conflict, match=r"0002\.wav"):
        run()
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"0002.wav"}
    assert (tmp_path / "a" / "0002.wav").read_bytes() == b"mine"


def test_more_than_the_disk_holds_is_refused_before_the_work(tmp_path: Path) -> None:
    with FolderTarget(tmp_path / "a", "b.wav", CutOptions()) as target:
        target.need(1.0)
        with pytest.raises(NoSpace):
            target.need(1e12)


@given(st.text(max_size=60), st.text(max_size=20), st.sampled_from(["", "zh", "ja"]))
def test_a_line_of_the_list_has_four_fields_whatever_is_in_them(text: str, speaker: str, language: str) -> None:
    line = list_line({"audio": "/a/1.wav", "text": text, "language": language}, speaker)
    assert len(line.splitlines()) == 1
    fields = line.split("|")
    assert len(fields) == 4
    assert fields[0] == "/a/1.wav"
    assert fields[2] == (language or guess_language(text)).upper()
    assert fields[3].split() == text.replace("|", " ").split()
