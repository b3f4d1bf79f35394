"""README and notebook cannot rot: their commands are parsed by the real command line, their links lead somewhere."""

import ast
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.common import UsageError
from cli.main import COMMANDS, build_parser, with_default
from tools import make_notebook
from tools.lock import FILES, read_requirements

REPO_ROOT = Path(__file__).resolve().parents[2]
README = (REPO_ROOT / "README.md").read_text("utf-8")
NOTEBOOK = json.loads(make_notebook.NOTEBOOK.read_text("utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def readme_commands() -> list[list[str]]:
    """The words after ./launch.sh or launch.bat in every code block and inline code of the README."""
    blocks = re.findall(r"```(?:sh|bat)\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`(\./launch\.sh [^`]*)`", README)
    commands = []
    for line in lines:
        words = shlex.split(line, comments=True)
        if words and words[0] in ("./launch.sh", "launch.bat"):
            commands.append(words[1:])
    return commands


@pytest.mark.parametrize("words", readme_commands(), ids=" ".join)
def test_readme_commands_exist(words: list[str]) -> None:
    if words[:1] in (["test"], ["COMMAND"]):
        return  # launch.sh's own; a placeholder
    build_parser().parse_args(with_default(words))


def test_readme_shows_every_command() -> None:
    shown = {words[0] for words in readme_commands() if words}
    assert set(COMMANDS) <= shown


def test_readme_options_in_prose_exist() -> None:
    parser = build_parser()
    known = {option for action in parser._actions for option in action.option_strings}
    for sub in parser._subparsers._group_actions[0].choices.values():  # type: ignore[union-attr,attr-defined]
        known |= {option for action in sub._actions for option in action.option_strings}
    named = set(re.findall(r"`(--[a-z-]+)", README)) | set(re.findall(r"(?<=[ :,])(--[a-z-]+)(?= [A-Z]+\b)", README))
    assert named
    assert named <= known, named - known


def test_readme_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if not target.startswith("http"):
            assert (REPO_ROOT / target).exists(), target


def test_a_wrong_command_would_be_found() -> None:
    with pytest.raises(UsageError):
        build_parser().parse_args(["train", "Anna", "--no-such-option"])


def test_notebook_is_up_to_date() -> None:
    assert make_notebook.NOTEBOOK.read_text("utf-8") == make_notebook.render(), "run: python -m tools.make_notebook"


def test_readme_opens_this_notebook() -> None:
    assert make_notebook.COLAB_LINK in README
    assert (REPO_ROOT / "notebooks" / make_notebook.COLAB_LINK.rsplit("/", 1)[1]).is_file()


@pytest.mark.parametrize("source", CODE, ids=lambda source: source.splitlines()[0][:40])
def test_notebook_cells_parse_and_carry_no_output(source: str) -> None:
    ast.parse(source)
    assert all(not cell.get("outputs") for cell in NOTEBOOK["cells"])


def launches() -> list[list[str]]:
    """Every command list in the notebook: string constants as they are, anything computed as `x`."""
    found = []
    for source in CODE:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.List) and node.elts and isinstance(node.elts[0], ast.Constant):
                words = [str(item.value) if isinstance(item, ast.Constant) else "7860" for item in node.elts]
                found.append(words)
    return found


def test_notebook_commands_exist() -> None:
    seen = set()
    for words in launches():
        if words[0] == "./launch.sh":
            build_parser().parse_args(words[1:])
        elif words[:2] == ["python3", "-m"]:
            module = REPO_ROOT / (words[2].replace(".", "/") + ".py")
            assert module.is_file(), words
            assert all(word in module.read_text("utf-8") for word in words if word.startswith("--")), words
        else:
            assert words[0] in {"git", "apt-get", "python3"}, words
        seen.add(words[0])
    assert {"./launch.sh", "python3"} <= seen


def test_every_requirement_has_its_licence_named() -> None:
    text = (REPO_ROOT / "docs" / "licences.md").read_text("utf-8").lower()
    for name in FILES:
        for requirement in read_requirements(REPO_ROOT / name):
            assert requirement.name.lower() in text, f"{requirement.name} is not in docs/licences.md"


def test_ci_script_holds_together() -> None:
    script = REPO_ROOT / ".ci" / "run"
    text = script.read_text("utf-8")
    for word in ("./launch.sh test", "ruff check", "mypy", "./launch.sh demo", "chromium"):
        assert word in text
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    for path in (script, REPO_ROOT / "launch.sh"):
        assert subprocess.run([bash, "-n", path], capture_output=True, check=False).returncode == 0
        assert path.stat().st_mode & 0o111, f"{path.name} is not executable"
