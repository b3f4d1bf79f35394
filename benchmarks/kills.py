"""kill -9 of the server and of its workers at random moments under load: is a job lost, done twice, or lied about?

    python -m benchmarks kills [--seconds 240] [--seed 0] [--workers 1]

A real server with characters that are processed again and again while others speak. After the last kill every job must
have ended: each that the server had accepted is there, none was begun twice, one whose worker was killed says so, one
that says "completed" is, and both databases are whole.
"""

import argparse
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks._serving import ROOT, address_of
from core.audio.encode import write_audio
from core.audio.synthetic import WOMAN, recording

_CHARACTERS = 4
_SPEAKERS = 3
_PATIENCE_S = 300.0
_ENDED = ("completed", "failed", "cancelled", "interrupted")


class Trial:
    """The server, what was asked of it, and what was killed."""

    def __init__(self, workspace: Path, workers: int, seed: int) -> None:
        self.workspace, self.random = workspace, random.Random(seed)
        self.command = [sys.executable, str(ROOT / "app.py"), "serve", "--api-only", "--no-browser", "--port", "0",
                        "--workspace", str(workspace), "--workers", str(workers)]  # fmt: skip
        self.over = threading.Event()
        self.accepted: set[int] = set()
        self.killed: set[int] = set()
        self.counts: Counter[str] = Counter()
        self.url = ""
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.url = address_of(process)
        return process

    def kill_server(self) -> None:
        """And start it again."""
        self.process.kill()
        self.process.wait()
        self.counts["server kills"] += 1
        self.process = self._start()

    def kill_worker(self) -> None:
        """Of a job that runs now, if any does."""
        with contextlib.suppress(httpx.HTTPError, psutil.Error, ProcessLookupError):
            running = [job for job in self.jobs() if job["state"] == "running" and job["pid"]]
            if running:
                job = self.random.choice(running)
                if "core.jobs.worker" in psutil.Process(job["pid"]).cmdline():
                    os.kill(job["pid"], signal.SIGKILL)
                    self.killed.add(job["id"])
                    self.counts["worker kills"] += 1

    def jobs(self) -> list[dict[str, Any]]:
        """All of them."""
        answer = httpx.get(self.url + "/api/jobs", params={"limit": 1000}, timeout=30)
        found: list[dict[str, Any]] = answer.raise_for_status().json()
        return found

    def process_audio(self, number: int) -> None:
        """A client that has a character processed again as soon as it was."""
        while not self.over.is_set():
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.post(f"{self.url}/api/v1/characters/c{number}/audio/process", timeout=30)
                if answer.status_code == 200:
                    self.accepted.add(int(answer.json()["job_id"]))
                elif answer.status_code != 409:
                    self.counts[f"unexpected {answer.status_code}"] += 1
            self.over.wait(0.3)

    def speak(self) -> None:
        """A client that streams speech one after another; a connection that breaks is no error here."""
        while not self.over.is_set():
            with contextlib.suppress(httpx.HTTPError):
                answer = httpx.post(self.url + "/api/tts/stream", data={"text": "A word or two."}, timeout=30)
                self.counts["spoken" if answer.status_code == 200 else f"unexpected {answer.status_code}"] += 1
            self.over.wait(0.05)


