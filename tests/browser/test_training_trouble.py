"""Training in trouble, as a person sees it in real Chromium: a full disk, the page left, a killed studio, a killed
worker, a damaged checkpoint, too little memory, a loss that is no number. The disk and the memory are the worker's own
limits, set from outside while it runs."""

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.paths import REPO_ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1800)]
POINTS = "(document.querySelector('#run-plots polyline')?.getAttribute('points') || '').split(' ').length"
SMALL = {"steps": "50000", "batch-size": "1", "segment-frames": "8", "log-every-steps": "1", "save-every-steps": "10",
         "probe-every-steps": "100000", "keep-light": "0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trouble")


@pytest.fixture(scope="module")
def studio(folder: Path, chromium: str, do: Any, speech: Path) -> Iterator[Any]:
    """A studio that may be killed and started again: `process`, `served`."""
    from core.settings import Settings
    from core.studio import Studio

    process, served = do.start(folder)
    made = Studio(Settings(workspace=served.workspace, threads=1))
    try:
        name = made.create_voice("trouble").name
        made.add_recordings(name, [speech])
        made.run_foreground("prep", {"voice": name, "options": {}})
    finally:
        made.close()
    held = Held(process, served)
    yield held
    held.process.kill()
    for worker in held.workers:
        if psutil.pid_exists(worker):
            psutil.Process(worker).kill()


class Held:
    """A running studio and what it trains."""

    def __init__(self, process: Any, served: Any) -> None:
        self.process, self.served = process, served
        self.workers: set[int] = set()

    @property
    def url(self) -> str:
        return str(self.served.url)

    def run(self) -> dict[str, Any]:
        """run.json of the newest run; before there is any, what stands in for it."""
        files = list((self.served.workspace / "logs").glob("*/run.json"))
        if not files:
            return {"state": "", "saved_step": None, "step": 0, "pid": None, "options": {}}
        newest = max(files, key=lambda path: json.loads(path.read_text("utf-8"))["started_at"])
        found: dict[str, Any] = {**json.loads(newest.read_text("utf-8")), "folder": newest.parent}
        return found

    def worker(self) -> int:
        """The process that trains."""
        pid = self.run()["pid"]
        assert pid is not None, "nothing trains"
        self.workers.add(pid)
        return int(pid)


def start(page: Any, values: dict[str, str]) -> None:
    page.wait_for_function("document.querySelector('#voice input').value === 'trouble'")
    if not page.locator("#opt-batch-size input").is_visible():
        page.click("#train-expert button >> nth=0")
    for field, value in values.items():
        page.fill(f"#opt-{field} input", value)
        page.keyboard.press("Tab")
    page.click("#train-start")


def badge(page: Any, state: str) -> None:
    page.locator("#run-head .ts-badge", has_text=state).wait_for()


def moves(page: Any) -> None:
    """The first curve grows."""
    page.wait_for_selector("#run-plots polyline")
    before = page.evaluate(POINTS)
    page.wait_for_function(f"{POINTS} > {before}")


def until(page: Any, wish: Any) -> None:
    while not wish():
        page.wait_for_timeout(100)


def test_a_full_disk_and_all_that_may_be_killed(page: Any, studio: Held, do: Any, folder: Path) -> None:
    do.open(page, studio.url, "training")
    start(page, SMALL)
    badge(page, "running")
    moves(page)
    until(page, lambda: studio.run()["saved_step"])

    # No file may grow beyond 200 KB: a checkpoint finds no room. It says how much it needs, waits, and goes on.
    worker = studio.worker()
    soft, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (200_000, hard))
    waits = page.locator("#run-head [role=alert]", has_text="Waiting.")
    waits.wait_for()
    assert "MB in" in waits.inner_text()
    assert "goes on by itself" in waits.inner_text()
    saved = studio.run()["saved_step"]
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (soft, hard))
    waits.wait_for(state="detached")
    page.locator("#run-head .ts-notes", has_text="The disk was full").wait_for()
    until(page, lambda: studio.run()["saved_step"] > saved)
    assert studio.worker() == worker, "it was never restarted"

    # The page is left; whoever opens it again sees the run go on.
    address = page.url
    page.goto("about:blank")
    saved = studio.run()["saved_step"]
    until(page, lambda: studio.run()["saved_step"] > saved)
    page.goto(address)
    badge(page, "running")
    moves(page)

    # The studio is killed; the next one attaches to the same worker.
    page.goto("about:blank")
    studio.process.send_signal(signal.SIGKILL)
    studio.process.wait()
    saved = studio.run()["saved_step"]
    studio.process, studio.served = do.start(folder)
    do.open(page, studio.url, "training")
    badge(page, "running")
    moves(page)
    assert studio.worker() == worker
    assert studio.run()["saved_step"] > saved

    # The worker is killed: interrupted, and one click goes on from the last checkpoint.
    os.kill(worker, signal.SIGKILL)
    badge(page, "interrupted")
    saved = studio.run()["saved_step"]
    page.click("#run-head [data-act=resume]")
    badge(page, "running")
    moves(page)
    assert studio.worker() != worker
    assert studio.run()["sessions"][-1]["from_step"] == saved
    page.click("#train-stop")
    badge(page, "stopped")

    # One bit of the newest checkpoint is wrong: the one before is taken, and the page says so.
    newest = max((studio.run()["folder"] / "checkpoints").glob("step_*"))
    damaged = newest / "generator.safetensors"
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    page.click("#run-head [data-act=resume]")
    page.locator("#run-head .ts-notes", has_text=f"checkpoint {newest.name} is damaged").wait_for()
    badge(page, "running")
    assert 0 < studio.run()["sessions"][-1]["from_step"] < int(newest.name.removeprefix("step_"))
    page.click("#train-stop")
    badge(page, "stopped")


