"""Take the pictures of docs/images again: ``python tests/browser/pictures.py URL SOURCE [--out DIR] [--dark] [--zh]``.

URL is a running studio whose first voice has clips and a trained model; SOURCE is a short audio file to convert.
"""

import argparse
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

OUT = Path(__file__).resolve().parents[2] / "docs" / "images"
SIZE = {"width": 1280, "height": 800}


def save(page: Any, path: Path) -> None:
    """One picture as a small PNG: 256 colours are enough for a page this quiet."""
    from PIL import Image

    page.wait_for_timeout(2500)  # the clock's next tick, fonts, the player's own animation
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def dataset(page: Any, source: Path, out: Path) -> None:
    """Clips with one of them chosen, and what the quality check found."""
    page.click("#clips tr[data-id] >> nth=2")
    page.wait_for_selector("#clip-detail svg")
    save(page, out / "dataset.png")
    page.locator("#page-dataset").get_by_role("tab").nth(1).click()
    if page.locator("#qa-findings .ts-finding").count():
        save(page, out / "quality.png")


def cutting(page: Any, source: Path, out: Path) -> None:
    """The cues of the voice's first recording on its waveform, and what the last cutting did."""
    page.wait_for_selector(".ts-cue")
    page.click("#cue-1")
    save(page, out / "cutting.png")
    page.locator("#page-cutting").get_by_role("tab").nth(3).click()
    if page.locator("#cut-table tbody tr").count():
        save(page, out / "cutting-clips.png")


def training(page: Any, source: Path, out: Path) -> None:
    """The newest run with its curves."""
    page.wait_for_selector("#run-plots svg")
    page.wait_for_selector("#preflight li")
    save(page, out / "training.png")


def convert(page: Any, source: Path, out: Path) -> None:
    """A conversion with before and after."""
    page.set_input_files("#source input[type=file]", str(source))
    page.wait_for_selector("#source-player audio")
    page.click("#key-suggest")
    page.wait_for_selector("#key-told p")
    page.click("#convert")
    page.wait_for_selector("#convert-job .ts-job")
    page.wait_for_selector("#convert-job .ts-job", state="detached")
    save(page, out / "convert.png")


def home(page: Any, source: Path, out: Path) -> None:
    """The voices."""
    save(page, out / "home.png")


PAGES = {"dataset": dataset, "cutting": cutting, "training": training, "convert": convert, "home": home}


def main() -> None:
    """Read the arguments and take the pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--zh", action="store_true")
    parser.add_argument("--only", nargs="+", choices=list(PAGES), default=list(PAGES), help="these pages alone")
    parser.add_argument("--voice", help="the voice to show (default: the first)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE, color_scheme="dark" if args.dark else "light")
        page.set_default_timeout(300_000)
        page.goto(f"{args.url.rstrip('/')}/{'zh' if args.zh else 'en'}/")
        page.wait_for_selector("#status-bar .ts-status")
        page.wait_for_function("document.querySelector('#voice input').value")
        if args.voice:
            page.fill("#voice input", args.voice)
            page.keyboard.press("Enter")
        for name in args.only:
            page.click(f"#nav a[href='#{name}']")
            page.wait_for_selector(f"#page-{name}.ts-open")
            page.wait_for_timeout(2500)
            PAGES[name](page, args.source, args.out)
        browser.close()


if __name__ == "__main__":
    main()
