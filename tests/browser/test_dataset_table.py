"""Two thousand clips in real Chromium: turned page by page, judged in bulk and by keys, undone; a cleaning is heard."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

VOICE, RECORDING, N_CLIPS, N_REVIEW = "many 多", "take.wav", 2000, 700
PLAYED = """async (selector) => {
  const audio = document.querySelector(selector);
  if (audio.currentTime === 0 && audio.paused)
    await new Promise((ok, no) => { audio.onplaying = ok; audio.onerror = () => no(audio.error.message); });
  return audio.duration;
}"""
SCROLLED = """async () => {
  const box = document.querySelector("#clips .ts-table-box");
  box.scrollTop = box.scrollHeight;
  await new Promise(requestAnimationFrame);
  const seen = [...box.querySelectorAll("tr[data-id]")].filter((row) => {
    const [a, b] = [row.getBoundingClientRect(), box.getBoundingClientRect()];
    return a.top < b.bottom && a.bottom > b.top;
  });
  return [box.scrollTop > 0, seen.at(-1).dataset.id];
}"""


def fill(workspace: Path) -> Path:
    """A voice with one cleaned recording and 2,000 clips that share one file, 700 of them up for review; its table."""
    from core.audio.encode import write_audio
    from core.cleaning.clean import run_clean
    from core.dataset.clips import Clip, ClipTable
    from core.dataset.voices import VoiceStore
    from core.jobs.context import ForegroundContext
    from core.settings import load_settings

    settings = load_settings({"workspace": str(workspace)}, env={})
    voice = VoiceStore(settings.voices_dir).create(VOICE)
    noise = np.random.default_rng(1).standard_normal(16000).astype(np.float32) * np.float32(0.05)
    write_audio(voice.raw / RECORDING, noise, 16000)
    shutil.copy(voice.raw / RECORDING, voice.sliced / "tiny.wav")
    run_clean({"voice": VOICE, "options": {"steps": ["highpass"]}}, ForegroundContext(settings))
    table = ClipTable(voice)
    table.save([
        Clip(f"{n:016x}", "sliced_audio/tiny.wav", RECORDING, n, n + 1, 1.0, -20.0, -3.0, 40.0, 0.0, f"{n:064x}",
             text=f"word {n}", verdict="review" if n < N_REVIEW else "accepted",
             reasons=["noisy"] if n < N_REVIEW else [])
        for n in range(N_CLIPS)
    ])  # fmt: skip
    return table.path


def shown(page: Any, counts: str) -> None:
    """Wait until the summary tells these counts: accepted, for review, rejected."""
    page.wait_for_function(
        "counts => [...document.querySelectorAll('#clip-summary .ts-figures b')].slice(1).map((b) => b.textContent)"
        ".join(' ') === counts", arg=counts)


def place(page: Any, text: str) -> None:
    page.wait_for_selector(f"#clips .ts-pager >> text={text}")


def press(page: Any, selector: str) -> None:
    """In one step: on a busy machine the table may be drawn again between the mouse going down and up."""
    page.locator(selector).evaluate("button => button.click()")


def focused(page: Any, number: int) -> None:
    page.wait_for_function("id => document.activeElement.dataset.id === id", arg=f"{number:016x}")


def test_two_thousand_clips(page: Any, studio: Any, do: Any) -> None:
    path = fill(studio.workspace)

    def verdicts() -> dict[str, int]:
        return dict(Counter(json.loads(line)["verdict"] for line in path.read_text("utf-8").splitlines()))

    do.open(page, studio.url, "dataset")
    page.wait_for_selector("#clips tr[data-id]")
    shown(page, "1300 700 0")
    assert page.locator("#clips tr[data-id]").count() == 100, "a page of them, not all"
    assert page.evaluate(SCROLLED) == [True, f"{99:016x}"]

    # Pages, by the button and by the arrow past the end.
    press(page, "#clips .ts-pager [data-act=page] >> nth=1")
    place(page, "101")
    page.focus("#clips tr[data-id] >> nth=0")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    place(page, "201")
    focused(page, 200)

    # The keys: space plays, r rejects and moves on, a accepts, and each can be undone.
    page.wait_for_selector("#clip-detail audio")
    page.wait_for_function("document.querySelector('#clip-detail').textContent.includes('word 200')")
    page.keyboard.press(" ")
    assert page.evaluate(PLAYED, "#clip-detail audio") == pytest.approx(1.0, abs=0.01)
    page.keyboard.press("r")
    shown(page, "1300 699 1")
    focused(page, 201)
    page.keyboard.press("a")
    shown(page, "1301 698 1")
    focused(page, 202)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Shift+ArrowUp")
    page.wait_for_function("document.querySelectorAll('#clips tr[aria-selected=true]').length === 2")
    page.keyboard.press("Control+z")
    shown(page, "1300 699 1")

    # All that a filter shows is rejected at once, undone, done again.
    press(page, "#clips [data-act=filter][data-choice=review]")
    place(page, "699")
    press(page, "#clips [data-act=all][data-verdict=rejected]")
    shown(page, "1300 0 700")
    assert verdicts() == {"accepted": 1300, "rejected": 700}
    press(page, "#clips [data-act=undo]")
    shown(page, "1300 699 1")
    press(page, "#clips [data-act=redo]")
    shown(page, "1300 0 700")
    assert len((path.parents[1] / "train.jsonl").read_text("utf-8").splitlines()) == 1300

    # A step of cleaning: the recording before it and after it, with one switch.
    page.get_by_role("tab", name="Clean recordings").click()
    press(page, "#cleaned [data-act=hear]")
    page.wait_for_selector("#cleaned-player audio")
    switch = page.locator("#cleaned-player [data-source]")
    assert switch.count() == 2
    files = [switch.nth(at).get_attribute("data-source") for at in (0, 1)]
    assert files[0] != files[1]
    switch.nth(1).click()
    page.evaluate("document.querySelector('#cleaned-player audio').play()")
    assert page.evaluate(PLAYED, "#cleaned-player audio") == pytest.approx(1.0, abs=0.01)
    assert "Traceback" not in studio.log.read_text("utf-8", "replace")
