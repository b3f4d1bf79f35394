"""Preparation from file to manifest: figures, levels, verdicts, and every way it can go wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core import atomic
from core.audio.decode import load
from core.audio.encode import read_wav
from core.audio.loudness import integrated_lufs, true_peak_dbtp
from core.dataset.prepare import recordings, run_prepare
from core.errors import BadInput, Cancelled, NotFound
from core.jobs.context import ForegroundContext
from tests.audio.media import speechlike, tone, write_encrypted_mp4, write_media
from tests.dataset.kit import RATE, Bench


@pytest.fixture
def bench(workspace: Path) -> Bench:
    return Bench(workspace)


def test_from_recordings_to_manifest(bench: Bench) -> None:
    bench.record("one.flac", speechlike(14, RATE, 1))
    bench.record("sub/two.wav", speechlike(9, RATE, 2) * 0.1)
    result = bench.prepare()
    clips = bench.clips()
    assert result["clips"] == len(clips) == result["accepted"] > 2
    assert result["warnings"] == []
    assert result["minutes"] == pytest.approx(sum(c.duration_s for c in clips) / 60, abs=1e-3)
    assert result["minutes_in"] == pytest.approx(23 / 60, abs=0.01)
    assert {c.source for c in clips} == {"one.flac", "sub/two.wav"} == set(recordings(bench.voice))
    for clip in clips:
        audio, rate = read_wav(bench.voice.path / clip.audio)
        assert rate == RATE
        assert audio.size / rate == pytest.approx(clip.duration_s, abs=1e-3)
        assert abs(integrated_lufs(audio, rate) - -20.0) < 0.5
        assert true_peak_dbtp(audio, rate) < -0.9
        assert clip.snr_db > 30
        assert 1.0 <= clip.duration_s <= 12.0
    delivered = {source: [c.lufs for c in clips if c.source == source] for source in recordings(bench.voice)}
    assert min(delivered["one.flac"]) > max(delivered["sub/two.wav"]) + 15
    rows = [json.loads(line) for line in Path(result["manifest"]).read_text("utf-8").splitlines()]
    assert [row["audio"] for row in rows] == [str(bench.voice.path.resolve() / c.audio) for c in clips]


def test_twice_is_the_same_and_writes_nothing_again(bench: Bench) -> None:
    bench.record("one.flac", speechlike(8, RATE))
    bench.prepare()
    before = bench.files()
    times = {p.name: p.stat().st_mtime_ns for p in bench.voice.sliced.glob("*.wav")}
    bench.prepare()
    assert bench.files() == before
    assert {p.name: p.stat().st_mtime_ns for p in bench.voice.sliced.glob("*.wav")} == times


def test_a_persons_verdict_and_text_stay_with_the_same_sound(bench: Bench) -> None:
    bench.record("one.flac", speechlike(20, RATE))
    bench.prepare()
    first, second, *_ = bench.clips()
    bench.table.set_verdict([first.id], "rejected")
    bench.table.update(lambda clips: [c if c.id != second.id else _with_text(c, "hello") for c in clips])
    assert bench.prepare()["rejected"] == 1
    again = {c.id: c for c in bench.clips()}
    assert (again[first.id].verdict, again[first.id].by_user) == ("rejected", True)
    assert again[second.id].text == "hello"
    bench.prepare(target_lufs=-26.0)  # other audio: other clips, judged anew
    assert all(not c.by_user and not c.text for c in bench.clips())


def _with_text(clip, text):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    return replace(clip, text=text)


def test_old_clips_go_and_other_recordings_stay(bench: Bench) -> None:
    bench.record("one.flac", speechlike(8, RATE, 1))
    bench.record("two.flac", speechlike(8, RATE, 2))
    bench.prepare()
    two = [c for c in bench.clips() if c.source == "two.flac"]
    bench.prepare(files=["one.flac"], target_lufs=-25.0)
    assert [c for c in bench.clips() if c.source == "two.flac"] == two
    listed = {Path(c.audio).name for c in bench.clips()}
    assert {p.name for p in bench.voice.sliced.glob("*.wav")} == listed
    (bench.voice.raw / "two.flac").unlink()
    bench.prepare()
    assert {c.source for c in bench.clips()} == {"one.flac"}
    with pytest.raises(NotFound, match="three"):
        bench.prepare(files=["three.flac"])
    with pytest.raises(BadInput):
        bench.prepare(files=[])


def test_the_issues_bad_files_each_get_a_sentence_and_stop_nobody(bench: Bench, speech: Path) -> None:
    raw = bench.voice.raw
    bench.record("good.flac", speechlike(8, RATE))
    (raw / "zero.wav").touch()
    (raw / "words.wav").write_text("no sound here " * 99)
    write_encrypted_mp4(raw / "bought.m4a")
    bench.record("silent.wav", np.zeros(5 * RATE, np.float32))
    bench.record("hush.wav", (np.random.default_rng(0).standard_normal(5 * RATE) * 3e-5).astype(np.float32))
    bench.record("clipped.wav", np.clip(8 * speechlike(8, RATE, 3), -1, 1))
    noisy = speechlike(8, RATE, 4) + 0.05 * np.random.default_rng(0).standard_normal(8 * RATE)
    bench.record("noisy.wav", noisy.astype(np.float32))
    bench.record("phone.wav", speechlike(8, 8000, 5), 8000)
    bench.record("high.flac", speechlike(6, 96000, 6), 96000)
    write_media(raw / "studio.wav", speechlike(6, 192000, 7), 192000)
    write_media(raw / "cinema.wav", np.stack([speechlike(6, 48000, 8)] * 8), 48000, layout="7.1")
    bench.record("second.wav", load(speech, RATE)[RATE : 2 * RATE])
    bench.record("blink.wav", tone(0.2, RATE))
    whole = write_media(raw / "cut.flac", speechlike(20, RATE, 10), RATE)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    result = bench.prepare()
    warnings = "\n".join(result["warnings"])
    clips = bench.clips()
    by_source = {name: [c for c in clips if c.source == name] for name in recordings(bench.voice)}
    assert set(result["failed"]) == {"zero.wav", "words.wav", "bought.m4a", "silent.wav", "hush.wav"}
    for name in ("good.flac", "high.flac", "studio.wav", "cinema.wav", "second.wav", "cut.flac"):
        assert by_source[name], name
        assert {c.verdict for c in by_source[name]} == {"accepted"}, (name, by_source[name])
    assert "0 bytes" in warnings
    assert "not an audio" in warnings
    assert "DRM" in warnings
    assert "silent.wav is silent" in warnings
    assert "cut.flac is cut off" in warnings
    assert "level turned down" in warnings
    assert all("clipped" in c.reasons and c.verdict != "accepted" for c in by_source["clipped.wav"])
    assert all("noisy" in c.reasons and c.verdict != "accepted" for c in by_source["noisy.wav"])
    assert all("narrow_band" in c.reasons and c.verdict == "review" for c in by_source["phone.wav"])
    assert ["too_short" in c.reasons and c.verdict == "rejected" for c in by_source["blink.wav"]] == [True]
    assert result["accepted"] + result["review"] + result["rejected"] == len(clips)


def test_nothing_usable_is_an_error_and_loses_nothing(bench: Bench) -> None:
    with pytest.raises(BadInput, match="no recordings"):
        bench.prepare()
    path = bench.record("one.flac", speechlike(8, RATE))
    bench.prepare()
    before = bench.files()
    path.write_bytes(b"junk" * 100)
    with pytest.raises(BadInput, match="not an audio"):
        bench.prepare()
    bench.record("zero.flac", np.zeros(RATE, np.float32))
    with pytest.raises(BadInput, match="None of the 2 recordings"):
        bench.prepare()
    assert bench.files() == before
    bench.record("two.flac", speechlike(8, RATE, 2))
    bench.prepare()  # one.flac is still damaged: its earlier clips stay
    assert {c.source for c in bench.clips()} == {"one.flac", "two.flac"}
    assert before.items() - {("clips.jsonl", before["clips.jsonl"])} <= bench.files().items()
    with pytest.raises(NotFound):
        run_prepare({"voice": "nobody"}, ForegroundContext(bench.settings))
    with pytest.raises(BadInput, match="surprise"):
        bench.prepare(surprise=1)


def test_a_damaged_table_is_put_aside(bench: Bench) -> None:
    bench.record("one.flac", speechlike(8, RATE))
    bench.prepare()
    good = bench.table.path.read_text()
    bench.table.path.write_text(good + "oops\n")
    result = bench.prepare()
    assert "put aside" in result["warnings"][0]
    assert bench.table.path.read_text() == good
    assert (bench.voice.sliced / "clips.damaged.jsonl").read_text().endswith("oops\n")


@pytest.mark.parametrize("at", [0.05, 0.4, 0.8])
def test_cancel_leaves_the_old_clips_whole(bench: Bench, at: float) -> None:
    bench.record("one.flac", speechlike(10, RATE, 1))
    bench.prepare()
    before = bench.files()
    bench.record("two.flac", speechlike(30, RATE, 2))
    seen: list[float] = []

    def watch(fraction: float, _message: str) -> None:
        seen.append(fraction)
        if fraction >= at:
            ctx.request_cancel()

    ctx = ForegroundContext(bench.settings, watch)
    params = {"voice": bench.voice.name, "options": {"rate_hz": RATE, "target_lufs": -24.0}}
    with pytest.raises(Cancelled):
        run_prepare(params, ctx)
    assert bench.files() == before
    assert seen == sorted(seen)


CHILD = """
import sys
from pathlib import Path
from core.settings import load_settings
from core.jobs.context import ForegroundContext
from core.dataset.prepare import run_prepare
from core.errors import NoSpace
settings = load_settings({"workspace": sys.argv[1]}, env={})
if len(sys.argv) > 3:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
params = {"voice": sys.argv[2], "options": {"rate_hz": 16000, "target_lufs": -24.0}}
try:
    run_prepare(params, ForegroundContext(settings))
