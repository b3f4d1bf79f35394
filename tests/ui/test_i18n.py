"""Every label exists in every language, is used, and takes the same values."""

import ast
import re
import string
from pathlib import Path

import pytest

from core.dataset.verdict import REASONS
from core.errors import BadInput
from core.jobs.handlers import HANDLERS
from core.paths import REPO_ROOT
from ui.texts import I18N_DIR, LANGUAGES, load_table, pick_language, texts

UI = Path(__file__).resolve().parents[2] / "ui"
# Keys put together at run time: a state, a kind of job, an error's code …
DYNAMIC = (
    *("state.", "job.", "error.", "js.", "reason.", "check.", "nav.", "training.opt_", "training.about_"),
    *("training.engine_", "home.step_", "home.next_", "theme.", "clip.", "run.", "jobs.", "settings."),
    *("training.plot_", "cut.only_", "cut.rate_", "clean.", "language.", "limit.", "cleaning.", "quality."),
    *("said.", "set.", "speech.", "convert.engine_", "convert.about_", "convert.said_by.", "models.kind."),
    *("models.info.", "models.as_", "models.col_"),
    *("models.present", "models.partial", "models.absent"),
)


def tables() -> dict[str, dict[str, str]]:
    return {lang: load_table(lang) for lang in LANGUAGES}


def literal_keys() -> dict[str, str]:
    """Key -> file, for every ``t("key")`` and every string that looks like a key of ours in ui/."""
    found: dict[str, str] = {}
    for path in UI.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                if name == "t" and isinstance(node.args[0].value, str):
                    found[node.args[0].value] = path.name
    return found


def test_languages_have_the_same_keys() -> None:
    both = tables()
    assert set(both["en"]) == set(both["zh"])
    assert {folder.name for folder in I18N_DIR.iterdir()} == set(LANGUAGES)
    files = {lang: {path.name for path in (I18N_DIR / lang).iterdir()} for lang in LANGUAGES}
    assert files["en"] == files["zh"]


def test_placeholders_agree() -> None:
    both = tables()
    for key, english in both["en"].items():
        names = [{n for _, n, _, _ in string.Formatter().parse(text) if n} for text in (english, both["zh"][key])]
        assert names[0] == names[1], key


def test_every_used_key_exists() -> None:
    used = literal_keys()
    assert len(used) > 100, "the search for keys found too few: it looks in the wrong way"
    known = tables()["en"]
    assert {k: f for k, f in used.items() if k not in known} == {}


def test_every_key_is_used() -> None:
    source = "".join(p.read_text("utf-8") for p in UI.rglob("*.py"))
    scripts = "".join(p.read_text("utf-8") for p in (UI / "assets").glob("*.js"))
    spare = [k for k in tables()["en"]
             if not re.search(f"[\"']{re.escape(k)}[\"']", source) and not k.startswith(DYNAMIC)]
    assert spare == []
    for key in tables()["en"]:
        if key.startswith("js."):
            assert re.search(rf'\b{key.removeprefix("js.")}\b', scripts), key


def test_no_label_is_left_in_the_other_language() -> None:
    both = tables()
    same = [k for k, v in both["zh"].items() if v == both["en"][k] and re.search(r"[a-z]{4}", v)
            and k not in ("training.tensorboard", "check.python")]
    assert same == []
    assert not [k for k, v in both["en"].items() if re.search(r"[\u4e00-\u9fff]", v)]


def test_texts_fill_values_and_fail_on_unknown_keys() -> None:
    assert texts("zh")("status.queued", n=3) == "3 个排队中"
    assert texts("xx").lang == "en"
    with pytest.raises(KeyError):
        texts("en")("no.such.key")


def test_errors_say_their_kind_in_the_language() -> None:
    message, hint = texts("zh").error(BadInput("a.txt holds no audio.", "Choose another file."))
    assert message.startswith("无法使用此输入")
    assert "a.txt" in message
    assert hint
    assert texts("en").error(BadInput("a.txt holds no audio."))[0] == "a.txt holds no audio."


@pytest.mark.parametrize(("setting", "cookie", "accept", "expected"), [
    ("auto", None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
    ("auto", None, "de,en;q=0.5,zh;q=0.7", "zh"),
    ("auto", None, "fr;q=x,", "en"),
    ("auto", None, None, "en"),
    ("zh", None, "en", "zh"),
    ("zh", "en", "zh", "en"),
    ("auto", "klingon", "zh", "zh"),
])
def test_language_order(setting: str, cookie: str | None, accept: str | None, expected: str) -> None:
    assert pick_language(setting, cookie, accept) == expected


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_kind_of_job_reason_and_check_has_words(language: str) -> None:
    words = load_table(language)
    assert not [kind for kind in HANDLERS if f"job.{kind}" not in words]
    assert not [reason for reason in REASONS if f"reason.{reason}" not in words]
    sources = [path.read_text("utf-8") for path in (REPO_ROOT / "core").rglob("*preflight*.py")]
    checks = {name for source in sources for name in re.findall(r'Check\(\s*"([a-z ]+)"', source)}
    assert len(checks) > 10
    assert not [name for name in checks if f"check.{name}" not in words]
