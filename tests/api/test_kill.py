"""kill -9 of the server and of a worker: no job is lost or done twice, and every status stays true."""

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "client"))
from timbre_client import CharacterClient

PATIENCE_S = 240.0


def until(what: Callable[[], Any], why: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline, why
        time.sleep(0.1)
    return found


def test_statuses_are_true_after_kill_9(
    server: Callable[..., Any], tmp_path: Path, speech: Path, speech_man: Path
) -> None:
    live = server(tmp_path / "ws")
    service = CharacterClient(live.url)
    for name, audio in (("ann", speech), ("bob", speech_man)):
        service.create_character(name, {"enable_denoise": False})
        service.upload_audio(name, audio)
    first = service.start("ann", "audio")["job_id"]
    second = service.start("bob", "audio")["job_id"]
    until(lambda: service.status("ann", "audio")["current_step"] != "queued", "the first job starts")
    live.kill()

    live = server(tmp_path / "ws")
    service = CharacterClient(live.url)
    assert {one["character_name"] for one in service.characters()} == {"ann", "bob"}
    ann = service.wait(lambda: service.status("ann", "audio"), PATIENCE_S, 0.2)
    bob = service.wait(lambda: service.status("bob", "audio"), PATIENCE_S, 0.2)
    assert (ann["status"], bob["status"]) == ("completed", "completed")
    assert (ann["job_id"], bob["job_id"]) == (first, second), "the very jobs, not others in their place"
    rows = service.call("GET", "/api/jobs")
    assert len(rows) == 2

    again = service.start("ann", "audio")["job_id"]
    worker = until(lambda: service.call("GET", f"/api/jobs/{again}")["pid"], "a worker for the job")
    os.kill(worker, signal.SIGKILL)
    ended = service.wait(lambda: service.status("ann", "audio"), PATIENCE_S, 0.2)
    assert ended["status"] == "failed"
    assert ended["error_message"]
    assert service.check_status("ann", "audio")["status"] == "completed", "the clips of before are whole"
    live.kill()
    for name in ("studio.sqlite3", "service.sqlite3"):
        with sqlite3.connect(tmp_path / "ws" / name) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
