"""The house rules that a machine can check: who imports whom, what is never written, how large things may grow."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parent.parent
DOORS = {"ui", "api", "cli", "gradio", "fastapi", "starlette", "uvicorn"}
MAY_PRINT = ("cli/", "benchmarks/", "tools/")
MAX_LINES = 500
BROAD = {"Exception", "BaseException"}
MAX_FUNCTION_LINES = 80


def tracked(*patterns: str) -> list[Path]:
    """Files that git knows or would add, so that half-written work of the next commit is judged as well."""
    command = ["git", "-C", str(REPO_ROOT), "ls-files", "-co", "--exclude-standard", *patterns]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted({REPO_ROOT / line for line in lines if (REPO_ROOT / line).is_file()})


def sources() -> list[Path]:
    return [path for path in tracked("*.py") if not name_of(path).startswith("tests/")]


def name_of(path: Path) -> str:
    return path.relative_to(REPO_ROOT).as_posix()


TREES = {path: ast.parse(path.read_text("utf-8"), filename=name_of(path)) for path in sources()}


def nodes(kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> Iterator[tuple[str, ast.AST, Path]]:
    """(place, node, file) of every node of a kind in the sources."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield f"{name_of(path)}:{getattr(node, 'lineno', 0)}", node, path


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    assert isinstance(node, ast.ImportFrom)
    return {(node.module or "").split(".")[0]}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """(place, name as written, call)."""
    for place, node, _ in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        yield place, ast.unparse(node.func), node


def test_there_is_something_to_judge() -> None:
    assert len(TREES) > 30


def test_core_knows_no_door() -> None:
    bad = [
        place
        for place, node, path in nodes((ast.Import, ast.ImportFrom))
        if name_of(path).startswith("core/") and imported(node) & DOORS
    ]
    assert not bad, f"core imports a front door: {bad}"


def test_doors_do_not_know_each_other() -> None:
    """api mounts the page and cli serves the api; nothing else crosses."""
    allowed = {("api", "ui"), ("cli", "api")}
    bad = []
    for place, node, path in nodes((ast.Import, ast.ImportFrom)):
        door = name_of(path).split("/")[0]
        if door in {"ui", "api", "cli"}:
            bad += [place for other in imported(node) & {"ui", "api", "cli"} - {door} if (door, other) not in allowed]
    assert not bad


def test_imports_are_absolute() -> None:
    bad = [place for place, node, _ in nodes(ast.ImportFrom) if isinstance(node, ast.ImportFrom) and node.level]
    assert not bad


def test_printing_is_for_the_command_line() -> None:
    bad = [place for place, name, _ in calls() if name == "print" and not place.startswith(MAY_PRINT)]
    assert not bad, f"use logging: {bad}"


def test_no_shell_and_no_code_from_data() -> None:
    bad = []
    for place, name, call in calls():
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg}
        if keywords.get("shell", "False") != "False" or name in {"os.system", "os.popen", "eval", "exec"}:
            bad.append(f"{place} {name}")
        if name.split(".")[-1] in {"load", "loads"} and name.split(".")[0] in {"pickle", "dill", "joblib", "marshal"}:
            bad.append(f"{place} {name}")
        if name in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}:
            bad.append(f"{place} {name}")
    assert not bad


def test_torch_load_lives_in_one_place() -> None:
    bad = [
        place
        for place, name, call in calls()
        if name.endswith("torch.load")
        and not (
            place.startswith("core/models/safe_load.py")
            and any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in call.keywords)
        )
    ]
    assert not bad, f"use core.models.safe_load: {bad}"


def test_broad_excepts_say_why() -> None:
    """One that ends by raising the error again only cleans up, and may stand alone."""
    bad = []
    for place, node, path in nodes(ast.ExceptHandler):
        assert isinstance(node, ast.ExceptHandler)
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        broad = any(kind is None or (isinstance(kind, ast.Name) and kind.id in BROAD) for kind in kinds)
        cleans_up = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
        if broad and not cleans_up:
            around = path.read_text("utf-8").splitlines()[max(0, node.lineno - 2) : node.lineno + 1]
            if not any("#" in line for line in around):
                bad.append(place)
    assert not bad, f"a broad except needs a comment that says why: {bad}"


@pytest.mark.parametrize("path", tracked("*.py"), ids=name_of)
def test_files_stay_small(path: Path) -> None:
    lines = sum(1 for line in path.read_text("utf-8").splitlines() if line.strip())
    assert lines <= MAX_LINES, f"{lines} lines: split it"


def test_functions_stay_short() -> None:
    functions = list(nodes((ast.FunctionDef, ast.AsyncFunctionDef)))
    long = [
        f"{place} {node.name}"
        for place, node, _ in functions
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno > MAX_FUNCTION_LINES
    ]
    assert len(long) <= len(functions) // 100, f"over {MAX_FUNCTION_LINES} lines: {long}"


def test_house_figures() -> None:
    """Beside the code bases that we learn from: files, annotations, excepts, tests."""
    sizes = sorted(sum(1 for line in path.read_text("utf-8").splitlines() if line.strip()) for path in TREES)
    functions = [node for _, node, _ in nodes((ast.FunctionDef, ast.AsyncFunctionDef))]
    typed = sum(getattr(node, "returns", None) is not None for node in functions)
    tests = sum(
        sum(1 for line in path.read_text("utf-8").splitlines() if line.strip())
        for path in tracked("tests/*.py", "tests/**/*.py")
    )
    assert sizes[int(len(sizes) * 0.9)] <= 300, "nine files of ten stay below 300 lines"
    assert typed >= 0.97 * len(functions), "functions say what they return"
    assert tests >= 0.5 * sum(sizes), "half a line of test for a line of code, at the least"


def test_no_registry_host_is_named() -> None:
    """Packages come by name, from wherever the person's pip is told to look."""
    hosts = [
        ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))
    ]
    hosts += ["download.pytorch" + ".org", "deb.debian" + ".org", "registry." + "yarnpkg"]
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data[:4096]:
            found += [f"{name_of(path)}: {host}" for host in hosts if host.encode() in data]
    assert not found


def test_every_module_says_what_it_is() -> None:
    bad = [name_of(path) for path, tree in TREES.items() if tree.body and not ast.get_docstring(tree)]
    assert not bad, f"no docstring: {bad}"


def test_front_doors_start_light() -> None:
    """Nothing that a start needs may pull in what takes seconds: measured in a fresh interpreter."""
    modules = "cli.main, api.server, ui.shell, core.studio, core.doctor"
    heavy = "torch, numba, librosa, transformers, gradio, tensorboard, scipy, pandas, av, onnxruntime"
    code = f"import sys, {modules}; print(','.join(m for m in '{heavy}'.split(', ') if m in sys.modules))"

    ran = subprocess.run([sys.executable, "-c", code], cwd=REPO_ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_licence_is_apache() -> None:
    text = (REPO_ROOT / "LICENSE").read_text("utf-8")
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text