except NoSpace as err:
    sys.exit(9 if err.hint else 1)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals and file limits")
@pytest.mark.parametrize("limit", [50_000, 300_000])
def test_a_full_disk_leaves_the_old_clips_whole(bench: Bench, limit: int) -> None:
    bench.record("one.flac", speechlike(10, RATE, 1))
    bench.record("two.flac", speechlike(25, RATE, 2))
    bench.prepare(max_clip_s=5.0)
    before = bench.files()
    args = [sys.executable, "-c", CHILD, str(bench.settings.workspace), bench.voice.name, str(limit)]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    if done.returncode == 9:
        assert bench.files() == before
    else:  # every clip was below the limit
        assert limit > 200_000, done.stderr
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SIGKILL")
def test_a_killed_preparation_leaves_the_old_clips_whole(bench: Bench) -> None:
    bench.record("one.flac", speechlike(10, RATE, 1))
    bench.prepare()
    before = bench.files()
    bench.record("two.flac", np.tile(speechlike(60, RATE, 2), 5))
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(bench.settings.workspace), bench.voice.name])
    while child.poll() is None and len(list(bench.voice.sliced.glob("*.wav"))) <= len(before) + 3:
        time.sleep(0.01)
    assert child.poll() is None, "it ended before it could be killed: make the recording longer"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    after = bench.files()
    assert before.items() <= after.items()  # what is new is not listed anywhere
    assert bench.table.load()
    (bench.voice.raw / "two.flac").unlink()
    old = time.time() - 2 * 24 * 3600
    for path in bench.voice.sliced.glob("*.wav"):
        os.utime(path, (old, old))
    atomic.sweep(bench.voice.sliced)  # as a studio does when it starts
    bench.prepare()
    assert bench.files() == before  # a day later the leftovers go


