"""The requirement files and the exact set belong together."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.lock import FILES, read_requirements

REPO_ROOT = Path(__file__).resolve().parents[2]


def pins() -> dict[str, Requirement]:
    return {canonicalize_name(pin.name): pin for pin in read_requirements(REPO_ROOT / "constraints.txt")}


@pytest.mark.parametrize("name", FILES)
def test_pins_lie_in_the_ranges(name: str) -> None:
    exact = pins()
    for requirement in read_requirements(REPO_ROOT / name):
        pin = exact.get(canonicalize_name(requirement.name))
        if pin is None:
            assert name == "requirements-bench.txt", f"{requirement.name} is pinned nowhere"
            continue
        version = next(iter(pin.specifier)).version
        assert requirement.specifier.contains(version), f"{pin} lies outside {requirement}"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-optional.txt", "requirements-test.txt"])
def test_every_range_has_an_upper_bound(name: str) -> None:
    for requirement in read_requirements(REPO_ROOT / name):
        assert any(spec.operator in {"<", "=="} for spec in requirement.specifier), f"{requirement} has no upper bound"


def test_pins_are_exact_and_portable() -> None:
    for pin in pins().values():
        specs = list(pin.specifier)
        assert [spec.operator for spec in specs] == ["=="], f"{pin} is not exact"
        assert Version(specs[0].version).local is None, f"{pin} names a build of one platform"
        assert not pin.name.startswith(("nvidia-", "cuda-", "triton")), f"{pin}: torch names these itself"


def test_this_environment_is_the_tested_one() -> None:
    """Where the suite runs, it runs with the pinned set; otherwise its green says nothing about that set."""
    differ = []
    for requirement in read_requirements(REPO_ROOT / "requirements.txt"):
        name = canonicalize_name(requirement.name)
        installed = Version(metadata.version(name)).public
        if installed != next(iter(pins()[name].specifier)).version:
            differ.append(f"{name} {installed}")
    assert not differ


def test_what_is_installed_alone_is_exact() -> None:
    for requirement in read_requirements(REPO_ROOT / "requirements-alone.txt"):
        assert [spec.operator for spec in requirement.specifier] == ["=="], f"{requirement} is not exact"


def test_disk_need_is_named() -> None:
    assert re.search(r"^# disk-gb: \d+$", (REPO_ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
