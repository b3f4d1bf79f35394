"""Every page in real Chromium: opens, speaks both languages, fits, obeys the keyboard, and says what was wrong."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
PAGES = ("home", "dataset", "cutting", "training", "convert", "song", "live", "speech", "models", "jobs", "settings")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_page_opens_and_fits(page: Any, studio: Any, do: Any, watch: Any, lang: str) -> None:
    do.open(page, f"{studio.url}/{lang}/")
    assert page.evaluate("document.documentElement.lang").startswith(lang)
    for name in PAGES:
        page.click(f"#nav a[href='#{name}']")
        page.wait_for_selector(f"#page-{name}.ts-open")
        assert page.locator(".ts-page.ts-open").count() == 1
        title, link = page.inner_text(f"#page-{name} h1"), page.inner_text(f"#nav a[href='#{name}'] span >> nth=0")
        assert title == link
        assert page.get_attribute(f"#nav a[href='#{name}']", "aria-current") == "page"
        width, height = page.evaluate(
            "(() => { const w = document.querySelector('.ts-work');"
            " return [w.scrollWidth - w.clientWidth, w.scrollHeight - w.clientHeight]; })()")
        assert (max(width, 0), max(height, 0)) == (0, 0), f"{name} does not fit 1280x800"
    assert page.locator("footer:visible").count() == 0
    assert watch.local > 20, "no request was recorded: the watch looks in the wrong place"


def test_a_page_that_nobody_touches_rests_and_still_follows(page: Any, studio: Any, do: Any) -> None:
    drawn: list[str] = []
    page.on("request", lambda asked: drawn.append(asked.url) if "/gradio_api/run" in asked.url else None)
    do.open(page, f"{studio.url}/en/")
    while drawn:
        drawn.clear()
        page.wait_for_timeout(4000)  # longer than two beats: a page that beats would have drawn
    bar = page.evaluate_handle("document.querySelector('#status-bar .ts-status')")
    page.wait_for_function("bar => !bar.isConnected", arg=bar)  # memory or load differ after a while: the bar lives
    assert drawn == []
    made = page.request.post(f"{studio.url}/api/v1/characters", data={"character_name": "elsewhere", "config": {}})
    assert made.ok, made.text()
    page.wait_for_selector("#page-home >> text=elsewhere")
    assert drawn

    # A part that is drawn again while a button of it is held down: the click counts.
    box = page.locator("#page-home [data-act][data-page]").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.evaluate("document.querySelectorAll('#page-home [data-act]').forEach((b) => b.replaceWith(b.cloneNode(true)))")
    page.mouse.up()
    page.wait_for_function("document.body.dataset.page !== 'home'")
    assert page.request.delete(f"{studio.url}/api/v1/characters/elsewhere").ok  # the other tests' studio is this one


@pytest.mark.parametrize("page", [{"locale": "zh-CN"}], indirect=True)
def test_language_follows_the_browser_and_the_switch(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url)
    assert page.url.startswith(f"{studio.url}/zh/")
    assert page.inner_text("#page-home h1") == "主页"
    page.click("#nav a[href='#dataset']")
    assert "点击上传" in page.inner_text("#drop"), "Gradio's own words are in the page's language too"
    page.click("[data-lang-choice=en]")
    page.wait_for_url(f"{studio.url}/en/*")
    page.wait_for_selector("#page-dataset.ts-open")
    assert page.inner_text("#page-dataset h1") == "Dataset"
    do.open(page, studio.url)
    assert page.url.startswith(f"{studio.url}/en/"), "the switch is remembered"


@pytest.mark.parametrize("page", [{"color_scheme": "dark"}], indirect=True)
def test_theme_follows_the_system_and_the_switch(page: Any, studio: Any, do: Any) -> None:
    background = "getComputedStyle(document.querySelector('.ts-side')).backgroundColor"
    do.open(page, studio.url)
    dark = page.evaluate(background)
    page.click("[data-theme-choice=light]")
    page.wait_for_function(f"{background} !== '{dark}'")
    assert page.get_attribute("[data-theme-choice=light]", "aria-pressed") == "true"
    light = page.evaluate(background)
    page.reload()
    page.wait_for_selector("#status-bar .ts-status")
    assert page.evaluate(background) == light, "the choice outlives a reload, against the system"
    page.click("[data-theme-choice=system]")
    page.wait_for_function(f"{background} === '{dark}'")


def test_keyboard(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url)
    page.keyboard.press("Alt+2")
    page.wait_for_selector("#page-dataset.ts-open")
    assert page.evaluate("document.activeElement.textContent") == "Dataset", "the title takes the focus"
    seen = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert "prepare" in seen
    assert len(seen) >= 5


def test_every_control_has_a_name(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url)
    for name in PAGES:
        page.click(f"#nav a[href='#{name}']")
        page.wait_for_selector(f"#page-{name}.ts-open")
        nameless = page.evaluate("""() => [...document.querySelectorAll(
            '.ts-open button, .ts-open input, .ts-open textarea, .ts-open audio, .ts-side button, .ts-side input, '
            + '#status-bar button')]
          .filter((e) => e.checkVisibility() && !(e.innerText || '').trim() && !e.getAttribute('aria-label')
            && !e.title && !e.labels?.length)
          .map((e) => e.outerHTML.slice(0, 160))""")
        assert nameless == [], name


def test_without_a_voice_the_page_says_what_to_do(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url, "dataset")
    page.click("#prepare")
    page.wait_for_selector("[data-testid=toast-text]")
    said = page.inner_text("[data-testid=toast-text]")
    assert "No voice is chosen" in said
    assert "top left" in said


def test_text_named_wav_is_refused_in_words(page: Any, studio: Any, do: Any, tmp_path: Path) -> None:
    false = tmp_path / "a <b>song ' .wav"
    false.write_text("this is not audio\n" * 100)
    do.open(page, studio.url, "dataset")
    do.voice(page, "Ω o'Hara 雨")
    page.set_input_files("#drop input[type=file]", str(false))
    page.wait_for_selector("#import-report .ts-problem, #import-report .ts-note-box, #recordings .ts-badword")
    said = page.inner_text("#page-dataset")
    assert "song" in said
    assert "Traceback" not in said
    page.click("#nav a[href='#home']")
    page.wait_for_selector("#home-board [data-act=go]")
    assert page.locator("#home-board tbody tr").count() == 1
    assert "Traceback" not in studio.log.read_text("utf-8", "replace")


def test_folder_with_subfolders_and_dross(page: Any, studio: Any, do: Any, tmp_path: Path, speech_man: Path) -> None:
    folder = tmp_path / "takes"
    (folder / "day 2").mkdir(parents=True)
    (folder / ".DS_Store").write_bytes(b"\0\0Bud1")
    (folder / "one.wav").write_bytes(speech_man.read_bytes())
    (folder / "day 2" / "one.wav").write_bytes(speech_man.read_bytes()[:-8000])
    do.open(page, studio.url, "dataset")
    do.voice(page, "folder")
    page.set_input_files("#folder input[type=file], input[webkitdirectory]", str(folder))
    page.wait_for_function("document.querySelectorAll('#recordings li').length === 2")
    assert "DS_Store" not in page.inner_text("#recordings")


@pytest.mark.parametrize("page", [{"permissions": ["microphone"]}], indirect=True)
def test_microphone(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url, "dataset")
    do.voice(page, "mike")
    page.click("#record")
    page.locator("#microphone button", has_text="Record").first.click()
    page.wait_for_timeout(1500)
    page.locator("#microphone button", has_text="Stop").first.click()
    page.wait_for_selector("#recordings li")
    assert "recording-" in page.inner_text("#recordings")


def test_voice_is_renamed_and_remembered(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url)
    do.voice(page, "zz before")
    page.locator("#home-board tr", has_text="zz before").wait_for()
    page.once("dialog", lambda d: d.accept("zz after"))
    page.locator("#home-board tr", has_text="zz before").locator("[data-act=rename]").click()
    page.locator("#home-board tr", has_text="zz after").wait_for()
    page.reload()
    page.wait_for_function("document.querySelector('#voice input')?.value === 'zz after'")


def test_delete_asks_first(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url)
    do.voice(page, "short-lived")
    row = page.locator("#home-board tr", has_text="short-lived")
    row.wait_for()
    page.once("dialog", lambda d: d.dismiss())
    row.locator("[data-act=delete]").click()
    page.wait_for_timeout(500)
    assert row.count() == 1
    page.once("dialog", lambda d: d.accept())
    row.locator("[data-act=delete]").click()
    row.wait_for(state="detached")
    assert not (studio.workspace / "voices" / "short-lived").exists()


def test_text_that_is_no_voice_is_put_right(page: Any, studio: Any, do: Any) -> None:
    do.open(page, studio.url)
    do.voice(page, "real one")
    page.fill("#voice input", "nobody")
    page.keyboard.press("Tab")
    page.wait_for_function("document.querySelector('#voice input').value !== 'nobody'")
    assert (studio.workspace / "voices" / page.input_value("#voice input")).is_dir()
