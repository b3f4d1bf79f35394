"""Tables of texts: what they may look like, what is refused by its line; one bad row leaves the others alone."""

import contextlib
import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audio.encode import read_wav
from core.engines.voxcpm import package
from core.errors import BadInput
from core.jobs.context import ForegroundContext
from core.settings import Settings, load_settings
from core.speech.batch import COLUMNS, read_table, run_say_batch
from core.speech.say import run_say

CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), min_size=1).map(str.strip)
ROWS = st.fixed_dictionaries({"text": CELLS.filter(bool)}, optional={"name": CELLS, "voice": CELLS})


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(ROWS, min_size=1),
    mark=st.sampled_from(",;\t"),
)  # fmt: skip
def test_what_is_written_is_read(tmp_path: Path, rows: list[dict[str, str]], mark: str) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["voice", "text", "name"], delimiter=mark)
    writer.writeheader()
    writer.writerows(rows)
    file = tmp_path / "t.csv"
    file.write_bytes(out.getvalue().encode("utf-8-sig"))
    assert read_table(file) == [{key: cell for key, cell in row.items() if cell} for row in rows]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(st.binary(max_size=200), st.text(alphabet='text,name;\t\n"é', max_size=80).map(str.encode)))
def test_any_bytes_are_a_table_or_a_sentence(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(data)
    with contextlib.suppress(BadInput):
        assert all(row["text"] and set(row) <= set(COLUMNS) for row in read_table(file))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("words\nhello\n", "'text'"),
        ("text,colour\nhello,red\n", "colour"),
        ("text,text\na,b\n", "'text'"),
        ("text,name\n,a\n", "Line 2"),
        ("text\nhello, you\n", "Line 2"),
        ("text\n\n", "0 texts"),
        ("", "'text'"),
    ],
)
def test_refused_tables_say_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as error:
        read_table(file)
    assert said in error.value.message


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not package.installed():
        pytest.skip("the package voxcpm is not installed")
    from tests.engines.voxcpm.tiny import build

    return build(tmp_path_factory.mktemp("models") / "tiny2", "voxcpm2", max_length=96)


@pytest.fixture
def own(workspace: Path) -> Settings:
    return load_settings({"workspace": str(workspace), "device": "cpu"}, env={})


def test_a_row_that_fails_leaves_the_others_alone(model: Path, own: Settings, tmp_path: Path, speech: Path) -> None:
    silent = tmp_path / "silent.wav"
    silent.write_bytes(speech.read_bytes()[:44])
    table = tmp_path / "texts.csv"
    table.write_text(
        "text;name;prompt_audio;seed\nHello world.;你 好/1;;5\nNo voice here.;;"
        + str(silent)
        + ";\nHello world.;;;5\n",
        encoding="utf-8",
    )
    out = tmp_path / "out"
    quick = {"steps": 2, "max_patches": 4, "retries": 0}
    params = {"csv": str(table), "out": str(out), "model": str(model), "options": quick}
    result = run_say_batch(params, ForegroundContext(own))
    assert (result["made"], result["failed"]) == (2, 1)
    assert [("error" in row) for row in result["rows"]] == [False, True, False]
    assert json.loads(Path(result["report"]).read_text("utf-8"))["rows"][1]["error"]["message"]
    first, third = (read_wav(Path(result["rows"][n]["out"]))[0] for n in (0, 2))
    assert np.array_equal(first, third), "the same seed says it the same way"
    assert Path(result["rows"][0]["out"]).name.startswith("0001_你 好")
    again = run_say_batch(params, ForegroundContext(own))
    assert again["rows"][0]["out"] != result["rows"][0]["out"], "nothing is overwritten"


@pytest.mark.parametrize(
    ("line", "said"),
    [("hello;nobody;", "nobody"), ("hello;;many", "Row 1"), ("…;;", "Row 1")],
)
def test_a_wrong_row_is_told_before_anything_is_loaded(own: Settings, tmp_path: Path, line: str, said: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text;voice;seed\n" + line + "\n", encoding="utf-8")
    from core.errors import StudioError

    with pytest.raises(StudioError) as error:
        run_say_batch({"csv": str(table), "out": str(tmp_path / "out"), "model": "/no/model"}, ForegroundContext(own))
    assert said in error.value.message


def test_the_built_in_engine_and_the_model_of_the_settings_say_files_too(
    model: Path, own: Settings, tmp_path: Path, speech: Path
) -> None:
    subtitles = tmp_path / "a.srt"
    subtitles.write_text("1\n00:00:01,000 --> 00:00:02,500\nGood morning.\n", encoding="utf-8")
    params = {"srt": str(subtitles), "out": str(tmp_path / "a.wav"), "engine": "builtin"}
    said = run_say({**params, "options": {"speaker": "man"}}, ForegroundContext(own))
    audio, rate_hz = read_wav(tmp_path / "a.wav")
    assert (said["sample_rate"], said["engine"]) == (rate_hz, "builtin")
    assert not audio[: rate_hz - 10].any()
    assert np.abs(audio[rate_hz:]).max() > 0.05
    with pytest.raises(BadInput, match="cannot imitate"):
        run_say({**params, "prompt_audio": str(speech)}, ForegroundContext(own))

    named = own.model_copy(update={"speech_model": str(model)})
    quick = {"steps": 2, "max_patches": 4, "retries": 0}
    for name in ("", model.name):  # as the page names it
        given = {"text": "Hello.", "out": str(tmp_path / "b.wav"), "engine": "voxcpm", "model": name, "options": quick}
        assert run_say(given, ForegroundContext(named))["model"] == str(model)
