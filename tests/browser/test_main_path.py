"""The main job in the page: an empty workspace, recordings in, a trained voice, converted audio that plays."""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

VOICE = "小雨"
PLAYS = """async (selector) => {
  const audio = document.querySelector(selector);
  if (!(audio.duration > 0))
    await new Promise((ok, no) => { audio.onloadedmetadata = ok; audio.onerror = () => no(audio.error.message); });
  await audio.play();
  await new Promise((ok) => { audio.ontimeupdate = () => audio.currentTime > 0.05 && ok(); });
  audio.pause();
  return [audio.duration, audio.currentTime];
}"""


def test_from_recordings_to_converted_audio(page: Any, studio: Any, do: Any, speech: Path, speech_man: Path,
                                            tmp_path: Path) -> None:
    # A voice and its recording.
    do.open(page, studio.url)
    page.wait_for_selector("[data-new-voice]")
    do.voice(page, VOICE)
    page.click("#nav a[href='#dataset']")
    page.set_input_files("#drop input[type=file]", str(speech))
    page.wait_for_selector("#recordings li")
    assert speech.name in page.inner_text("#recordings")

    # Clips: prepared, seen, heard, judged by keys.
    page.click("#prepare")
    page.wait_for_selector("#clips tr[data-id]")
    n_clips = page.locator("#clips tr[data-id]").count()
    assert n_clips >= 2
    page.click("#clips tr[data-id] >> nth=0")
    page.wait_for_selector("#clip-detail svg polygon")
    duration, position = page.evaluate(PLAYS, "#clip-detail audio")
    assert duration > 1
    assert position > 0
    page.locator("#clips tr[data-id] >> nth=0").focus()
    page.keyboard.press("r")
    page.wait_for_function("document.querySelector('#clip-summary').textContent.includes('1rejected')")
    page.wait_for_function("document.activeElement === document.querySelectorAll('#clips tr[data-id]')[1]")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("a")
    page.wait_for_function("document.querySelector('#clip-summary').textContent.includes('0rejected')")
    table = (studio.workspace / "voices" / VOICE / "sliced_audio" / "clips.jsonl").read_text("utf-8")
    assert sum(json.loads(line)["by_user"] for line in table.splitlines()) == 1

    # Training: pre-flight, live plots, TensorBoard on this origin, done.
    page.click("#nav a[href='#training']")
    page.wait_for_selector("#preflight .ts-checks li")
    assert "Data" in page.inner_text("#preflight")
    page.fill("#opt-steps input", "6")
    page.click("#train-expert button >> nth=0")
    for field, value in {"batch-size": "1", "segment-frames": "16", "log-every-steps": "1",
                         "save-every-steps": "6"}.items():
        page.fill(f"#opt-{field} input", value)
        page.keyboard.press("Tab")
    page.click("#train-start")
    page.wait_for_selector("#status-bar [data-act=cancel]")
    page.wait_for_selector("#run-plots svg polyline")
    page.get_by_role("tab", name="TensorBoard").click()
    board = page.frame_locator("#tensorboard iframe")
    board.get_by_role("combobox", name="Filter tags (regex)").fill("loss/g/mel")
    board.locator("card-view", has_text="loss/g/mel").first.wait_for()
    runs = page.evaluate("fetch('/tensorboard/data/plugin/scalars/tags').then((r) => r.json())")
    assert any("loss/g/mel" in tags for tags in runs.values())
    page.get_by_role("tab", name="Live").click()
    page.wait_for_selector("#run-head .ts-badge.ts-ok", timeout=900_000)

    # Conversion: key, progress, result that plays, file and sidecar to download.
    page.click("#nav a[href='#convert']")
    page.set_input_files("#source input[type=file]", str(speech_man))
    page.wait_for_selector("#source-player audio")
    page.click("#key-suggest")
    page.wait_for_selector("#key-told p")
    assert float(page.input_value("#key input[type=number]")) > 0, "from a man to a woman the key goes up"
    page.click("#convert")
    page.wait_for_selector("#result audio", timeout=900_000)
    duration, position = page.evaluate(PLAYS, "#result audio")
    assert abs(duration - page.evaluate("document.querySelector('#source-player audio').duration")) < 1.0
    assert position > 0
    page.click("#result [data-source] >> nth=1")
    before, _ = page.evaluate(PLAYS, "#result audio")
    assert before > 1
    with page.expect_download() as download:
        page.click("#result a[download] >> nth=1")
    sidecar = json.loads(Path(download.value.path()).read_text("utf-8"))
    assert sidecar

    # Cancel: the job ends, nothing half-made stays.
    page.click("#convert")
    page.wait_for_selector("#status-bar [data-act=cancel]")  # it runs
    page.click("#convert-job [data-act=cancel]")
    page.wait_for_selector("#convert-job .ts-job", state="detached")
    outputs = [p for p in (studio.workspace / "outputs").iterdir() if p.is_file()]
    assert len(outputs) == 2, "one conversion: its file and its sidecar"

    # A source that is no audio is refused in words, and the one before it stays.
    false = tmp_path / "song.wav"
    false.write_text("this is not audio\n" * 100)
    page.set_input_files("#source input[type=file]", str(false))
    page.wait_for_selector("[data-testid=toast-text]")
    assert "song.wav" in page.inner_text("[data-testid=toast-text]")
    assert speech_man.stem in page.inner_text("#source-player")
    assert not (studio.workspace / "outputs" / "sources" / "song.wav").exists()

    # Jobs: the three are done, the cancelled one says so; a log opens.
    page.click("#nav a[href='#jobs']")
    page.wait_for_function("document.querySelectorAll('#jobs .ts-badge.ts-ok').length === 3")
    page.get_by_role("cell", name="cancelled", exact=True).wait_for()
    page.click("#jobs [data-act=open] >> nth=0")
    page.wait_for_selector("#job-detail pre")
    page.click("#nav a[href='#home']")
    page.wait_for_selector("#home-board [data-page=convert]")
    assert "Traceback" not in studio.log.read_text("utf-8", "replace")
