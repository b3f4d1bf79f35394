"""Nothing runs from a file: a walk over the syntax tree of every Python file for loads that could."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {".venv", "workspace", "logs", ".git", "node_modules", "__pycache__"}

# Modules whose loaders run code by design.
FORBIDDEN_IMPORTS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib", "jsonpickle"}
FORBIDDEN_CALLS = {
    "torch.hub.load",
    "torch.package.PackageImporter",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.full_load_all",
    "yaml.unsafe_load",
    "yaml.unsafe_load_all",
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "eval",
    "exec",
    "pandas.read_pickle",
}
LOADERS = {"torch.load", "torch.serialization.load"}
ONLY_LOADER = "core/models/safe_load.py"


def problems(source: str, name: str) -> Iterator[str]:
    """Each unsafe construct in `source` as 'line: what'."""
    tree = ast.parse(source)
    aliases = dict(_aliases(tree))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            for module in modules:
                if module.split(".")[0] in FORBIDDEN_IMPORTS:
                    yield f"{node.lineno}: import of {module}"
        elif isinstance(node, ast.Call):
            for what in _call_problems(node, aliases, name):
                yield f"{node.lineno}: {what}"


def _aliases(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    yield alias.asname, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(node: ast.AST, aliases: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, aliases)}.{node.attr}"
    return "?"


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _call_problems(node: ast.Call, aliases: dict[str, str], name: str) -> Iterator[str]:
    called = _dotted(node.func, aliases)
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if called in FORBIDDEN_CALLS:
        yield called
    if called in LOADERS and name != ONLY_LOADER:
        yield f"{called} outside {ONLY_LOADER}"
    if called in LOADERS and not _is(keywords.get("weights_only"), True):
        yield f"{called} without weights_only=True"
    # Writing such a file, as tests do to have a hostile one, runs nothing.
    if "allow_pickle" in keywords and called != "numpy.save" and not _is(keywords["allow_pickle"], False):
        yield "allow_pickle"
    if "shell" in keywords and not _is(keywords["shell"], False):
        yield "shell=True"
    if "trust_remote_code" in keywords and not _is(keywords["trust_remote_code"], False):
        yield "trust_remote_code"
    if called.endswith(("add_safe_globals", "safe_globals")):
        yield f"{called} widens what torch.load accepts"
    if called == "getattr" and node.args and _dotted(node.args[0], aliases) in {"torch", "yaml"}:
        yield "getattr on torch or yaml hides what is called"


def python_files() -> list[Path]:
    return sorted(
        path
        for path in ROOT.rglob("*.py")
        if not any(part in SKIPPED or part.startswith(".venv") for part in path.relative_to(ROOT).parts)
    )


def test_no_file_of_ours_can_run_code_from_a_file() -> None:
    files = python_files()
    assert ROOT / ONLY_LOADER in files
    found = []
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        found += [f"{name}:{what}" for what in problems(path.read_text(encoding="utf-8"), name)]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x', weights_only=True)",
        "import torch as t\nt.load('x', weights_only=True)",
        "from torch import load as read\nread('x', weights_only=True)",
        "import torch\ngetattr(torch, 'load')('x')",
        "import pickle",
        "from pickle import loads",
        "import yaml\nyaml.load('x', Loader=yaml.SafeLoader)",
        "from yaml import unsafe_load\nunsafe_load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x', allow_pickle=flag)",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "import os\nos.system('x')",
        "eval('1')",
        "from torch.hub import load\nload('x')",
        "import torch\ntorch.serialization.add_safe_globals([list])",
        "AutoModel.from_pretrained('x', trust_remote_code=True)",
    ],
)
def test_the_guard_sees_each_way_around(source: str) -> None:
    assert list(problems(source, "core/somewhere.py"))


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nnp.load('x', allow_pickle=False)",
        "import json\njson.load(open('x'))",
        "import yaml\nyaml.safe_load('x')",
        "model.eval()",
        "import subprocess\nsubprocess.run(['x'])",
    ],
)
def test_the_guard_lets_harmless_code_pass(source: str) -> None:
    assert not list(problems(source, "core/somewhere.py"))


def test_even_the_one_loader_must_ask_for_weights_only() -> None:
    assert list(problems("import torch\ntorch.load('x')", ONLY_LOADER))
    assert not list(problems("import torch\ntorch.load('x', weights_only=True)", ONLY_LOADER))