def test_slicers(bench: Bench, speech: Path) -> None:
    target = bench.voice.raw / "speech.wav"
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(speech.read_bytes())
    silence = bench.prepare(slicer="silence")
    vad = bench.prepare(slicer="vad")
    assert silence["accepted"] > 1
    assert vad["accepted"] > 1
    assert vad["minutes"] == pytest.approx(silence["minutes"], rel=0.25)
    none = bench.prepare(slicer="none", max_clip_s=60.0)
    assert none["clips"] == 1
    bench.record("long.flac", np.tile(speechlike(35, RATE), 2))
    result = bench.prepare(slicer="none")
    assert "too long for one clip" in result["failed"]["long.flac"]
    assert [c.reasons for c in bench.clips()] == [["too_long"]]


def test_speech_detection_finds_none_in_tones(bench: Bench) -> None:
    bench.record("beep.flac", tone(6.0, RATE))
    with pytest.raises(BadInput, match="no speech was found"):
        bench.prepare(slicer="vad")


def test_levels_as_wished(bench: Bench) -> None:
    quiet, loud = speechlike(6, RATE, 1) * 0.1, speechlike(6, RATE, 2) * 0.5
    bench.record("one.flac", np.concatenate([quiet, loud]))

    def levels() -> list[float]:
        return [integrated_lufs(*read_wav(bench.voice.path / c.audio)) for c in bench.clips()]

    bench.prepare(loudness="none")
    untouched = levels()
    assert np.ptp(untouched) > 8
    assert np.allclose(untouched, [c.lufs for c in bench.clips()], atol=0.1)
    bench.prepare(loudness="recording", true_peak_dbtp=-1.0)
    assert np.ptp(levels()) > 8
    assert max(levels()) == pytest.approx(-20, abs=3)
    bench.prepare(loudness="clip", target_lufs=-23.0)
    assert np.allclose(levels(), -23, atol=0.5)


