"""Write constraints.txt: the exact versions, in this environment, of all that requirements*.txt pull in.

    python -m tools.lock            write the file
    python -m tools.lock --check    exit 1 where the file and this environment differ

The CUDA packages that torch names exactly in its own metadata are left to torch: their names differ by platform.
"""

import argparse
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
FILES = ("requirements.txt", "requirements-optional.txt", "requirements-test.txt", "requirements-bench.txt")
LEFT_TO_TORCH = ("nvidia-", "cuda-", "triton")
ELSEWHERE = """\
# Asked for on other systems and Pythons than the one this list was made on.
audioop-lts==0.2.2 ; python_version >= "3.13"
colorama==0.4.6 ; sys_platform == "win32"
standard-aifc==3.13.0 ; python_version >= "3.13"
standard-chunk==3.13.0 ; python_version >= "3.13"
standard-sunau==3.13.0 ; python_version >= "3.13"
"""


def read_requirements(path: Path) -> list[Requirement]:
    """The requirements of one file, comments and includes left out."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        text = line.split(" #")[0].strip()
        if text and not text.startswith(("#", "-")):
            found.append(Requirement(text))
    return found


def closure(roots: list[Requirement]) -> tuple[dict[str, str], list[str]]:
    """Installed versions of `roots` and of all they need here, by canonical name; and the names that are missing."""
    versions: dict[str, str] = {}
    missing: list[str] = []
    seen: set[tuple[str, tuple[str, ...]]] = set()
    todo = list(roots)
    while todo:
        requirement = todo.pop()
        name, extras = canonicalize_name(requirement.name), tuple(sorted(requirement.extras))
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        versions[name] = Version(found.version).public
        for text in found.requires or []:
            inner = Requirement(text)
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                todo.append(inner)
    return versions, sorted(set(missing))


def render(versions: dict[str, str]) -> str:
    """The text of constraints.txt."""
    lines = ["# Made by `python -m tools.lock`; do not edit. The exact set that the tests run with."]
    lines += [f"{name}=={versions[name]}" for name in sorted(versions) if not name.startswith(LEFT_TO_TORCH)]
    return "\n".join(lines) + "\n" + ELSEWHERE


def main() -> int:
    """Write or check the file. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the file is out of date")
    options = parser.parse_args()
    roots = [requirement for name in FILES for requirement in read_requirements(ROOT / name)]
    versions, missing = closure(roots)
    if missing:
        print(f"not installed here, so not in the list: {', '.join(missing)}", file=sys.stderr)
    target, text = ROOT / "constraints.txt", render(versions)
    if options.check:
        return 0 if target.is_file() and target.read_text("utf-8") == text else 1
    target.write_text(text, "utf-8")
    print(f"{len(versions)} versions written to {target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