def run(args: list[str]) -> dict[str, Any]:
    """Kill for a while, let everything end, and judge."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks kills")
    parser.add_argument("--seconds", type=float, default=240.0, metavar="S", help="how long (default: 240)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the moments (default: 0)")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="server processes (default: 1)")
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory(prefix="timbre kills ") as name:
        trial = Trial(Path(name) / "ws", options.workers, options.seed)
        try:
            _prepare(trial, Path(name))
            _kill(trial, options.seconds)
            return _judge(trial, options.seconds)
        finally:
            trial.over.set()
            trial.process.kill()
            trial.process.wait()


def _prepare(trial: Trial, folder: Path) -> None:
    audio, rate_hz = recording(20.0, WOMAN)
    write_audio(folder / "a.wav", audio, rate_hz, "wav", {})
    _until(lambda: httpx.get(trial.url + "/health", timeout=5).status_code == 200, "the server answers")
    for number in range(_CHARACTERS):
        body = {"character_name": f"c{number}", "config": {"enable_denoise": False}}
        httpx.post(trial.url + "/api/v1/characters", json=body, timeout=60).raise_for_status()
        upload = {"file": ("a.wav", (folder / "a.wav").read_bytes())}
        path = f"{trial.url}/api/v1/characters/c{number}/audio/upload"
        httpx.post(path, files=upload, timeout=60).raise_for_status()


def _kill(trial: Trial, seconds: float) -> None:
    clients = [threading.Thread(target=trial.process_audio, args=(n,), daemon=True) for n in range(_CHARACTERS)]
    clients += [threading.Thread(target=trial.speak, daemon=True) for _ in range(_SPEAKERS)]
    for client in clients:
        client.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(trial.random.uniform(0.3, 5.0))
        trial.random.choice((trial.kill_server, trial.kill_worker, trial.kill_worker))()
    trial.over.set()
    for client in clients:
        client.join(60)


def _judge(trial: Trial, seconds: float) -> dict[str, Any]:
    _until(lambda: all(job["state"] in _ENDED for job in trial.jobs()), "every job ends")
    jobs = {job["id"]: job for job in trial.jobs()}
    begun = {
        number: sum("starts, process" in line for line in Path(job["log"]).read_text("utf-8", "replace").splitlines())
        for number, job in jobs.items()
        if job["log"] and Path(job["log"]).is_file()
    }
    latest = {job["voice"]: job for job in sorted(jobs.values(), key=lambda job: int(job["id"]))}
    wrong = [
        f"{name}: {told['status']}, its job {job['state']}"
        for name, job in latest.items()
        if (told := httpx.get(f"{trial.url}/api/v1/characters/{name}/audio/status", timeout=30).json())["status"]
        != {"interrupted": "failed"}.get(job["state"], job["state"])
    ]
    states = Counter(job["state"] for job in jobs.values())
    lied = [n for n, job in jobs.items() if job["state"] == "completed" and not (job["result"] or {}).get("clips")]
    lied += [n for n, job in jobs.items() if job["state"] in ("failed", "interrupted") and n not in trial.killed]
    trial.process.kill()
    trial.process.wait()
    whole = {file.name: _integrity(file) for file in sorted(trial.workspace.glob("*.sqlite3"))}
    figures = {
        "seconds": seconds,
        **{key: trial.counts.get(key, 0) for key in ("server kills", "worker kills", "spoken")},
        "unexpected_answers": {k: n for k, n in trial.counts.items() if k.startswith("unexpected")},
        "jobs_accepted": len(trial.accepted),
        "jobs": dict(states),
        "lost": sorted(trial.accepted - jobs.keys()),
        "begun_twice": sorted(n for n, times in begun.items() if times > 1),
        "untrue": sorted(lied),
        "statuses_untrue": wrong,
        "databases": whole,
    }
    bad = [figures[key] for key in ("lost", "begun_twice", "untrue", "statuses_untrue", "unexpected_answers")]
    return {**figures, "failed": any(bad) or set(whole.values()) != {"ok"}}


def _integrity(file: Path) -> str:
    with contextlib.closing(sqlite3.connect(file)) as database:
        return str(database.execute("PRAGMA integrity_check").fetchone()[0])


def _until(what: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if what():
                return
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited in vain: {why}")
        time.sleep(0.2)


def markdown(figures: dict[str, Any]) -> str:
    """The page."""
    words = ("server kills", "worker kills", "spoken", "jobs_accepted", "jobs", "lost", "begun_twice", "untrue",
             "statuses_untrue", "unexpected_answers", "databases")  # fmt: skip
    rows = [f"| {word.replace('_', ' ')} | {figures[word] or 'none'} |" for word in words]
    return "\n".join(
        [f"kill -9 at random moments for {figures['seconds']:g} s, {_CHARACTERS} characters being processed again and "
         f"again, {_SPEAKERS} clients that speak.", "", "| | |", "|---|---|", *rows, "",
         "Untrue: a job that says completed without a result, or that says failed though nobody killed its worker."]
    ) + "\n"  # fmt: skip
