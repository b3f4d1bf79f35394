"""The facade: what the doors call. Real folders, a real database, real processes; no engine is trained here."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import atomic
from core.dataset.clips import Clip, ClipTable
from core.dataset.voices import VoiceStore
from core.errors import BadInput, Conflict, NotFound, StudioError
from core.jobs import processes
from core.jobs.failures import JobBug
from core.jobs.handlers import Handler
from core.paths import REPO_ROOT
from core.settings import Settings
from core.studio import Studio
from core.training.runs import create_run

SAMPLES = Path(__file__).parent.parent / "jobs"
VOICE = "王菲 “live”"
WriteWav = Callable[[Path, np.ndarray, int], Path]


@pytest.fixture
def settings(workspace: Path, tmp_path: Path) -> Settings:
    return Settings(workspace=workspace, pretrain_dir=tmp_path / "pretrain", device="cpu")


@pytest.fixture
def studio(settings: Settings) -> Iterator[Studio]:
    studio = Studio(settings)
    yield studio
    studio.close()


def clip(number: int, verdict: str = "accepted", duration_s: float = 6.0) -> Clip:
    place = (f"c{number}", f"sliced_audio/c{number}.wav", "a.wav", 0.0, duration_s, duration_s)
    return Clip(*place, -20.0, -3.0, 40.0, 0.0, f"{number:064x}", verdict=verdict)  # type: ignore[arg-type]


def with_clips(studio: Studio, n_accepted: int = 5) -> None:
    studio.create_voice(VOICE)
    voice = VoiceStore(studio.settings.voices_dir).get(VOICE)
    ClipTable(voice).save([*(clip(n) for n in range(n_accepted)), clip(90, "review"), clip(91, "rejected")])


def with_model(studio: Studio, name: str = "run1", **card: Any) -> Path:
    folder = VoiceStore(studio.settings.voices_dir).get(VOICE).models / name
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x")
    given = {"voice": VOICE, "preset": "lite", "step": 500, "encoder": "builtin", "f0_median": 220.0, "created": 1.0}
    atomic.write_json(folder / "card.json", {**given, **card})
    return folder


def with_encoder(studio: Studio) -> None:
    for name in ("encoder.safetensors", "encoder.json"):
        atomic.write_text(studio.settings.pretrain_dir / "builtin" / name, "{}")


# -- light and lazy


def test_importing_the_facade_is_light() -> None:
    code = "import sys, core.studio; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = [
        "torch",
        "numpy",
        "gradio",
        "fastapi",
        "av",
        "scipy",
        "librosa",
        "soundfile",
        "tensorboard",
        "transformers",
    ]
    answer = subprocess.run(
        [sys.executable, "-c", code, *heavy], cwd=REPO_ROOT, capture_output=True, text=True, timeout=120
    )
    assert answer.stdout.strip() == "[]", answer.stderr


def test_what_a_page_asks_every_second_stays_light(settings: Settings) -> None:
    code = (
        "import sys; from pathlib import Path; from core.settings import Settings; from core.studio import Studio\n"
        "s = Studio(Settings(workspace=Path(sys.argv[1]))); s.start('u'); s.create_voice('v')\n"
        "s.voices(); s.clips('v'); s.recordings('v'); s.runs(); s.voice_models('v'); s.jobs(); s.status(); s.close()\n"
        "print([m for m in ('torch', 'gradio', 'scipy', 'librosa') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(settings.workspace)],
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.stdout.strip() == "[]", answer.stderr


def test_making_a_studio_leaves_no_trace(settings: Settings) -> None:
    Studio(settings).close()
    assert os.listdir(settings.workspace) == []


# -- voices


def test_voices_from_creation_to_trash(studio: Studio) -> None:
    assert studio.voices() == []
    assert studio.create_voice("  Anna/../x ").name == "Anna_.._x"
    with pytest.raises(Conflict):
        studio.create_voice("Anna/../x")
    with_clips(studio)
    with_model(studio)
    run = create_run(studio.settings.runs, None, VOICE, "lite")
    write_run(studio, run.name)
    summary = {one.name: one for one in studio.voices()}[VOICE]
    assert (summary.clips, summary.accepted, summary.runs, summary.models) == (7, 5, 1, 1)
    assert summary.minutes == pytest.approx(0.5)
    studio.delete_voice(VOICE)
    assert [one.name for one in studio.voices()] == ["Anna_.._x"]
    assert list(studio.settings.voices_dir.glob(f".trash/{VOICE}*/sliced_audio/clips.jsonl"))
    with pytest.raises(NotFound):
        studio.clips(VOICE)


def write_run(studio: Studio, name: str, **info: Any) -> None:
    given = {"name": name, "voice": VOICE, "preset": "lite", "encoder": "builtin", "state": "stopped", "step": 10}
    given |= {"steps": 100, "saved_step": 10, "options": {"voice": VOICE}, "started_at": time.time(), **info}
    atomic.write_json(studio.settings.runs / name / "run.json", given)


def test_a_new_name_reaches_runs_and_jobs(studio: Studio) -> None:
    with_clips(studio)
    (studio.settings.runs / "r1").mkdir(parents=True)
    write_run(studio, "r1")
    job = studio._jobs.submit("prep", {}, VOICE)
    studio.cancel(job.id)
    studio.rename_voice(VOICE, "Faye")
    assert [run.name for run in studio.runs("Faye")] == ["r1"]
    assert studio.runs("Faye")[0].options["voice"] == "Faye"
    assert studio.runs(VOICE) == []
    assert studio.job(job.id).voice == "Faye"
    assert len(studio.clips("Faye")) == 7


def test_a_voice_that_a_job_works_on_is_not_renamed_nor_deleted(studio: Studio) -> None:
    with_clips(studio)
    studio._jobs.submit("prep", {"voice": VOICE}, VOICE)
    for change in (lambda: studio.rename_voice(VOICE, "x"), lambda: studio.delete_voice(VOICE)):
        with pytest.raises(Conflict, match="prep"):
            change()
    assert studio.clips(VOICE)


def test_recordings_and_those_that_cannot_be_read(studio: Studio, tmp_path: Path, write_wav: WriteWav) -> None:
    studio.create_voice(VOICE)
    tone = (0.3 * np.sin(np.arange(8000 * 2) * 0.2)).astype(np.float32)
    folder = tmp_path / "in"
    write_wav(folder / "sub" / "a.wav", tone, 8000)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "broken.wav").write_bytes(b"RIFF")
    seen: list[float] = []
    report = studio.add_recordings(VOICE, [folder], lambda fraction, _: seen.append(fraction))
    assert [path.name for path in report.added] == ["a.wav"]
    assert [name for name, _ in report.skipped] == ["broken.wav"]
    assert seen[-1] == 1.0
    voice = VoiceStore(studio.settings.voices_dir).get(VOICE)
    (voice.raw / "later.wav").write_bytes(b"put here by hand")
    good, bad = studio.recordings(VOICE)
    assert (good.name, good.rate_hz, good.channels, good.problem) == ("a.wav", 8000, 1, "")
    assert good.duration_s == pytest.approx(2.0)
    assert (bad.duration_s, bool(bad.problem)) == (None, True)


# -- clips


def test_clips_are_read_again_when_they_change(studio: Studio) -> None:
    with_clips(studio)
    assert {one.verdict for one in studio.clips(VOICE)} == {"accepted", "review", "rejected"}
    studio.set_verdict(VOICE, ["c90", "c91"], "accepted")
    clips = studio.clips(VOICE)
    assert {one.verdict for one in clips} == {"accepted"}
    assert [one.id for one in clips if one.by_user] == ["c90", "c91"]
    clips.clear()  # the caller's copy
    assert len(studio.clips(VOICE)) == 7
    with pytest.raises(BadInput):
        studio.set_verdict(VOICE, ["c1"], "perhaps")


def test_prepare_refuses_what_cannot_work(studio: Studio, speech: Path) -> None:
    with pytest.raises(NotFound, match="no voice"):
        studio.prepare("nobody")
    studio.create_voice(VOICE)
    with pytest.raises(Conflict, match="no recordings"):
        studio.prepare(VOICE)
    studio.add_recordings(VOICE, [speech])
    with pytest.raises(BadInput, match="slizer"):
        studio.prepare(VOICE, {"slizer": "vad"})
    job = studio.prepare(VOICE, {"slicer": "vad"}, files=["woman.wav"])
    assert job.params == {"voice": VOICE, "options": {"slicer": "vad"}, "files": ["woman.wav"]}
    assert (job.kind, job.lane, job.voice) == ("prep", "work", VOICE)


# -- training


def test_clips_are_not_made_again_under_a_training(studio: Studio, speech: Path) -> None:
    studio.create_voice(VOICE)
    studio.add_recordings(VOICE, [speech])
    job = studio._jobs.submit("train", {"voice": VOICE}, VOICE)
    with pytest.raises(Conflict, match=r"\(train\) works on") as caught:
        studio.prepare(VOICE)
    assert "Wait" in caught.value.hint
    studio.cancel(job.id)
    assert studio.prepare(VOICE).kind == "prep"


def test_train_asks_preflight_first(studio: Studio) -> None:
    with pytest.raises(BadInput, match="stepz"):
        studio.train({"voice": VOICE, "stepz": 3})
    with pytest.raises(NotFound):
        studio.train({"voice": "nobody"})
    studio.create_voice(VOICE)
    with_encoder(studio)
    assert {check.name: check.verdict for check in studio.preflight({"voice": VOICE})}["data"] == "fail"
    with pytest.raises(Conflict, match="data") as err:
        studio.train({"voice": VOICE})
    assert err.value.hint
    studio.delete_voice(VOICE)
    with_clips(studio)
    with pytest.raises(Conflict, match="clips"):  # the table names files that are not there
        studio.train({"voice": VOICE, "preset": "lite", "steps": 20})
    job = studio.train({"voice": VOICE, "preset": "lite", "steps": 20}, overrule=True)
    assert (job.kind, job.lane, job.params["steps"]) == ("train", "train", 20)


def test_resume_goes_on_once(studio: Studio) -> None:
    with pytest.raises(NotFound, match="r1"):
        studio.resume("r1")
    (studio.settings.runs / "r1").mkdir(parents=True)
    write_run(studio, "r1")
    job = studio.resume("r1", steps=200)
    assert job.params == {"resume": "r1", "steps": 200}
    assert job.voice == VOICE
    with pytest.raises(Conflict, match="waiting"):
        studio.resume("r1")
    me = os.getpid(), __import__("psutil").Process().create_time()
    write_run(studio, "r1", state="running", pid=me[0], pid_started=me[1])
    with pytest.raises(Conflict, match="going on"):
        studio.resume("r1")
    with pytest.raises(BadInput, match="outside"):
        studio.resume("../voices")


def test_retry_of_a_training_goes_on_where_it_had_saved(studio: Studio) -> None:
    store = studio._jobs.store
    begun = store.add("train", {"voice": VOICE, "preset": "lite", "steps": 100}, lane="train", voice=VOICE)
    early = store.add("train", {"voice": VOICE, "preset": "tiny", "steps": 100}, lane="early", voice=VOICE)
    store.claim("train")
    store.claim("early")
    (studio.settings.runs / "r1").mkdir(parents=True)
    write_run(studio, "r1")
    for job in (begun, early):
        store.finish(job.id, "failed", error=StudioError("m"))
    assert studio.retry(begun.id).params == {"resume": "r1"}
    assert studio.retry(early.id).params == early.params  # its run never came to be: begin again


def test_metrics_of_a_run(studio: Studio) -> None:
    (studio.settings.runs / "r1").mkdir(parents=True)
    write_run(studio, "r1")
    rows = [{"step": 1, "loss/g/total": 3.0}, {"step": 2, "loss/g/total": 2.0}]
    text = "\n".join(json.dumps(row) for row in rows) + '\n{"step": 3, "lo'
    (studio.settings.runs / "r1" / "metrics.jsonl").write_text(text, encoding="utf-8")
    assert studio.metrics("r1") == rows
    assert studio.metrics("r1", since_step=1) == rows[1:]
    with pytest.raises(NotFound):
        studio.metrics("r2")


# -- models and conversion


def test_models_newest_first_and_only_whole_ones(studio: Studio) -> None:
    studio.create_voice(VOICE)
    with_model(studio, "old", created=1.0)
    with_model(studio, "new", created=2.0, f0_median=None)
    (with_model(studio, "no card") / "card.json").unlink()
    (with_model(studio, "bad card") / "card.json").write_text("{")
    (with_model(studio, "no weights") / "model.safetensors").unlink()
    with_model(studio, "being replaced.new")
    new, old = studio.voice_models(VOICE)
    assert (new.name, new.f0_median) == ("new", None)
    assert (old.name, old.f0_median, old.step, old.preset, old.encoder) == ("old", 220.0, 500, "lite", "builtin")


def test_convert_refuses_what_cannot_work(studio: Studio, speech: Path, tmp_path: Path) -> None:
    studio.create_voice(VOICE)
    with pytest.raises(NotFound, match="no trained model"):
        studio.convert({"voice": VOICE, "source": speech})
    with_model(studio)
    with pytest.raises(BadInput, match="no file"):
        studio.convert({"voice": VOICE, "source": tmp_path / "none.wav"})
    with pytest.raises(BadInput, match="transposition"):
        studio.convert({"voice": VOICE, "source": speech, "transposition": 3})
    job = studio.convert({"voice": VOICE, "source": speech, "transpose": "auto"})
    assert job.params == {"voice": VOICE, "source": str(speech), "transpose": "auto"}


def test_the_suggested_key_is_the_distance_of_the_medians(studio: Studio, tmp_path: Path, write_wav: WriteWav) -> None:
    studio.create_voice(VOICE)
    with_model(studio, f0_median=220.0)
    at_s = np.arange(16000 * 3) / 16000
    hum = sum(np.sin(2 * np.pi * 110.0 * k * at_s) / k for k in range(1, 12)) * 0.2
    source = write_wav(tmp_path / "hum.wav", np.concatenate([np.zeros(16000), hum]).astype(np.float32), 16000)
    found = studio.suggest_key(source, VOICE)
    assert found.semitones == 12
    assert found.source_median_hz == pytest.approx(110.0, rel=0.02)
    silent = write_wav(tmp_path / "silent.wav", np.zeros(16000, np.float32), 16000)
    assert studio.suggest_key(silent, VOICE).semitones == 0
    with pytest.raises(NotFound, match="no model 'other'"):
        studio.suggest_key(source, VOICE, "other")


# -- jobs


@pytest.fixture
def busy_studio(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """With the queue's sample handlers."""
    monkeypatch.setenv("PYTHONPATH", str(SAMPLES))
    monkeypatch.syspath_prepend(str(SAMPLES))
    kinds = {name: Handler(f"sample_handlers:{name}", "work") for name in ("sleepy", "bad_input", "bug", "until_told")}
    studio = Studio(settings, kinds)
    yield studio
    jobs = studio.jobs()
    studio.close()
    for job in jobs:
        processes.end(processes.tree(None, processes.mark_of(settings.database, job.id)), 0.2)


