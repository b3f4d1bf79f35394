"""The core's sentences in Chinese: each template is a sentence that the core says, and what it says is found."""

import ast
import string
from pathlib import Path

import pytest

from core.checks import Check
from core.errors import NoSpace
from core.paths import REPO_ROOT
from core.settings import Settings
from core.training import choosing, engines, health, options
from core.training.runs import RunInfo, create_run
from tests.training.material import make_voice
from ui.run_view import preflight_html, run_head
from ui.sentences import PREFIX, patterns, said
from ui.texts import load_table, texts

ZH = texts("zh")
SPEAKERS = ("core/speech", "core/training", "core/engines/sovits", "core/engines/voxcpm")


def chinese(text: str) -> bool:
    return any("\u4e00" <= char <= "\u9fff" for char in text)


def shapes() -> set[str]:
    """Every string and f-string of the speakers, its values as {}."""
    found = set()
    for folder in SPEAKERS:
        for path in (REPO_ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values]
                    found.add("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return found


def test_every_template_is_something_that_the_core_says() -> None:
    spoken = "\n".join(shapes())
    english = {key: text for key, text in load_table("en").items() if key.startswith(PREFIX)}
    assert len(english) > 60
    # Choosing puts a unit behind its value, memory says whose it is; a template has one value or the word there.
    spoken += "\n" + spoken.replace("{}{}", "{}").replace("of {} for batches", "of GPU memory for batches")
    spoken += "\n" + spoken.replace("of {} for batches", "of memory for batches")
    gone = []
    for key, text in english.items():
        blank = "".join(part + ("{}" if name is not None else "") for part, name, _, _ in
                        string.Formatter().parse(text))
        gone += [] if blank in spoken else [key]
    assert gone == []


def test_parts_are_said_one_by_one_and_the_rest_stays() -> None:
    assert said(ZH, "356 accepted clips, 19.8 minutes; 1 wait for a decision") == (
        "356 个已接受片段，共 19.8 分钟；1 个待定")
    assert said(ZH, "something else entirely") == "something else entirely"
    assert said(texts("en"), "no other training is going on") == "no other training is going on"
    assert said(ZH, "") == ""
    full = NoSpace("The disk is full: a.safetensors needs 3 MB in /x.", "Free that much there, then resume the run. "
                   "The last checkpoint is whole.")
    assert said(ZH, f"{full.message} {full.hint}") == (
        "磁盘已满：a.safetensors 需要 3 MB，位于 /x。请在该处腾出空间，然后继续训练。上一个检查点完好。")


def test_values_go_through_as_they_are() -> None:
    for key, _ in patterns():
        if key != "said.note_damaged":
            names = [name for _, name, _, _ in string.Formatter().parse(texts("en")(key)) if name]
            values = {name: f"x{place}" for place, name in enumerate(names)}
            text = load_table("en")[key].format(**values)
            assert said(ZH, text) == ZH(key, **values), key


def test_pre_flight_speaks_chinese(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(workspace=workspace, device="cpu")
    make_voice(settings, "v")
    checks: list[Check] = []
    for params in ({"voice": "v"}, {"voice": "v", "preset": "standard", "batch_size": 100000},
                   {"voice": "v", "keep": 100, "keep_every_steps": 1, "steps": 10**6, "init_from": "/gone.pth"}):
        checks += engines.preflight(settings, engines.options_of({"engine": "sovits", **params}))
    untold = {text for check in checks for text in (check.detail, check.fix)
              if text and not chinese(said(ZH, text)) and text != "'fcpe'"}
    assert untold == set()
    assert "没有其他训练" in preflight_html(ZH, checks)


def test_suggestions_speak_chinese() -> None:
    metrics = [{"step": step, "probe/mel_distance": value, "probe/pitch_error_cents": value}
               for step, value in ((1, 0.9), (2, 0.5), (3, 0.51), (4, 0.4))]
    found = choosing.suggest(metrics, [1, 2, 3])
    assert found is not None
    assert [reason for reason in found.reasons if not chinese(said(ZH, reason))] == []


def test_what_went_wrong_is_said_in_chinese(workspace: Path) -> None:
    error = health.explain_memory("Step 8", 5, 8, 1, "r")
    run = create_run(workspace, "r", "v", "lite")
    info = RunInfo(run.name, "v", "lite", "e", state="failed", error=error.to_dict(), offer=error.offer,
                   notes=["Repeats the run 'x'."], options=options.TrainOptions(voice="v").model_dump())
    html = run_head(ZH, info, None)
    assert "第 8 步内存不足" in html
    assert "第 5 步的检查点完好" in html
    assert "累积 2 批" in html
    assert "重复训练“x”。" in html
    assert "ran out" not in html
