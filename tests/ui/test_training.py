"""The Training page without a browser: what it says of runs and checkpoints, what it serves, and that a blind test
stays blind."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api import errors
from core.audio.encode import write_audio
from core.checks import Check
from core.errors import BadInput
from core.jobs.model import Job, State
from core.settings import Settings
from core.studio import Studio
from core.training import listening
from core.training.alive import boot_id, host, own_process
from core.training.runs import Run, RunInfo, create_run
from ui.pages.training import clone_html, overrule_html, trial_html, with_trial
from ui.run_view import plots_html, run_head
from ui.texts import texts
from ui.training.blind import earlier_html, question_html, result_html, side_of, two_sides
from ui.training.checkpoints import checkpoints_html, exported_html, suggestion_html
from ui.training.routes import blind_url, exported_url, manifest_url, probe_url, router
from ui.training.runs import diff_html, manifest_html, megabytes, runs_table
from ui.training.shown import run_elsewhere

T = texts("en")
RATE_HZ = 16000
STEPS = (10, 20)
SIDES: tuple[Literal["first"], Literal["second"]] = ("first", "second")


def make_run(studio: Studio, name: str, clip_hz: float = 200.0, **fields: object) -> Run:
    """A run folder with two checkpoints, their probes (clearly different tones) and figures."""
    run = create_run(studio.settings.runs, name, "voice", "lite")
    info = RunInfo(run.name, "voice", "lite", "builtin", state="stopped", step=20, steps=40, best_step=20)
    for key, value in fields.items():
        setattr(info, key, value)
    run.write(info)
    time_s = np.arange(RATE_HZ) / RATE_HZ

    def tone(place: str, frequency_hz: float) -> None:
        folder = run.path / "probes" / place
        folder.mkdir(parents=True)
        write_audio(folder / "probe_1.flac", (0.2 * np.sin(6.28 * frequency_hz * time_s)).astype(np.float32), RATE_HZ)

    tone("recording", clip_hz)
    with open(run.path / "metrics.jsonl", "w", encoding="utf-8") as file:
        for step in STEPS:
            tone(f"step_{step:08d}", 300.0 + step)
            for kind in ("checkpoints", "light"):
                folder = run.path / kind / f"step_{step:08d}"
                folder.mkdir(parents=True)
                (folder / "manifest.json").write_text(json.dumps({"files": {}, "format": 1}))
            file.write(json.dumps({"step": step, "loss/g/mel": 30.0 / step, "lr": 1e-4,
                                   "probe/mel_distance": 20.0 / step}) + "\n")
    return run


@pytest.fixture
def studio(workspace: Path) -> Iterator[Studio]:
    made = Studio(Settings(workspace=workspace))
    yield made
    made.close()


@pytest.fixture
def client(studio: Studio) -> TestClient:
    app = FastAPI()
    errors.install(app)
    app.include_router(router(studio))
    return TestClient(app)


def address(url: str) -> str:
    return url.removeprefix("..")


def test_a_run_that_waits_or_failed_says_what_to_do() -> None:
    run = RunInfo("r <b>", "voice", "lite", "builtin", state="running", paused="needs 1 GB more <i>")
    html = run_head(T, run, None)
    assert "needs 1 GB more &lt;i&gt;" in html
    assert 'role="alert"' in html
    assert "data-act" not in html, "it goes on by itself"
    run = RunInfo("r <b>", "voice", "lite", "builtin", state="failed", offer={"batch_size": 2, "accumulate": 4})
    html = run_head(T, run, None)
    assert 'data-act="offer" data-run="r &lt;b&gt;"' in html
    assert "Batch (clips) 2, Batches a step 4" in html
    assert 'data-act="resume"' in html
    run.state = "completed"
    assert "data-act" not in run_head(T, run, None)


def test_runs_are_drawn_over_one_another(studio: Studio) -> None:
    rows = make_run(studio, "one").metrics()
    alone, both = plots_html(T, [("one", rows)]), plots_html(T, [("one", rows), ("two", rows)])
    assert alone.count("<polyline") == 3
    assert "ts-legend" not in alone
    assert both.count("<polyline") == 6
    assert both.count('class="ts-line-1"') == 4, "three curves and the legend"
    assert plots_html(T, [("new", []), ("one", rows)]).startswith('<p class="ts-empty"')


def test_overrule_names_what_fails_and_asks() -> None:
    assert overrule_html(T, []) == ""
    html = overrule_html(T, ["Disk", "Memory"])
    assert 'data-confirm="These checks failed: Disk, Memory.' in html


def test_clone_and_differences_speak_of_settings() -> None:
    html = clone_html(T, "old & run", [("steps", 8, 20)])
    assert "old &amp; run" in html
    assert "<td>8</td><td>20</td>" in html
    assert T("training.clone_same") in clone_html(T, "r", [])
    rows = [("learning_rate", 0.0, 1e-3), ("measures", True, False), ("holdout", ["x", "y"], [])]
    html = diff_html(T, "a", "b", rows)
    assert "<td>0.0</td><td>0.001</td>" in html
    assert "<td>on</td><td>off</td>" in html
    assert "<td>x, y</td><td>–</td>" in html
    assert T("run.diff_none") in diff_html(T, "a", "b", [])


def test_runs_table_offers_what_can_be_done() -> None:
    runs = [RunInfo("going", "v", "lite", "builtin", state="running"),
            RunInfo("stopped", "v", "lite", "builtin", state="stopped")]
    going, stopped = runs_table(T, runs, "going", {"stopped": 5 * 1024**2}).split("<tr aria-selected")[1:]
    assert [f'data-act="{act}"' in going for act in ("open", "resume", "clone", "diff", "delete")] == [
        True, False, True, False, False]
    assert all(f'data-act="{act}"' in stopped for act in ("open", "resume", "clone", "diff", "delete"))
    assert "(5.0 MB) to the trash" in stopped
    assert (megabytes(0), megabytes(34e6), megabytes(2e9)) == ("0.0 MB", "32 MB", "1.9 GB")


def test_checkpoints_are_listed_with_figures_sounds_and_stars(studio: Studio) -> None:
    make_run(studio, "run é")
    desk = studio.training
    desk.star("run é", 10)
    suggestion = desk.suggest_best("run é")
    assert suggestion is not None
    figures = {10: {"mel_distance": 2.0}, 20: {"mel_distance": 1.0}}
    html = checkpoints_html(T, "run é", desk.checkpoints("run é"), figures, desk.disk_use("run é"), suggestion)
    newest, oldest = html.split("<tr data-step=")[1:]
    assert newest.startswith('"20"')
    assert "try first" in newest
    assert "1.000" in newest
    assert 'data-act="star"' in newest
    assert 'data-act="unstar"' in oldest
    assert html.count("data-hear=") == 3, "two checkpoints and the recording itself"
    assert "2 full" in html
    said = suggestion_html(T, suggestion)
    assert "Try step 20 first." in said
    assert all(reason in said for reason in suggestion.reasons)
    assert T("training.no_suggestion") in suggestion_html(T, None)


def test_sounds_are_served_and_nothing_else(studio: Studio, client: TestClient) -> None:
    run = make_run(studio, "run é")
    for of, place in (("recording", "recording"), (10, "step_00000010")):
        answer = client.get(address(probe_url("run é", of, "probe_1.flac")))
        assert answer.content == (run.path / "probes" / place / "probe_1.flac").read_bytes()
    (run.path / "checkpoints" / "step_00000010" / "generator.safetensors").write_bytes(b"weights")
    for of, name in ((10, "../../run.json"), (10, "../../checkpoints/step_00000010/generator.safetensors"),
                     ("../../..", "probe_1.flac"), (99, "probe_1.flac")):
        assert client.get(address(probe_url("run é", of, name))).status_code in (404, 422), (of, name)
    assert client.get(address(probe_url("..", 10, "probe_1.flac"))).status_code in (404, 422)


def test_a_blind_test_of_two_runs_stays_blind_until_the_end(studio: Studio, client: TestClient) -> None:
    make_run(studio, "red")
    make_run(studio, "blue")
    desk = studio.training
    assert side_of("20 blue run") == ("blue run", 20)
    with pytest.raises(BadInput, match="no checkpoint"):
        side_of("something typed")
    test = desk.start_listening("red", 10, 20, rounds=6, seed=1, run_b="blue")
    assert (test.a, test.b) == ("red, step 10", "blue, step 20")
    seen = []
    for number in range(6):
        asked = desk.next_question("red", test.id)
        assert asked is not None
        assert asked.number == number
        html = question_html(T, "red", desk.listening_tests("red")[0], asked)
        assert not any(word in html for word in ("blue", "step", "swapped", asked.first.name, asked.second.name))
        sounds = [client.get(address(blind_url("red", test.id, number, side))).content for side in SIDES]
        assert sounds == [asked.first.read_bytes(), asked.second.read_bytes()]
        seen.append(sounds[0])
        # Votes for the one of the first round, wherever it lies.
        desk.vote("red", test.id, number, "first" if sounds[0] == seen[0] else "second")
    assert len(set(seen)) == 2, "the order changes from round to round"
    assert client.get(address(blind_url("red", test.id, 0, "x"))).status_code == 404
    assert 'data-act="reveal"' in question_html(T, "red", desk.listening_tests("red")[0], None)
    result = desk.close_listening("red", test.id)
    assert result.sure
    closed = desk.listening_tests("red")[0]
    html = result_html(T, closed, result)
    assert f"{closed.a if result.for_a else closed.b} is preferred." in html
    assert "3.1 %" in html, "two sides of six in a row: 2 / 64"
    assert T("listening.result") in earlier_html(T, [("red", closed)])
    assert "blue, 第 20 步" in earlier_html(texts("zh"), [("red", closed)])


def test_the_form_offers_two_different_checkpoints() -> None:
    assert two_sides([], None, None) == (None, None)
    assert two_sides(["10 r"], None, None) == ("10 r", None)
    assert two_sides(["20 r", "10 r"], "10 r", None) == ("10 r", "20 r"), "what was there before the second came"
    assert two_sides(["30 r", "20 r"], "10 r", "30 r") == ("20 r", "30 r"), "one was removed"
    assert two_sides(["30 r", "20 r", "10 r"], "10 r", "20 r") == ("10 r", "20 r")


def test_runs_of_other_clips_cannot_be_compared(studio: Studio) -> None:
    make_run(studio, "red")
    make_run(studio, "other", clip_hz=250.0)
    with pytest.raises(BadInput, match="no recordings of both"):
        studio.training.start_listening("red", 10, 20, run_b="other")
    with pytest.raises(BadInput, match="same checkpoint"):
        studio.training.start_listening("red", 10, 10, run_b="red")


def test_abx_says_whether_it_can_be_heard(studio: Studio) -> None:
    make_run(studio, "red")
    test = studio.training.start_listening("red", 10, 20, "abx", rounds=5, seed=3)
    asked = studio.training.next_question("red", test.id)
    assert asked is not None
    html = question_html(T, "red", test, asked)
    assert "side=x" in html
    assert T("listening.which_x") in html
    for row in test.rounds:
        row.choice = "first" if row.x_is_first else "second"
    assert T("listening.heard") in result_html(T, test, listening.result(test))
    test.rounds[0].choice = "second" if test.rounds[0].x_is_first else "first"
    unsure = result_html(T, test, listening.result(test))
    assert T("listening.not_heard") in unsure
    assert T("listening.more_votes") in unsure


def test_a_kept_checkpoint_has_a_name_and_can_be_exported(studio: Studio) -> None:
    make_run(studio, "run")
    desk = studio.training
    desk.star("run", 10, True, "warm <b>")
    html = checkpoints_html(T, "run", desk.checkpoints("run"), {}, desk.disk_use("run"), None, can_export=True)
    newest, oldest = html.split("<tr data-step=")[1:]
    assert "<i>warm &lt;b&gt;</i>" in oldest
    assert 'data-act="label"' in oldest
    assert 'data-act="label"' not in newest, "only what is kept is named"
    assert 'data-act="export"' in newest
    plain = checkpoints_html(T, "run", desk.checkpoints("run"), {}, desk.disk_use("run"), None)
    assert "export" not in plain


def test_manifest_and_exported_files_are_served(studio: Studio, client: TestClient) -> None:
    run = make_run(studio, "run é")
    assert client.get(address(manifest_url("run é"))).status_code == 404, "it has none yet"
    written = {"format": 1, "options": {}, "config": {}}
    (run.path / "manifest.json").write_text(json.dumps(written))
    answer = client.get(address(manifest_url("run é")))
    assert answer.json() == written
    assert "attachment" in answer.headers["content-disposition"]
    (run.path / "export").mkdir()
    (run.path / "export" / "G_10.pth").write_bytes(b"weights")
    assert client.get(address(exported_url("run é", "G_10.pth"))).content == b"weights"
    for name in ("../run.json", "G_11.pth"):
        assert client.get(address(exported_url("run é", name))).status_code == 404, name
    html = exported_html(T, "run é", studio.training.exported("run é"))
    assert address(exported_url("run é", "G_10.pth")) in html.replace("&amp;", "&")
    assert exported_html(T, "run é", []) == ""


def test_a_run_of_a_manifest_is_started_and_not_resumed() -> None:
    run = RunInfo("again", "v", "lite", "builtin", state="stopped", notes=["torch is 3 here"])
    html = run_head(T, run, None)
    assert f'{T("training.start")}</button>' in html
    assert "torch is 3 here" in html
    run.sessions = [{"from_step": 0}]
    assert f'{T("run.resume")}</button>' in run_head(T, run, None)
    assert manifest_url("again") in manifest_html(T, run)
    assert manifest_html(T, None) == ""


def test_how_long_a_stop_takes_is_said_while_it_runs() -> None:
    run = RunInfo("r", "v", "lite", "builtin", state="running", step_s=0.4, save_s=2.1)
    job = Job(1, "train", {}, "v", "running", 0.1, "", None, None, None, 1.0, 1.0, None, None, None, "train", "")
    assert "stopping takes about 3 s" in run_head(T, run, job)
    assert "stopping" not in run_head(T, run, None)


def test_the_head_line_is_in_the_language_of_the_page_and_whole_in_its_title() -> None:
    run = RunInfo("r", "v", "lite", "builtin", state="running", step=50, steps=5000)
    told = "step 50/5000 · loss 16.31 · 2.3 steps/s"
    job = Job(1, "train", {}, "v", "running", 0.1, told, None, None, None, 1.0, 1.0, None, None, None, "train", "")
    assert 'title="第 50/5000 步 · 损失 16.31 · 每秒 2.3 步"' in run_head(texts("zh"), run, job)
    assert 'title="step 50/5000 · loss 16.31 · 2.3 steps/s"' in run_head(T, run, job)


def test_the_runs_table_names_the_engine() -> None:
    html = runs_table(T, [RunInfo("r", "v", "large", "", options={"engine": "teapot"})], None, {})
    assert 'title="teapot">teapot <span class="ts-muted">large</span>' in html


def test_losses_of_an_engine_that_the_page_does_not_know_are_drawn() -> None:
    rows = [{"step": step, "loss/total": 1.0, "loss/stop": 0.5, "grad_norm": 2.0, "gpu_use": 90.0} for step in (1, 2)]
    html = plots_html(T, [("r", rows)])
    assert html.count("<figure") == 4
    assert "loss/stop" in html
    assert T("training.plot_gpu_use") in html
    assert T("training.plot_loss") in html


def test_the_memory_line_is_the_measured_one_while_the_settings_are_those() -> None:
    estimate = [Check("data", "ok", "d"), Check("memory", "ok", "about")]
    options = {"engine": "sovits", "batch_size": 6, "steps": 10}
    check = {"name": "memory", "verdict": "warn", "detail": "measured", "fix": "take 3"}
    job = Job(1, "trial", options, "v", "completed", 1.0, "", None, {"check": check}, None, 1.0, 1.0, 2.0, None, None,
              "train", "")
    assert with_trial(estimate, {**options, "steps": 99}, job) == [estimate[0], Check(**check)]
    assert with_trial(estimate, {**options, "batch_size": 3}, job) == estimate, "other batches were not measured"
    assert with_trial(estimate, options, None) == estimate
    assert 'data-act="trial"' in trial_html(T, job, True)
    assert trial_html(T, job, False) == ""
    assert 'data-act="cancel"' in trial_html(T, replace(job, state="running"), True)


def test_a_run_that_no_job_here_trains_can_be_stopped(studio: Studio) -> None:
    pid, pid_started = own_process()
    make_run(studio, "by hand", state="running", started_at=200.0, pid=pid, pid_started=pid_started, host=host(),
             boot_id=boot_id())
    make_run(studio, "ended", state="completed", started_at=100.0)
    runs = studio.runs("voice")

    def job(state: State, run: str) -> Job:
        return Job(1, "train", {"resume": run}, "voice", state, 0.0, "", None, None, None, 1.0, 1.0, None, None, None,
                   "train", "")

    found = run_elsewhere(None, runs, [])
    assert found is not None
    assert found.name == "by hand", "the newest is shown"
    assert run_elsewhere("by hand", runs, [job("running", "by hand")]) is None, "its job is cancelled instead"
    assert run_elsewhere("by hand", runs, [job("failed", "by hand"), job("running", "ended")]) is found
    assert run_elsewhere("ended", runs, []) is None
    assert run_elsewhere(None, [], []) is None
