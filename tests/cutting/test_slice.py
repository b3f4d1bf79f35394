"""The whole cut into a folder: what is in the files, whose speech it is, and that nothing is lost on the way."""

import json
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.slicing import against_truth, agreement, write_srt
from core.audio.decode import load
from core.audio.encode import read_wav, write_audio
from core.audio.vad import SpeechDetector
from core.cutting.segments import segments
from core.errors import BadInput, Cancelled, Conflict
from tests.cutting.conftest import RATE_HZ, Talk


def report_of(result: dict[str, Any]) -> dict[str, Any]:
    return json.loads(Path(result["report"]).read_text("utf-8"))


def manifest_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text("utf-8").splitlines()]


def times_of(result: dict[str, Any]) -> list[tuple[float, float]]:
    return [(cue["start_s"], cue["end_s"]) for cue in report_of(result)["cues"]]


@pytest.fixture
def subs(talk: Talk, tmp_path: Path) -> Path:
    return talk.srt(tmp_path / "talk.srt")


def by_cue(talk: Talk, cues: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """What a script answers that asks the package's detector about each window alone."""
    audio = load(talk.audio, 16000)
    found = []
    for cue in cues:
        low, high = int(max(0.0, cue["cue_start_s"] - 0.1) * 16000), int((cue["cue_end_s"] + 0.1) * 16000)
        window = audio[low:high]
        detector = SpeechDetector()
        detector.push(window)
        spans = segments(detector.finish().tolist(), window.size, 0.5)
        found.append(((low + spans[0][0]) / 16000, (low + spans[-1][1]) / 16000))
    return found


def test_clips_hold_their_own_speech_and_all_of_it(talk: Talk, subs: Path, cut: Any, tmp_path: Path) -> None:
    result = cut(subs, tmp_path / "out")
    figures = against_truth(talk.audio, talk.truth, times_of(result))
    assert figures["foreign_s"] == 0.0
    assert figures["recall"] >= 0.995
    assert agreement(times_of(result), by_cue(talk, report_of(result)["cues"])) >= 0.97
    assert result["correction"] is None
    assert result["clips"] == len(talk.truth)


def test_files_manifest_list_and_report(talk: Talk, subs: Path, cut: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = cut(subs, out, sample_rate=44100, silence_ms=150, speaker="Ann|B", language="en", sovits=True)
    rows, report = manifest_of(out), report_of(result)
    assert sorted(p.name for p in out.glob("*.wav")) == [f"{n:04d}.wav" for n in range(1, 10)]
    for number, (row, cue) in enumerate(zip(rows, report["cues"], strict=True), start=1):
        path = Path(row["audio"])
        assert path.is_absolute()
        assert path == (out / f"{number:04d}.wav").resolve()
        with wave.open(str(path)) as handle:
            assert (handle.getnchannels(), handle.getsampwidth(), handle.getframerate()) == (1, 2, 44100)
            assert handle.getnframes() / 44100 == pytest.approx(row["duration"], abs=1e-4)
        audio, _ = read_wav(path)
        silence = round(0.15 * 44100)
        assert not audio[:silence].any()
        assert not audio[-silence:].any()
        assert np.abs(audio[silence : silence + 5]).max() < 0.01, "faded in: no click"
        assert row["duration"] == pytest.approx(cue["end_s"] - cue["start_s"] + 0.3, abs=1e-3)
        assert (row["start_s"], row["end_s"]) == (cue["start_s"], cue["end_s"])
        assert (row["speaker"], row["language"], row["source"]) == ("Ann|B", "en", talk.audio.name)
        assert cue["audio"] == row["audio"]
        assert cue["source"] == "vad"
        assert cue["shift_start_ms"] == round((cue["start_s"] - cue["cue_start_s"]) * 1000)
        assert -60 < cue["level_db"] < 0
        assert (out / "dataset_raw" / "Ann_B" / path.name).read_bytes() == path.read_bytes()
    lines = (out / "gpt_sovits.list").read_text("utf-8").splitlines()
    assert lines[0].split("|") == [rows[0]["audio"], "Ann B", "EN", rows[0]["text"]]
    summary = report["summary"]
    assert summary["count"] == 9 == sum(bar["count"] for bar in summary["histogram"])
    shares = summary["share_below_3_s"] + summary["share_3_to_10_s"] + summary["share_above_10_s"]
    assert shares == pytest.approx(1, abs=1e-3)
    assert summary["minutes"] == pytest.approx(sum(row["duration"] for row in rows) / 60, abs=1e-3)


def test_the_sound_is_that_of_the_recording(talk: Talk, subs: Path, cut: Any, tmp_path: Path) -> None:
    cut(subs, tmp_path / "out", sample_rate=22050, silence_ms=0)
    for row in manifest_of(tmp_path / "out"):
        audio, _ = read_wav(row["audio"])
        at = round(row["start_s"] * 22050)
        inside = slice(200, audio.size - 200)
        assert np.allclose(audio[inside], talk.samples[at : at + audio.size][inside], atol=1e-4)


def test_an_offset_is_offered_and_corrected(talk: Talk, cut: Any, tmp_path: Path) -> None:
    late = talk.srt(tmp_path / "late.srt", shift_s=-3.4)
    offered = cut(late, tmp_path / "as it is")["correction"]
    assert offered["applied"] is False
    result = cut(late, tmp_path / "fixed", fix_timing=True)
    correction = result["correction"]
    assert correction["applied"] is True
    for told in (offered, correction):
        assert abs(told["offset_s"] + 3.4) < 0.1
        assert told["drift"] == 1.0  # a minute is too short to tell
    assert against_truth(talk.audio, talk.truth, times_of(result))["recall"] >= 0.995


def test_odd_cues_are_reported_and_never_lost(talk: Talk, subs: Path, cut: Any, tmp_path: Path) -> None:
    odd = "\n".join(
        [
            "50\n00:00:00,000 --> 00:00:00,450\nNobody speaks here.\n",
            "51\n00:00:01,000 --> 00:05:00,000\nFar too long.\n",
            "52\n00:59:00,000 --> 00:59:02,000\nAfter the end.\n",
        ]
    )
    subs.write_text(subs.read_text("utf-8") + odd, encoding="utf-8")
    result = cut(subs, tmp_path / "out")
    cues = {cue["index"]: cue for cue in report_of(result)["cues"]}
    assert cues[50]["source"] == "subtitle"
    assert "No speech" in cues[50]["warnings"][0]
    assert cues[50]["audio"] is not None
    for index, words in ((51, "more than"), (52, "after the end")):
        assert cues[index]["audio"] is None
        assert words in cues[index]["warnings"][0]
    assert (result["cues"], result["clips"], result["not_cut"], result["by_subtitle"]) == (12, 10, 2, 1)
    assert cues[52]["start_s"] == cues[52]["end_s"], "nothing of it lies in the recording"
    told = [finding["message"] for finding in result["findings"] if finding["code"] == "not_cut"]
    assert [words.split(":")[0] for words in told] == ["Cue 51", "Cue 52"]


def test_a_cue_that_outlasts_the_recording_is_told(talk: Talk, cut: Any, tmp_path: Path) -> None:
    from benchmarks.slicing import write_srt

    length_s = talk.samples.size / 22050
    start, end = talk.truth[-1]
    result = cut(write_srt(tmp_path / "long.srt", [talk.truth[0], (start, end + 9.0)]), tmp_path / "out")
    (told,) = result["findings"]
    assert (told["code"], told["cue"]) == ("past_end", 1)
    cues = report_of(result)["cues"]
    assert cues[1]["end_s"] <= length_s + 0.001
    assert len([warning for warning in cues[1]["warnings"] if "after the end" in warning]) == 1


def test_what_other_tools_left_in_the_folder_is_kept(subs: Path, cut: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    rows = ['{"audio": "/x/0007.wav", "duration": NaN}', '{"audio": "/x/0008.wav", "duration": 2.5}']
    (out / "train.jsonl").write_text("\n".join(rows), "utf-8")
    theirs = "/x/0007.wav|甲|ZH|你好".encode("gbk")
    (out / "gpt_sovits.list").write_bytes(theirs)
    result = cut(subs, out, append=True)
    assert (out / "gpt_sovits.list").read_bytes().startswith(theirs + b"\n/")
    assert (out / "0009.wav").is_file()
    assert (out / "train.jsonl").read_text("utf-8").startswith(rows[0] + "\n" + rows[1] + "\n{")
    assert result["dataset"]["count"] == 2 + result["clips"]
    assert result["dataset"]["minutes"] == pytest.approx(2.5 / 60 + result["minutes"], abs=0.002)


@pytest.mark.parametrize("taken", ["train.jsonl/", "gpt_sovits.list/", "dataset_raw"])
def test_a_place_that_is_taken_is_told_before_the_work(taken: str, subs: Path, cut: Any, tmp_path: Path) -> None:
    place = tmp_path / "out" / taken.strip("/")
    place.parent.mkdir()
    place.mkdir() if taken.endswith("/") else place.write_text("mine")
    with pytest.raises(BadInput, match=place.name):
        cut(subs, tmp_path / "out", append=True, sovits=True)
    assert list((tmp_path / "out").iterdir()) == [place]


def test_out_may_not_be_a_file(subs: Path, cut: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BadInput, match="no folder"):
        cut(subs, tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


def test_merged_cues_become_longer_clips(talk: Talk, subs: Path, cut: Any, tmp_path: Path) -> None:
    result = cut(subs, tmp_path / "out", merge=True)
    assert 1 <= result["clips"] < len(talk.truth)
    texts = " ".join(row["text"] for row in manifest_of(tmp_path / "out"))
    assert all(f"Sentence {n}." in texts for n in range(1, 10))


def test_the_glossary_is_used_where_cues_are_merged(subs: Path, cut: Any, tmp_path: Path) -> None:
    cut(subs, tmp_path / "out", merge=True, glossary=["Sentence 3 = Phrase 3"])
    texts = " ".join(row["text"] for row in manifest_of(tmp_path / "out"))
    assert "Phrase 3." in texts
    assert "Sentence 3" not in texts


def test_appending_goes_on_and_overwrites_nothing(subs: Path, cut: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cut(subs, out)
    with pytest.raises(Conflict):
        cut(subs, out)
    stray = out / "0020.wav"
    stray.write_bytes(b"mine")
    manifest = out / "train.jsonl"
    first = manifest.read_text("utf-8")
    first += '{"audio": "/elsewhere/0003.wav", "duration": "long"}\n'
    manifest.write_text(first + '{"audio": "/half', encoding="utf-8")
    before = {path: path.read_bytes() for path in out.glob("*.wav")}
    result = cut(subs, out, append=True)
    assert all(path.read_bytes() == data for path, data in before.items())
    assert manifest.read_text("utf-8").startswith(first)
    assert [Path(row["audio"]).stem for row in manifest_of(out)[10:]] == [f"{n:04d}" for n in range(21, 30)]
    assert (out / "train.broken.jsonl").read_text() == '{"audio": "/half\n'
    assert result["dataset"]["count"] == 19
    assert len((out / "gpt_sovits.list").read_text("utf-8").splitlines()) == 18
    assert len(list(out.glob("report*.json"))) == 2


def test_a_cancelled_run_leaves_what_was_there(subs: Path, cut: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def stop(fraction: float, _: str) -> None:
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        cut(subs, out, on_progress=stop)
    assert list(out.iterdir()) == []


def test_lines_that_nobody_speaks_are_not_cut(talk: Talk, cut: Any, tmp_path: Path) -> None:
    end = talk.truth[-1][1]
    lines = [(*talk.truth[0], "Thanks for watching!"), (*talk.truth[1], "[Music]"), (*talk.truth[2], "Hello.")]
    silence = write_srt(tmp_path / "s.srt", [(a, b) for a, b, _ in lines] + [(end + 5, end + 7), (end + 8, end + 9)])
    text = silence.read_text()
    for number, said in enumerate([*(said for *_, said in lines), "Thanks for watching!", "Good night."], start=1):
        text = text.replace(f"Sentence {number}.", said)
    silence.write_text(text)
    longer = write_audio(tmp_path / "l.wav", np.pad(talk.samples, (0, 12 * RATE_HZ)), RATE_HZ)
    result = cut(silence, tmp_path / "out", audio=longer)
    assert [row["text"] for row in manifest_of(tmp_path / "out")] == ["Thanks for watching!", "Hello.", "Good night."]
    told = [finding["message"] for finding in result["findings"] if finding["code"] == "not_cut"]
    assert ["sound" in said for said in told] == [True, False]
    assert "recognisers" in told[1]


CHILD = """
import os, resource, signal, sys
from core.cutting.slice import run_slice
from core.errors import NoSpace
from core.jobs.context import ForegroundContext
from core.settings import load_settings

how, audio, subs, out, workspace = sys.argv[1:]

def on_progress(fraction, message):
    if how == "kill" and fraction >= 1.0 and any(n.startswith(".tmp-") for n in os.listdir(out)):
        os.kill(os.getpid(), signal.SIGKILL)

if how == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
context = ForegroundContext(load_settings({"workspace": workspace}, env={}), on_progress)
params = {"audio": audio, "subs": subs, "out": out, "options": {"append": True, "sample_rate": 16000}}
try:
    run_slice(params, context)
except NoSpace:
    sys.exit(28)
"""


@pytest.mark.skipif(os.name == "nt", reason="kills and limits are those of POSIX")
@pytest.mark.parametrize(("how", "code"), [("kill", -9), ("full", 28)])
def test_killed_or_out_of_space_the_old_dataset_is_whole(
    talk: Talk, subs: Path, cut: Any, tmp_path: Path, repo_root: Path, how: str, code: int
) -> None:
    out = tmp_path / "out"
    cut(subs, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    command = [sys.executable, "-c", CHILD, how, str(talk.audio), str(subs), str(out), str(tmp_path / "w")]
    done = subprocess.run(command, cwd=repo_root, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir() if not path.name.startswith(".tmp-")} == before
    result = cut(subs, out, append=True)
    assert result["dataset"]["count"] == 18
    assert not list(out.glob(".tmp-*"))


def test_bad_input(talk: Talk, subs: Path, cut: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty.srt"
    empty.write_text("nothing here\n", encoding="utf-8")
    foreign = tmp_path / "foreign.srt"
    foreign.write_text("1\n01:00:00,000 --> 01:00:02,000\nHello.\n", encoding="utf-8")
    for bad in (empty, foreign, tmp_path / "none.srt"):
        with pytest.raises(BadInput):
            cut(bad, tmp_path / "out")
    with pytest.raises(BadInput):
        cut(subs, tmp_path / "out", audio=subs)
    with pytest.raises(BadInput, match="buffer_msx"):
        cut(subs, tmp_path / "out", buffer_msx=1)
    with pytest.raises(BadInput, match="a folder or a voice"):
        cut(subs, "")
    assert not list((tmp_path / "out").glob("*.wav"))