def test_jobs_through_the_facade(busy_studio: Studio, tmp_path: Path) -> None:
    assert busy_studio.start("http://127.0.0.1:7860") == []
    job = busy_studio._jobs.submit("until_told", {"touch": str(tmp_path / "a"), "go": str(tmp_path / "go")})
    later = busy_studio._jobs.submit("sleepy", {"steps": 1})
    deadline = time.monotonic() + 90
    while not (tmp_path / "a").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    status = busy_studio.status()
    assert [one.id for one in status.running] == [job.id]
    assert (status.queued, status.device.kind) == (1, "cpu")
    assert status.disk_free_bytes > 0
    assert "process" in busy_studio.job_log(job.id)
    with pytest.raises(NotFound, match="no log"):
        busy_studio.job_log(later.id)
    second = Studio(busy_studio.settings)
    with pytest.raises(Conflict, match="7860"):
        second.start()
    assert [one.id for one in second.jobs()] == [later.id, job.id]
    second.cancel(later.id)
    second.close()
    (tmp_path / "go").touch()
    while busy_studio.job(job.id).active and time.monotonic() < deadline:
        time.sleep(0.02)
    assert busy_studio.job(job.id).state == "completed"
    assert busy_studio.job(later.id).state == "cancelled"


def test_in_the_foreground(busy_studio: Studio) -> None:
    before = signal.getsignal(signal.SIGINT)  # a shell's background job starts with the signal ignored
    seen: list[tuple[float, str]] = []
    result = busy_studio.run_foreground("sleepy", {"steps": 3}, lambda *told: seen.append(told))
    assert result["steps"] == 3
    assert result["job"] is None
    assert seen[0] == (0.0, "step 0")
    with pytest.raises(BadInput, match="is empty"):
        busy_studio.run_foreground("bad_input", {})
    with pytest.raises(JobBug, match="ValueError") as err:
        busy_studio.run_foreground("bug", {})
    assert "only for the log" not in str(err.value)
    with pytest.raises(BadInput, match="no kind"):
        busy_studio.run_foreground("fly", {})
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(
    ("kind", "answer"), [("saves_when_stopped", "{'stopped': True, 'step': 7}"), ("sleepy", "Cancelled")]
)
def test_ctrl_c_stops_and_saves(settings: Settings, tmp_path: Path, kind: str, answer: str) -> None:
    code = """
import sys
from pathlib import Path
from core.errors import Cancelled
from core.jobs.handlers import Handler
from core.settings import Settings
from core.studio import Studio
workspace, kind, touch = sys.argv[1:]
studio = Studio(Settings(workspace=Path(workspace)), {kind: Handler("sample_handlers:" + kind, "work")})
try:
    print(studio.run_foreground(kind, {"touch": touch, "steps": 10000}))
except Cancelled:
    print("Cancelled")
"""
    touch = tmp_path / "began"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(settings.workspace), kind, str(touch)],
        cwd=REPO_ROOT,
        env={**os.environ, "PYTHONPATH": str(SAMPLES)},
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 90
    while not touch.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=90)[0].strip() == answer
    assert child.returncode == 0


def test_what_a_killed_process_left_is_swept_at_the_start(studio: Studio) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "pass"])
    dead.wait()
    left = studio.settings.outputs / f".tmp-{dead.pid}-abc.wav"
    left.parent.mkdir(parents=True)
    left.touch()
    studio.start()
    deadline = time.monotonic() + 60
    while left.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left.exists()
