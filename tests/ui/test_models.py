"""The page Models' own parts: what it draws from an import's result, a catalogue, a list of models."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput
from core.jobs.model import Job
from core.models import catalogue as weights
from core.settings import load_settings
from core.summaries import ModelSummary
from ui.models.catalogue import catalogue_html
from ui.models.data import EXPORT, IMPORT, told_html
from ui.models.found import found_html
from ui.models.tools import info_html
from ui.models.voices import _rates, exported_html, table_html
from ui.texts import texts

T = texts("en")


def job(result: dict[str, Any] | None) -> Job:
    made = {"id": 1, "kind": "import-models", "state": "completed", "result": result}
    return Job(**{**dict.fromkeys(Job.__dataclass_fields__), **made})  # type: ignore[arg-type]


def file(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "kind": "generator", "says": "a <model>", "problem": "", "fix": "", "usable": True, **changes}


def test_before_the_first_look_it_says_what_to_do() -> None:
    assert "Look first" in found_html(T, None)
    assert "Look first" in found_html(T, job(None))


def test_what_is_wrong_comes_first_and_nothing_of_a_file_is_markup() -> None:
    files = [
        file("good.pth"),
        file("fits.pth", problem="Its config is another's.", fix="The import fits it."),
        file("bad.pth", kind="damaged", problem="It <script>runs</script> code.", fix="Ask.", usable=False),
    ]
    voice = {
        "voice": "小雨", "model": "G_1", "encoder": "vec768l12", "speakers": ["a"], "beside": {"kmeans": "k.pt"},
        "needs": "Get ContentVec.", "folder": "/x", "new": True,
    }  # fmt: skip
    html = found_html(T, job({"files": files, "voices": [voice], "installed": [], "looked": False}))
    assert html.index("bad.pth") < html.index("fits.pth") < html.index("good.pth")
    assert "<script>" not in html
    assert "a &lt;model&gt;" in html
    assert "needs an encoder" in html
    assert "put right" in html
    assert "k-means" in html


def test_the_catalogue_shows_what_is_here_first_and_how_to_get_the_rest(tmp_path: Path) -> None:
    settings = load_settings({"workspace": tmp_path})
    html = catalogue_html(T, [(found, 0) for found in weights.present(settings).values()])
    assert html.index(">fcpe<") < html.index(">dphubert<")
    assert "app.py models import hubert-soft-0d54a1f4.pt" in html
    assert "medium.pt: <code>sha256 345ae4da" in html
    assert html.count("not known") == sum(
        not one.entry.checksums for one in weights.present(settings).values() if one.state != "present"
    )
    assert 'data-name="fcpe"' not in html  # it comes with its package


def test_models_have_actions_and_none_says_what_next() -> None:
    assert "import one" in table_html(T, [], set())
    one = ModelSummary("G_1", Path("/v/G_1"), "Ann", 7, "standard", "vec768l12", None, time.time())
    html = table_html(T, [one], set())
    for act in ("compress", "half", "onnx", "latest", "delete"):
        assert f'data-act="{act}"' in html
    assert 'data-act="stable"' in table_html(T, [one], {"/v/G_1"})


def test_an_export_is_offered_while_its_file_is_there(tmp_path: Path) -> None:
    assert exported_html(T, None) == ""
    onnx = tmp_path / "a <b>_SoVits.onnx"
    onnx.write_bytes(b"x")
    result = {"onnx": str(onnx), "json": str(tmp_path / "a.json"), "bytes": 2_500_000, "largest_difference": 2.1e-6}
    html = exported_html(T, job(result))
    assert html.count(" download>") == 2
    assert "2.5 MB" in html
    assert "2e-06" in html
    assert "<b>" not in html
    onnx.unlink()
    assert exported_html(T, job(result)) == ""


def test_rates_as_people_type_them() -> None:
    assert _rates("30, 70 %", ["a", "b"]) == [30, 70]
    assert _rates("30，70", ["a", "b"]) == [30, 70]
    assert _rates("", ["a", "b"]) == [50, 50]
    for text in ("30", "x, y"):
        with pytest.raises(BadInput):
            _rates(text, ["a", "b"])


def test_info_leaves_out_what_is_empty() -> None:
    html = info_html(T, {"kind": "generator", "says": "s", "problem": "", "speakers": {"a<b": 0}, "encoders": []})
    assert "Problem" not in html
    assert "a&lt;b: 0" in html


def test_a_data_set_is_told_with_what_was_left_out() -> None:
    assert "Nothing was written" in told_html(T, None)
    done = job({"out": "/a <b>", "clips": 3, "speakers": ["Ann", "Bo"], "notes": ["Ann: x is short"]})
    html = told_html(T, replace(done, kind=EXPORT))
    assert "3 clips of Ann, Bo" in html
    assert "/a &lt;b&gt;" in html
    assert "<li>Ann: x is short</li>" in html
    rows = {"voices": [{"voice": "Bo", "clips": 2, "features": 1, "skipped": [{"name": "a.wav", "reason": "<bad>"}]}]}
    html = told_html(T, replace(job(rows), kind=IMPORT))
    assert "a.wav: &lt;bad&gt;" in html
    assert '<td class="ts-num">1</td>' in html
