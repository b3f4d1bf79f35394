"""Parts of the page Convert that need no browser: the form's two directions, the routes, the tables."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.errors import install as install_errors
from core.engines.sovits.convert_options import parse_options
from core.engines.sovits.preset_store import BUILT_IN
from core.jobs.model import Job
from core.settings import load_settings
from core.studio import Studio
from tests.training.material import sung_vowel, write_clip
from ui.controls import Context
from ui.convert.batch import batch_html, rows_of
from ui.convert.form import PITCHES, SAMPLERS, Form, build_form
from ui.convert.pitch import editor_html, feed_html
from ui.convert.routes import router
from ui.convert.speakers import editor_html as mix_html
from ui.result_view import changed_options
from ui.texts import texts

T = texts("en")


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Form:
    studio = Studio(load_settings({"workspace": tmp_path_factory.mktemp("w")}, env={}))
    with gr.Blocks():
        return build_form(Context(studio, T, gr.Dropdown([])))


def _values(form: Form, **changes: Any) -> tuple[Any, ...]:
    return tuple({**form.defaults, **changes}[name] for name in form.fields)


def test_an_untouched_form_is_a_default_conversion(form: Form) -> None:
    read = form.read(_values(form))
    assert changed_options(read) == ""
    plain = parse_options({"voice": "v", "source": "s"})
    assert parse_options({"voice": "v", "source": "s", **read}) == plain


def test_switches_become_options(form: Form) -> None:
    assert form.read(_values(form, auto=True, transpose=5))["transpose"] == "auto"
    assert "f0_threshold" not in form.read(_values(form, f0_threshold=0, speedup=0))
    assert form.read(_values(form, f0_threshold=0.1, speedup=7))["speedup"] == 7
    assert "second_encoding" not in form.read(_values(form, second_encoding=True))
    assert form.read(_values(form, second_encoding=True, diffusion="shallow"))["second_encoding"] is True
    assert form.drawn(_values(form)) is True


def test_options_come_back_into_the_form(form: Form) -> None:
    options = {"transpose": "auto", "k_step": 70, "diffusion": "shallow", "sampler": "unipc", "speedup": 5}
    values = [update.get("value") for update in form.put(options)]
    assert {**form.read(tuple(values)), **options} == form.read(tuple(values))
    kept = form.put(BUILT_IN[0].options, keep=("model",))
    assert dict(zip(form.fields, kept, strict=True))["pitch"]["value"] == "pm"
    assert "value" not in dict(zip(form.fields, kept, strict=True))["model"]


def test_the_form_offers_what_there_is() -> None:
    from core.engines.sovits.diffusion.model import METHODS
    from core.features.pitch import PITCHES as KNOWN

    assert set(PITCHES) <= set(KNOWN)
    assert set(SAMPLERS) == set(METHODS)


# ---- routes


@pytest.fixture
def client(workspace: Path) -> TestClient:
    studio = Studio(load_settings({"workspace": workspace}, env={}))
    write_clip(studio.settings.outputs / "sources" / "曲 a.wav", sung_vowel(0.3))
    app = FastAPI()
    install_errors(app)
    app.include_router(router(studio))
    return TestClient(app)


def test_pitch_goes_there_and_back(client: TestClient) -> None:
    where = {"source": "曲 a.wav"}
    assert client.get("/ui-data/pitch", params=where).status_code == 404
    f0 = np.array([0, 220, 230.5], "<f4")
    assert client.put("/ui-data/pitch", params=where, content=f0.tobytes()).status_code == 204
    assert np.array_equal(np.frombuffer(client.get("/ui-data/pitch", params=where).content, "<f4"), f0)
    assert client.get("/ui-data/pitch-file", params=where).content.startswith(b"\x93NUMPY")
    for bad in (b"abc", np.array([np.nan], "<f4").tobytes(), np.array([9e9], "<f4").tobytes(), b""):
        answer = client.put("/ui-data/pitch", params=where, content=bad)
        assert answer.status_code == 422, bad
        assert answer.json()["error"]["message"]
    assert np.array_equal(np.frombuffer(client.get("/ui-data/pitch", params=where).content, "<f4"), f0)


def test_pictures_and_names(client: TestClient) -> None:
    from core.engines.sovits.pitch_spectrum import ROWS

    answer = client.get("/ui-data/spectrum", params={"source": "曲 a.wav", "block": 0})
    assert len(answer.content) == ROWS * 15
    assert client.get("/ui-data/spectrum", params={"source": "../studio.sqlite3", "block": 0}).status_code == 422
    assert client.put("/ui-data/pitch", params={"source": "../x"}, content=b"\0" * 4).status_code == 422


# ---- tables


def _job(report: Path, **more: Any) -> Job:
    fields = dict.fromkeys(Job.__dataclass_fields__)
    params = {"report": str(report), "folder": str(report.parent), "items": [{"source": "/x/a.wav"}]}
    return Job(**{**fields, "id": 3, "kind": "convert-batch", "state": "running", "params": params, **more})


def test_a_batch_is_told_row_by_row(tmp_path: Path) -> None:
    assert "No batch yet" in batch_html(T, None)
    job = _job(tmp_path / "batch.json")
    assert [row["state"] for row in rows_of(job)] == ["queued"]
    made = write_clip(tmp_path / "a_out.wav", sung_vowel(0.1))
    rows = [
        {"source": "/x/a <b>.wav", "state": "completed", "output": str(made), "duration_s": 61.0},
        {"source": "/x/c.wav", "state": "failed", "error": {"message": "No <sound>.", "hint": "Choose another."}},
        {"source": "/x/d.wav", "state": "queued"},
    ]
    (tmp_path / "batch.json").write_text(json.dumps({"files": rows}))
    html = batch_html(T, job)
    assert "1 of 3 done, 1 failed" in html
    assert html.count("data-hear") == 1
    assert "1:01" in html
    assert "No &lt;sound&gt;. Choose another." in html
    assert "<b>" not in html


def test_changed_options_are_told_shortly() -> None:
    params = {"voice": "v", "source": "s", "k_step": 100, "diffusion": "shallow", "f0_file": "/a/b.npy", "seed": 1}
    assert changed_options({**params, "speaker_mix": {"Ann": 1, "Bo": 2}}) == (
        "diffusion shallow; f0_file b.npy; speaker_mix Ann, Bo"
    )


def test_editors_are_labelled_and_escape(tmp_path: Path) -> None:
    for html in (editor_html(T), mix_html(T), editor_html(texts("zh"))):
        assert "aria-label" in html
    assert '"' not in feed_html(T, tmp_path / 'a".wav', "1").split('data-source="')[1].split("data-stamp")[0][:-2]
