"""Training watched and judged in real Chromium: plots move, stop, resume, two checkpoints compared, a blind vote."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PLAYS = """async (selector) => {
  const audio = document.querySelector(selector);
  if (audio.paused) await audio.play();
  await new Promise((ok) => { audio.ontimeupdate = () => audio.currentTime > 0.05 && ok(); });
  audio.pause();
  return audio.duration;
}"""
# How many points the first curve has.
POINTS = "(document.querySelector('#run-plots polyline')?.getAttribute('points') || '').split(' ').length"


@pytest.fixture(scope="module")
def voice(studio: Any, speech: Path) -> str:
    """A voice with clips, made beside the running studio."""
    from core.settings import Settings
    from core.studio import Studio

    made = Studio(Settings(workspace=studio.workspace, threads=1))
    try:
        name = made.create_voice("choose").name
        made.add_recordings(name, [speech])
        made.run_foreground("prep", {"voice": name, "options": {}})
    finally:
        made.close()
    return name


def tab(page: Any, name: str) -> None:
    page.locator("#train-tabs").get_by_role("tab", name=name).click()


def set_up(page: Any, values: dict[str, str]) -> None:
    page.click("#train-expert button >> nth=0")
    for field, value in values.items():
        page.fill(f"#opt-{field} input", value)
        page.keyboard.press("Tab")


def badge(page: Any, state: str) -> None:
    page.locator("#run-head .ts-badge", has_text=state).wait_for()


def probes(studio: Any) -> int:
    """How many steps were rendered so far."""
    return len(list((studio.workspace / "logs").glob("*/probes/step_*/*.flac")))


def wait_for_probes(page: Any, studio: Any, n: int) -> None:
    while probes(studio) < n:
        page.wait_for_timeout(100)


def test_train_stop_resume_compare_vote(page: Any, studio: Any, do: Any, voice: str) -> None:
    # Start: the curves grow while it goes on, without TensorBoard.
    do.open(page, studio.url, "training")
    page.wait_for_function("name => document.querySelector('#voice input').value === name", arg=voice)
    set_up(page, {"steps": "5000", "batch-size": "1", "segment-frames": "8", "log-every-steps": "1",
                  "save-every-steps": "10"})
    page.click("#train-start")
    page.wait_for_selector("#run-plots polyline")
    before = page.evaluate(POINTS)
    page.wait_for_function(f"{POINTS} > {before + 1}")
    assert page.locator("#run-plots figure").count() >= 5
    assert page.locator("#run-log pre").count() == 1

    # Stop means saved; one click goes on from there.
    wait_for_probes(page, studio, 1)
    page.click("#train-stop")
    badge(page, "stopped")
    saved = page.locator("#run-head").inner_text()
    page.click("#run-head [data-act=resume]")
    badge(page, "running")
    wait_for_probes(page, studio, probes(studio) + 1)
    page.click("#train-stop")
    badge(page, "stopped")
    assert page.locator("#run-head").inner_text() != saved

    # Checkpoints: what to try first and why; each is heard, one is kept.
    tab(page, "Checkpoints")
    page.wait_for_selector("#suggestion li")
    assert "Try step" in page.inner_text("#suggestion")
    assert page.locator("#probe-plots polyline").count() >= 2
    newest = page.locator("#checkpoints tr[data-step] >> nth=0")
    newest.locator("[data-hear] >> nth=0").click()
    assert page.evaluate(PLAYS, "#checkpoints audio") > 0.2
    newest.locator("[data-act=star]").click()
    newest.locator("[data-act=unstar]").wait_for()

    # Blind: two of them, by keys and by clicks, to the end; what was what is told only then.
    tab(page, "Blind test")
    page.fill("#blind-rounds input", "3")
    page.keyboard.press("Tab")
    page.click("#blind-start")
    page.wait_for_selector("#blind [data-round='0']")
    assert "step" not in page.inner_text("#blind")
    assert page.evaluate(PLAYS, "#blind audio") > 0.2
    page.locator("#blind b >> nth=0").click()  # out of the field: the keys are for the vote
    page.keyboard.press("1")
    page.wait_for_selector("#blind [data-round='1']")
    page.click("#blind [data-choice=second]")
    page.wait_for_selector("#blind [data-round='2']")
    page.click("#blind [data-choice=same]")
    page.wait_for_selector("#blind [data-round]", state="detached")
    page.click("#blind [data-act=reveal]")
    page.wait_for_selector("#blind .ts-result")
    assert "step" in page.inner_text("#blind .ts-votes")
    assert "3 / 3" in page.inner_text("#blind-tests")
    assert "Traceback" not in studio.log.read_text("utf-8", "replace")


def test_clone_and_delete(page: Any, studio: Any, do: Any, voice: str) -> None:
    do.open(page, studio.url, "training")
    tab(page, "Runs")
    row = page.locator("#runs tbody tr >> nth=0")
    row.locator("[data-act=clone]").click()
    page.wait_for_selector("#train-clone .ts-banner")
    page.wait_for_function("document.querySelector('#opt-steps input').value === '5000'")
    page.fill("#opt-steps input", "7")
    page.keyboard.press("Tab")
    changes = "document.querySelector('#train-clone .ts-changes')?.innerText.trim().split(/\\s+/).join()"
    page.wait_for_function(f"{changes} === 'Steps,5000,7'")
    page.click("#train-clone [data-act=drop]")
    page.wait_for_selector("#train-clone .ts-banner", state="detached")
    page.once("dialog", lambda asked: asked.accept())
    row.locator("[data-act=delete]").click()
    row.wait_for(state="detached")
    assert len(list((studio.workspace / "logs" / ".trash").iterdir())) == 1
