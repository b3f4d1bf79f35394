"""`python -m benchmarks cue_page [--cues N]`: the page Cutting with thousands of cues, in headless Chromium.

A real studio is started over a recording with its subtitles, the page is opened as a person would, and
asked for its own clock. Needs playwright and a Chromium.
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._serving import chromium, serving
from benchmarks.slicing import write_srt

VOICE, NAME = "many", "many.wav"
_RATE_HZ = 8000
_EACH_S = 1.0
_PATIENCE_MS = 300_000

_SCROLL = """async () => {
  const list = document.querySelector("[data-desk=list]");
  const times = [];
  const step = (list.scrollHeight - list.clientHeight) / 120;
  let before = performance.now();
  for (let n = 0; n <= 120; n += 1) {
    list.scrollTop = n * step;
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - before);
    before = performance.now();
  }
  return { times, rows: document.querySelectorAll(".ts-cue").length, nodes: document.querySelectorAll("*").length };
}"""
_EDIT = """async (at) => {
  const desk = TS.desk;
  desk.select(at);
  const began = performance.now();
  desk.text.value = `changed ${at}`;
  desk.keep();
  const drawn = performance.now() - began;
  await desk.model.flush();
  return { drawn, saved: performance.now() - began };
}"""


def prepare(workspace: Path, n_cues: int) -> None:
    """A voice with one recording and its cues."""
    from core.audio.encode import write_audio
    from core.settings import load_settings
    from core.studio import Studio

    rng = np.random.default_rng(1)
    sound = rng.standard_normal(round(n_cues * _EACH_S * _RATE_HZ), dtype=np.float32) * np.float32(0.05)
    with tempfile.TemporaryDirectory() as temp:
        path = write_audio(Path(temp) / NAME, sound, _RATE_HZ)
        times = [(at * _EACH_S, at * _EACH_S + 0.8 * _EACH_S) for at in range(n_cues)]
        studio = Studio(load_settings({"workspace": str(workspace)}))
        try:
            studio.create_voice(VOICE)
            studio.add_recordings(VOICE, [path])
            studio.cutting.import_subtitles(VOICE, NAME, write_srt(Path(temp) / "many.srt", times))
        finally:
            studio.close()


def run(args: list[str]) -> dict[str, Any]:
    """Run the benchmark. Returns `cues`, `opened_s` (from the address to the drawn list), `frame_ms` (median and worst
    while 120 steps are scrolled), `rows` and `nodes` in the page, `edit_ms` (until drawn), `save_ms` (until kept)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cue_page", description=__doc__.splitlines()[0])
    parser.add_argument("--cues", type=int, nargs="+", default=[20, 2000], help="how many (default: 20 2000)")
    options = parser.parse_args(args)
    rows = []
    for n_cues in options.cues:
        with tempfile.TemporaryDirectory(prefix="cues-") as temp, chromium() as browser:
            prepare(Path(temp), n_cues)
            with serving("--workspace", temp) as (url, _):
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.set_default_timeout(_PATIENCE_MS)
                drawn = f"() => document.querySelector('[data-desk=count]')?.textContent === '{n_cues}'"
                opened = []
                for _ in range(4):  # the first one warms the server up
                    page.goto("about:blank")
                    page.goto(f"{url}/#cutting")
                    page.wait_for_function(drawn)
                    opened.append(page.evaluate("performance.now()") / 1000)
                scrolled = page.evaluate(_SCROLL)
                edits = [page.evaluate(_EDIT, at) for at in (0, n_cues // 2, n_cues - 1, 1, 2)]
        rows.append(
            {
                "cues": n_cues,
                "opened_s": round(statistics.median(opened[1:]), 2),
                "frame_ms": [round(statistics.median(scrolled["times"]), 1), round(max(scrolled["times"]), 1)],
                "rows": scrolled["rows"],
                "nodes": scrolled["nodes"],
                "edit_ms": round(statistics.median(one["drawn"] for one in edits), 1),
                "save_ms": round(statistics.median(one["saved"] for one in edits), 1),
            }
        )
    return {"benchmark": "cue_page", "rows": rows}


def markdown(figures: dict[str, Any]) -> str:
    """The page of the results."""
    lines = [
        "The page Cutting in headless Chromium, 1280 x 800: from the address to the drawn list (medians of three, the "
        "server warm), frames while the whole list is scrolled in 120 steps, and one edit until it is drawn and until "
        "the server has it.",
        "",
        "| cues | opened | frame, median / worst | rows in the page | elements in the page | edit drawn | edit saved |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        frame, worst = row["frame_ms"]
        cells = [
            row["cues"], f"{row['opened_s']} s", f"{frame} / {worst} ms", row["rows"], row["nodes"],
            f"{row['edit_ms']} ms", f"{row['save_ms']} ms",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"