def test_a_very_quiet_recording_is_cut_like_a_loud_one(bench: Bench) -> None:
    x = speechlike(20, RATE, 1)
    bench.record("loud.flac", x)
    bench.prepare()
    loud = np.array([(c.start_s, c.end_s) for c in bench.clips()])
    bench.record("loud.flac", x * 0.02)
    bench.prepare()
    assert np.abs(np.array([(c.start_s, c.end_s) for c in bench.clips()]) - loud).max() < 0.3


def test_the_same_recording_twice_counts_once(bench: Bench) -> None:
    for name in ("a.flac", "b.wav"):
        bench.record(name, speechlike(8, RATE))
    bench.prepare()
    assert {c.source for c in bench.clips()} == {"a.flac"}
    assert len({c.sha256 for c in bench.clips()}) == len(bench.clips())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no such names")
def test_a_name_that_is_no_unicode_is_left_out_with_a_word(bench: Bench) -> None:
    path = bench.record("one.flac", speechlike(5, RATE))
    os.rename(path, os.fsencode(path.parent) + b"/caf\xe9.flac")
    bench.record("two.flac", speechlike(5, RATE, 2))
    assert "no Unicode" in bench.prepare()["warnings"][0]
    assert {c.source for c in bench.clips()} == {"two.flac"}


def test_too_long_to_decode_is_said(bench: Bench) -> None:
    bench.record("one.flac", speechlike(8, RATE))
    settings = bench.settings.model_copy(update={"max_decode_hours": 0.001})
    with pytest.raises(BadInput, match="longer than"):
        run_prepare({"voice": bench.voice.name, "options": {"rate_hz": RATE}}, ForegroundContext(settings))
