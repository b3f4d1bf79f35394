"""Training watched and judged in real Chromium: TensorBoard and the page's own plots move, stop, resume, two
checkpoints compared, a blind vote, a run repeated from its manifest."""

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
# The last step that TensorBoard shows of the only run; 0 before there is any.
BOARD_STEP = """fetch('/tensorboard/data/plugin/scalars/tags').then((r) => r.json()).then((runs) => {
  const run = Object.keys(runs)[0];
  if (!run) return 0;
  return fetch('/tensorboard/data/plugin/scalars/scalars?' + new URLSearchParams({ run, tag: 'loss/g/mel' }))
    .then((r) => r.json()).then((rows) => rows.length ? rows[rows.length - 1][1] : 0);
})"""


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
                  "save-every-steps": "5", "probes": "1", "keep-light": "2"})
    page.click("#train-start")
    page.wait_for_selector("#run-plots polyline")
    before = page.evaluate(POINTS)
    page.wait_for_function(f"{POINTS} > {before + 1}")
    assert page.locator("#run-plots figure").count() >= 5
    assert page.locator("#run-log pre").count() == 1
    assert "left" in page.inner_text("#run-head"), "how long it still takes"

    # TensorBoard moves too, on the same origin; it shows this run and has no projector.
    tab(page, "TensorBoard")
    board = page.frame_locator("#tensorboard iframe")
    board.get_by_role("combobox", name="Filter tags (regex)").fill("loss/g/mel")
    board.locator("card-view", has_text="loss/g/mel").first.wait_for()
    page.wait_for_function(BOARD_STEP)
    first = page.evaluate(BOARD_STEP)
    page.wait_for_function(f"{BOARD_STEP.rstrip()} .then((step) => step > {first})")
    assert "projector" not in page.evaluate("fetch('/tensorboard/data/plugins_listing').then((r) => r.json())")
    tab(page, "Live")

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
    # The save of a stop renders nothing, so that the stop is quick.
    newest = page.locator("#checkpoints tr[data-step]:has([data-hear]) >> nth=0")
    newest.locator("[data-hear] >> nth=0").click()
    assert page.evaluate(PLAYS, "#checkpoints audio") > 0.2
    newest.locator("[data-act=star]").click()
    newest.locator("[data-act=unstar]").wait_for()
    page.once("dialog", lambda asked: asked.accept("the warm one"))
    newest.locator("[data-act=label]").click()
    newest.get_by_text("the warm one").wait_for()

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
    # A reload in the middle loses no vote: the test is found again among those so far.
    page.reload()
    tab(page, "Blind test")
    page.click("#blind-tests [data-act=open]")
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


def test_the_plots_need_no_tensorboard(page: Any, studio: Any, do: Any, watch: Any, voice: str) -> None:
    blocked: list[str] = []

    def block(route: Any) -> None:
        blocked.append(route.request.url)
        route.abort()

    page.route("**/tensorboard/**", block)
    do.open(page, studio.url, "training")
    page.wait_for_selector("#run-plots polyline")
    before = page.evaluate(POINTS)
    page.click("#run-head [data-act=resume]")
    page.wait_for_function(f"{POINTS} > {before + 1}")
    tab(page, "TensorBoard")
    page.wait_for_selector("#tensorboard iframe")
    tab(page, "Live")
    now = page.evaluate(POINTS)
    page.wait_for_function(f"{POINTS} > {now + 1}")
    page.click("#train-stop")
    badge(page, "stopped")
    assert blocked, "TensorBoard was never asked for"
    watch.errors[:] = [error for error in watch.errors if "ERR_FAILED" not in error]


def test_a_run_is_repeated_from_its_manifest(page: Any, studio: Any, do: Any, voice: str) -> None:
    do.open(page, studio.url, "training")
    tab(page, "Runs")
    with page.expect_download() as download:
        page.click("#run-manifest a")
    kept = download.value.path()
    with page.expect_file_chooser() as chooser:
        page.click("#run-recreate")
    manifest = {"name": "manifest.json", "mimeType": "application/json", "buffer": Path(kept).read_bytes()}
    chooser.value.set_files(manifest)
    page.locator("#runs tbody tr >> nth=1").wait_for()
    again = page.locator("#runs tbody tr", has_text="again")
    assert "0 / 5,000" in again.inner_text()
    again.locator("[data-act=diff]").first.wait_for(state="detached")  # it is the one that is shown now
    page.locator("#runs tbody tr", has_text="stopped").locator("[data-act=diff]").first.click()
    page.wait_for_selector("#run-diff .ts-table-head")
    assert "All settings are the same" in page.inner_text("#run-diff")
    tab(page, "Live")
    assert "Repeats the run" in page.inner_text("#run-head .ts-notes")
    assert page.inner_text("#run-head [data-act=resume]") == "Start training"
    page.once("dialog", lambda asked: asked.accept())
    tab(page, "Runs")
    again.locator("[data-act=delete]").click()
    again.wait_for(state="detached")


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
    assert len(list((studio.workspace / "logs" / ".trash").iterdir())) == 2
