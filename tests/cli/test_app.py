"""app.py as people and programs start it: real processes, real ports, real signals."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {key: value for key, value in os.environ.items() if not key.startswith("TIMBRE_")} | {"PYTHONUTF8": "1"}
PATIENCE_S = 180  # for a machine that does ten other things; nothing here is timed


def app(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, REPO_ROOT / "app.py", *arguments]
    return subprocess.run(
        command, env=ENVIRON | environ, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd="/"
    )


class Server:
    """`app.py serve` in a process of its own, its output read as it comes."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, REPO_ROOT / "app.py", "serve", "--no-browser", *arguments]
        self.process = subprocess.Popen(
            command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
        )
        assert self.process.stdout
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith("Timbre Studio: "):
                break
        else:
            raise AssertionError(f"it did not start: {self.lines}")
        self.url = self.lines[-1].split()[2]

    def get(self, path: str) -> dict[str, object]:
        with urllib.request.urlopen(self.url.rstrip("/") + path, timeout=PATIENCE_S) as answer:
            data = json.load(answer)
        assert isinstance(data, dict)
        return data

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, rest


@contextlib.contextmanager
def serving(*arguments: str | Path) -> Iterator[Server]:
    server = Server(*arguments)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


def test_serve_answers_stops_cleanly_and_moves_off_a_taken_port(workspace: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serving("--api-only", "--port", str(port), "--workspace", workspace) as server:
            assert server.get("/health")["ok"] is True
            assert server.url != f"http://127.0.0.1:{port}/"
            assert f"Port {port} is taken; using " in server.lines[0]
            assert str(workspace) in server.lines[-1]

            second = app("serve", "--api-only", "--no-browser", "--port", "0", "--workspace", workspace)
            assert second.returncode == 1
            assert "already open on this workspace" in second.stderr
            assert server.url in second.stderr, "it says where the first one is"
            assert "Traceback" not in second.stderr

            code, rest = server.stop()
            assert (code, "Traceback" in rest) == (0, False), rest


def test_ctrl_c_ends_serve_cleanly_and_the_workspace_is_free_again(workspace: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with serving("--api-only", "--port", "0", "--workspace", workspace) as server:
            deadline = time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    server.get("/health")
                    break
            code, rest = server.stop(number)
            assert code == 0, rest
            assert "Traceback" not in rest


def test_serve_beyond_this_machine_needs_a_token(workspace: Path) -> None:
    ran = app("serve", "--no-browser", "--host", "0.0.0.0", "--workspace", workspace)
    assert ran.returncode == 1
    assert "token" in ran.stderr.lower()
    assert not any(workspace.iterdir()), "refused before anything was written"


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (["convert", "nobody", __file__], 1, "not_found"),
        (["train", "nobody"], 1, "not_found"),
        (["prep", "nobody"], 1, "not_found"),
        (["prep", "v", "/no/such/file.wav"], 1, "not_found"),
        (["jobs", "--show", "7"], 1, "not_found"),
        (["convert", "nobody"], 2, "error"),
        (["convert", "nobody", __file__, "--from-sidecar", __file__], 1, "bad_input"),
        (["convert", "--from-sidecar", "/no/such/song.wav.json"], 1, "not_found"),
        (["convert", "--from-sidecar", __file__], 1, "bad_input"),
        (["convert", "--no-such-option"], 2, "error"),
    ],
)
def test_json_errors_are_one_line(arguments: list[str], code: int, kind: str, workspace: Path) -> None:
    ran = app(*arguments, "--workspace", workspace, "--json")
    assert ran.returncode == code, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == 1, ran.stdout
    data = json.loads(lines[0])
    assert data["ok"] is False
    assert data["error"]["code"] == kind, data
    assert data["error"]["message"]
    assert "Traceback" not in ran.stderr


def test_unknown_settings_are_named(workspace: Path) -> None:
    ran = app("voices", "--json", "--workspace", workspace, TIMBRE_PROT="1")
    assert ran.returncode == 1
    assert "TIMBRE_PROT" in json.loads(ran.stdout)["error"]["message"]


def test_voices_and_jobs_in_a_new_workspace(workspace: Path) -> None:
    made = app("voices", "--create", "小明 🎤", "--workspace", workspace, "--json")
    assert json.loads(made.stdout)["voices"][0]["clips"] == 0, made.stderr
    listed = app("voices", "--workspace", workspace)
    assert "小明" in listed.stdout
    assert json.loads(app("jobs", "--workspace", workspace, "--json").stdout) == {"ok": True, "jobs": []}


def test_stdout_is_the_json_lines_alone(tmp_path: Path) -> None:
    """Libraries print to stdout as they please; programs that read ours must not see it."""
    code = (
        "import os, sys; from cli.output import Output; out = Output(json_mode=True); print('noise'); "
        "os.write(1, b'noise from C'); out.line('for people'); out.finish({'a': '你'})"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=REPO_ROOT, env=ENVIRON, capture_output=True, check=True)
    assert json.loads(ran.stdout.decode()) == {"ok": True, "a": "你"}
    assert b"noise from C" in ran.stderr