def test_too_little_memory_is_explained_and_the_offer_taken(page: Any, studio: Held, do: Any) -> None:
    do.open(page, studio.url, "training")
    start(page, {**SMALL, "batch-size": "12", "segment-frames": "64", "save-every-steps": "100000"})
    until(page, lambda: studio.run()["state"] == "running" and studio.run()["step"] >= 1
          and studio.run()["options"].get("batch_size") == 12)
    worker = psutil.Process(studio.worker())
    # No more memory than it had at its leanest moment, until a step does not fit.
    least = 2**62
    while studio.run()["state"] == "running" and worker.is_running():
        least = min(least, worker.memory_info().vms + 16 * 2**20)
        resource.prlimit(worker.pid, resource.RLIMIT_AS, (least, resource.RLIM_INFINITY))
        time.sleep(0.05)
    page.locator("#run-head [role=alert]", has_text="ran out of memory with batches of 12").wait_for()
    offer = page.locator("#run-head [data-act=offer]")
    offer.wait_for()
    assert "Batch (clips) 6, Batches a step 2" in page.inner_text("#run-head")
    name = studio.run()["name"]
    offer.click()
    badge(page, "running")
    moves(page)
    now = studio.run()
    assert (now["name"], now["options"]["batch_size"], now["options"]["accumulate"]) == (name, 6, 2)
    page.click("#train-stop")
    badge(page, "stopped")


def test_a_run_started_by_hand_is_stopped_from_the_page(page: Any, studio: Held, do: Any, folder: Path) -> None:
    from core.settings import Settings

    before = studio.run().get("name")
    options = {"voice": "trouble", "steps": 50000, "batch_size": 1, "segment_frames": 8, "log_every_steps": 1}
    settings = Settings(workspace=studio.served.workspace, threads=1, device="cpu")
    (folder / "settings.json").write_text(settings.for_worker(), "utf-8")
    (folder / "params.json").write_text(json.dumps(options), "utf-8")
    command = [sys.executable, "-m", "core.training.launch", "--settings", str(folder / "settings.json"),
               "--params", str(folder / "params.json")]
    with subprocess.Popen(command, cwd=REPO_ROOT, stdout=subprocess.DEVNULL) as by_hand:
        try:
            until(page, lambda: studio.run().get("name") != before and studio.run()["state"] == "running")
            do.open(page, studio.url, "training")
            badge(page, "running")
            moves(page)
            page.click("#train-stop")
            badge(page, "stopped")
            assert by_hand.wait(60) == 0
        finally:
            by_hand.kill()
    assert studio.run()["saved_step"] == studio.run()["step"] > 0


def test_a_loss_that_is_no_number_stops_at_the_last_good_checkpoint(page: Any, studio: Held, do: Any) -> None:
    from core.features import cache

    do.open(page, studio.url, "training")
    start(page, SMALL)
    until(page, lambda: studio.run()["state"] == "running" and studio.run()["saved_step"])
    page.click("#train-stop")
    badge(page, "stopped")
    saved = studio.run()["saved_step"]
    # What the run reads from now on is no number, and nothing but training can tell.
    features = studio.served.workspace / "cache" / "features"
    for path in features.glob("*/*.safetensors"):
        spec = cache.FeatureSpec(**json.loads((path.parent / "spec.json").read_text("utf-8")))
        sound = cache.load(path)
        cache.keep(features, spec, path.stem, dataclasses.replace(sound, units=sound.units * float("nan")))
    page.click("#run-head [data-act=resume]")
    problem = page.locator("#run-head [role=alert]", has_text="Training stopped near step")
    problem.wait_for()
    assert f"The checkpoint of step {saved} is good" in problem.inner_text()
    assert "lower learning rate" in problem.inner_text()
    badge(page, "failed")
    assert page.locator("#run-head [data-act=resume]").count() == 1
    assert studio.run()["saved_step"] == saved
