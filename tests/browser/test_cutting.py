"""The page Cutting in real Chromium: edges dragged and heard, cues edited, cleaned and cut, the clips in Dataset."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

N_CUES = 4
HEAR = """async (selector) => {
  const audio = document.querySelector(selector);
  if (!(audio.duration > 0))
    await new Promise((ok, no) => { audio.onloadedmetadata = ok; audio.onerror = () => no(audio.error.message); });
  if (audio.paused) await audio.play();
  await new Promise((ok) => { audio.ontimeupdate = () => audio.currentTime > 0.05 && ok(); });
  audio.pause();
  return [audio.duration, audio.currentTime];
}"""
DESK = "[data-desk=audio]"
SCROLL_ALL = """async () => {
  const list = document.querySelector("[data-desk=list]");
  const seen = new Set();
  let most = 0;
  for (let top = 0; top < list.scrollHeight; top += list.clientHeight) {
    list.scrollTop = top;
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    const rows = document.querySelectorAll(".ts-cue");
    most = Math.max(most, rows.length);
    rows.forEach((row) => seen.add(row.dataset.cue));
  }
  return { most, seen: seen.size };
}"""


def clock(seconds: float) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3600000:02d}:{ms // 60000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"


def seconds(text: str) -> float:
    minutes, rest = text.strip().split(":")
    return int(minutes) * 60 + float(rest)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, write_wav: Callable[..., Path]) -> tuple[Path, Path]:
    """A recording of four sentences with pauses, and its subtitles."""
    from core.audio.synthetic import SENTENCES, WOMAN, speak

    folder = tmp_path_factory.mktemp("talk")
    noise = np.random.default_rng(1)
    pieces, blocks, at = [], [], 0.0
    for number, sentence in enumerate(SENTENCES[:N_CUES], start=1):
        audio, rate_hz = speak(sentence, WOMAN)
        pause = noise.normal(0.0, 5e-4, int(0.7 * rate_hz)).astype(np.float32)
        start = at + pause.size / rate_hz
        at = start + audio.size / rate_hz
        blocks.append(f"{number}\n{clock(start + 0.02)} --> {clock(at - 0.05)}\n{sentence}\n")
        pieces += [pause, audio]
    sound = write_wav(folder / "talk 话.wav", np.concatenate(pieces), rate_hz)
    subtitles = folder / "talk.srt"
    subtitles.write_text("\n".join(blocks), "utf-8")
    return sound, subtitles


def open_cutting(page: Any, studio: Any, do: Any, voice: str, files: list[Path]) -> None:
    do.open(page, studio.url, "cutting")
    do.voice(page, voice)
    page.set_input_files("#cut-drop input[type=file]", [str(path) for path in files])


def saved(page: Any) -> None:
    page.wait_for_function("document.querySelector('[data-desk=state]').textContent === 'saved'")


def test_from_subtitles_to_clips(page: Any, studio: Any, do: Any, talk: tuple[Path, Path]) -> None:
    open_cutting(page, studio, do, "cutter 雨", list(talk))
    page.wait_for_function(f"document.querySelectorAll('.ts-cue').length === {N_CUES}")
    page.wait_for_selector(f".ts-region[data-at='{N_CUES - 1}']")

    # The band below the wave: speech inside the cues, none in the pauses.
    page.wait_for_function("TS.desk.wave.speech.blocks.size === 1")
    cues = page.evaluate("TS.desk.model.cues.map((c) => [c.start_ms / 1000, c.end_ms / 1000])")
    band = "([a, b]) => TS.desk.wave.speech.between(a, b)"
    assert all(page.evaluate(band, list(cue)) > 0.9 for cue in cues)
    assert all(page.evaluate(band, [a[1] + 0.3, b[0] - 0.2]) < 0.5 for a, b in pairwise(cues))

    # An edge is dragged with the mouse, and the new cut is heard.
    before = seconds(page.input_value("[data-desk=end]"))
    box = page.locator(".ts-region[data-at='0'] [data-edge=end]").bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] - 47, box["y"] + 40, steps=4)
    page.mouse.up()
    saved(page)
    start, end = (seconds(page.input_value(f"[data-desk={edge}]")) for edge in ("start", "end"))
    assert 0.3 < before - end < 3.0
    page.click("[data-do=play]")
    duration, position = page.evaluate(HEAR, DESK)
    assert abs(duration - (end - start)) < 0.002, "the file that is played is the cue as it was dragged"
    assert position > 0

    # Splitting, undoing, the keys.
    page.click("#cue-1")
    page.keyboard.press("s")
    assert page.locator(".ts-cue").count() == N_CUES + 1
    page.keyboard.press("Control+z")
    assert page.locator(".ts-cue").count() == N_CUES
    assert page.get_attribute("#cue-1", "aria-selected") == "true"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("r")
    assert "rejected" in page.inner_text("#cue-2")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("a")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("r")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert "rejected" in page.inner_text("#cue-2")
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.type(" are s")
    page.keyboard.press("Enter")
    assert page.inner_text("#cue-2 .ts-cue-text").endswith(" are s"), "letters are typed, not obeyed, in the text"
    saved(page)

    # The cutting: three of four cues become clips; what is heard is what lies on the disk.
    page.get_by_role("tab", name="Clips").click()
    page.click("#cut-options button")
    page.wait_for_timeout(500)  # Gradio fills what an accordion shows a moment after it shows it; nobody types so soon
    page.fill("#cut-speaker input, #cut-speaker textarea", "Ann 安")
    page.check("#cut-sovits input")
    page.click("#cut-start")
    page.wait_for_function(f"document.querySelectorAll('#cut-table tbody tr').length === {N_CUES - 1}")
    rows = [row.split("\t") for row in page.locator("#cut-table tbody tr").all_inner_texts()]
    cut_end = seconds(rows[0][3].split("–")[1])
    assert end - 0.3 < cut_end <= end + 0.101, "the clip ends at the dragged edge, not at the old one"
    page.click("#cut-table [data-hear] >> nth=0")
    duration, position = page.evaluate(HEAR, "#cut-table audio")
    table = studio.workspace / "voices" / "cutter 雨" / "sliced_audio" / "clips.jsonl"
    clips = [json.loads(line) for line in table.read_text("utf-8").splitlines()]
    assert abs(duration - clips[0]["duration_s"]) < 0.01
    assert position > 0

    # What other studios read was asked for, and is told.
    voice = studio.workspace / "voices" / "cutter 雨"
    assert "gpt_sovits.list" in page.inner_text("#cut-summary")
    assert (voice / "gpt_sovits.list").read_text("utf-8").count("|Ann 安|EN|") == len(clips)
    assert len(list((voice / "dataset_raw" / "Ann 安").iterdir())) == len(clips)

    # The clips are in Dataset, with their text.
    page.click("#cut-summary a[href='#dataset']")
    page.wait_for_selector("#clips tr[data-id]")
    assert page.locator("#clips tr[data-id]").count() == N_CUES - 1
    assert "harbour" in page.inner_text("#clips tr[data-id] >> nth=0")
    page.click("#clips [data-act=all][data-verdict=rejected]")
    page.wait_for_function("document.querySelector('#clip-summary').textContent.includes('3rejected')")
    page.click("#clips [data-act=undo]")
    page.wait_for_function("document.querySelector('#clip-summary').textContent.includes('0rejected')")
    assert "Traceback" not in studio.log.read_text("utf-8", "replace")


def test_damaged_subtitles_many_cues_and_cleaning(
    page: Any, studio: Any, do: Any, talk: tuple[Path, Path], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.srt"
    damaged.write_bytes(b"\xff\xfe\x00oops\n1\n00:00:01,000 --> 00:00:01,000\nx\n\n99:99 -->\n<b>\n\x00\x07" * 3)
    open_cutting(page, studio, do, "mender", [talk[0], damaged])
    page.wait_for_selector("#cue-findings summary")
    shown = page.inner_text("#page-cutting")
    assert re.search(r"\d+ remarks on damaged.srt", shown)
    assert "Traceback" not in shown

    # Two thousand cues: only those in sight are in the page.
    many = tmp_path / "many.srt"
    many.write_text("\n".join(
        f"{i + 1}\n{clock(i * 0.01)} --> {clock(i * 0.01 + 0.009)}\nword {i + 1}\n" for i in range(2000)))
    page.set_input_files("#cut-drop input[type=file]", str(many))
    page.wait_for_function("document.querySelector('[data-desk=count]').textContent === '2000'")
    assert 5 < page.locator(".ts-cue").count() < 60
    drawn = page.evaluate(SCROLL_ALL)
    assert drawn["most"] < 60, "rows out of sight were kept"
    assert drawn["seen"] == 2000
    assert page.locator(".ts-region").count() <= 150
    page.locator("[data-desk=list]").focus()
    page.keyboard.press("End")
    assert "word 2000" in page.inner_text("#cue-1999")
    assert page.locator(".ts-cue").count() < 60

    page.keyboard.press("Enter")
    page.keyboard.type("!")
    page.keyboard.press("Enter")
    saved(page)
    assert "word 2000!" in page.inner_text("#cue-1999")
    page.click("[data-do=whole]")
    assert page.locator(".ts-region").count() <= 1, "so many are drawn, not elements"

    # Cleaning by the rules: seen side by side, taken, and undone in the page.
    fragments = tmp_path / "fragments.srt"
    fragments.write_text("1\n00:00:00,720 --> 00:00:03,000\nthe old harbour wakes\n\n"
                         "2\n00:00:03,000 --> 00:00:05,450\nbefore the sun.\n\n"
                         "3\n00:00:06,300 --> 00:00:08,000\nshe counted\n\n"
                         "4\n00:00:08,000 --> 00:00:10,900\nseven lanterns.\n")
    page.set_input_files("#cut-drop input[type=file]", str(fragments))
    page.wait_for_function("document.querySelector('[data-desk=count]').textContent === '4'")
    page.get_by_role("tab", name="Clean and merge").click()
    page.click("#clean-start")
    page.wait_for_selector("#review tbody tr")
    n_merged = page.locator("#review tbody tr").count()
    assert n_merged < 4
    assert page.is_checked("#review input >> nth=0")
    page.click("#review [data-act=take]")
    page.wait_for_selector("#review .ts-empty-box")
    page.get_by_role("tab", name="Cues").click()
    page.wait_for_function(f"document.querySelector('[data-desk=count]').textContent === '{n_merged}'")
    page.click("[data-do=undo]")
    page.wait_for_function("document.querySelector('[data-desk=count]').textContent === '4'")
    assert "Traceback" not in studio.log.read_text("utf-8", "replace")
