"""The mounted page without a browser: languages, what it serves and refuses, how it stays cheap and alive."""

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from core.errors import BadInput, Cancelled
from core.settings import Settings
from core.studio import Studio
from ui.controls import guarded
from ui.page_host import rewrite_html
from ui.shell import mount
from ui.texts import texts

REPO_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    made = Studio(Settings(workspace=tmp_path_factory.mktemp("空 ws"), max_upload_mb=1))
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(studio: Studio) -> Iterator[TestClient]:
    app = FastAPI()
    mount(app, studio)
    with TestClient(app) as made:
        yield made


def test_root_leads_to_the_language(client: TestClient) -> None:
    for headers, cookies, place in (
        ({"accept-language": "zh-CN,en;q=0.5"}, {}, "/zh/"), ({"accept-language": "de"}, {}, "/en/"),
        ({"accept-language": "zh"}, {"timbre_lang": "en"}, "/en/"),
    ):
        client.cookies.clear()
        client.cookies.update(cookies)
        answer = client.get("/", headers=headers, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, place)
    client.cookies.clear()


@pytest.mark.parametrize(("lang", "word"), [("en", "Prepare clips"), ("zh", "准备片段")])
def test_page_names_no_other_host_and_speaks_its_language(client: TestClient, lang: str, word: str) -> None:
    html = client.get(f"/{lang}/").text
    head = html[: html.index("window.gradio_config")] + html[html.index("data-gradio-mode") :]
    assert [u for u in re.findall(r"(?:https?:)?//[\w.-]+\.\w+", head) if "w3.org" not in u] == []
    assert f'lang="{"zh-CN" if lang == "zh" else "en"}"' in html
    config = client.get(f"/{lang}/config").json()
    assert word in str([c["props"].get("value") for c in config["components"]])
    assert config["analytics_enabled"] is False
    for asset in re.findall(r'(?:src|href)="(/ui-assets/[^"]+)"', html):
        assert client.get(asset).status_code == 200, asset


def test_languages_are_the_same_page(client: TestClient) -> None:
    shapes = []
    for lang in ("en", "zh"):
        config = client.get(f"/{lang}/config").json()
        shapes.append(([c["type"] for c in config["components"]], len(config["dependencies"])))
    assert shapes[0] == shapes[1]


def test_every_setting_has_a_label_and_a_line_of_help(client: TestClient) -> None:
    for component in client.get("/zh/config").json()["components"]:
        props = component["props"]
        if component["type"] in ("slider", "number"):
            assert props.get("label"), component
            assert props.get("info"), props["label"]


def test_only_voices_and_outputs_are_served(client: TestClient, studio: Studio, tmp_path: Path) -> None:
    shown = studio.settings.voices_dir / "a" / "clip.wav"
    shown.parent.mkdir(parents=True, exist_ok=True)
    shown.write_bytes(b"RIFF")
    outside = tmp_path / "secret.txt"
    outside.write_text("treasure")
    link = shown.with_name("link.txt")
    link.symlink_to(outside)
    studio.jobs()  # makes the database
    ask = "/en/gradio_api/file="
    assert client.get(f"{ask}{shown}").status_code == 200
    for path in (outside, studio.settings.database, REPO_ROOT / "app.py", Path("/etc/hostname"), link,
                 shown.parent / ".." / ".." / ".." / studio.settings.database.name):
        answer = client.get(f"{ask}{path}")
        assert answer.status_code in (403, 404), path
        assert "treasure" not in answer.text


def test_uploads_are_bounded_and_stay_in_the_workspace(client: TestClient, studio: Studio) -> None:
    small = client.post("/en/gradio_api/upload", files={"files": ("a.wav", b"x" * 1000)})
    assert small.status_code == 200
    assert Path(small.json()[0]).is_relative_to(studio.settings.workspace)
    large = client.post("/en/gradio_api/upload", files={"files": ("b.wav", b"x" * (1024 * 1024 + 1))})
    assert large.status_code == 413


def test_mounting_imports_nothing_heavy() -> None:
    code = ("import sys\nfrom fastapi import FastAPI\n"
            "from core.settings import Settings\nfrom core.studio import Studio\n"
            "from ui.shell import mount\nfrom ui.tensorboard import mount_tensorboard\nimport tempfile, pathlib\n"
            "s = Studio(Settings(workspace=pathlib.Path(tempfile.mkdtemp())))\na = FastAPI()\n"
            "mount_tensorboard(a, s.settings.runs)\nmount(a, s)\n"
            "print([m for m in ('gradio', 'torch', 'tensorboard', 'numpy', 'librosa') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_other_html_is_left_alone() -> None:
    assert rewrite_html("<html><head></head></html>", "zh", "") == "<html><head></head></html>"


def test_errors_become_notices(caplog: pytest.LogCaptureFixture) -> None:
    def wrong() -> None:
        raise BadInput("a <i>file</i> is wrong.", "Take another.")

    def worse() -> None:
        raise ZeroDivisionError("inner secret")

    def gone() -> None:
        raise Cancelled()

    with pytest.warns(UserWarning, match="Take another") as told:
        assert guarded(texts("en"), wrong)() == gr.skip()
    assert "&lt;i&gt;" in str(told[0].message), "names from users are text, never markup"
    with caplog.at_level(logging.ERROR), pytest.warns(UserWarning, match="日志") as told:
        assert guarded(texts("zh"), worse)() == gr.skip()
    assert "inner secret" not in str(told[0].message)
    assert "ZeroDivisionError" in caplog.text
    assert guarded(texts("en"), gone)() == gr.skip()
