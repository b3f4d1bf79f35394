"""`jobs`: what a workspace has to do, as a person and as a program sees it."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.jobs.store import JobStore
from core.settings import load_settings
from tests.cli.conftest import Command


@pytest.fixture
def job(workspace: Path) -> dict[str, Any]:
    """A job that waits for a studio."""
    store = JobStore(load_settings({"workspace": str(workspace)}, env={}).database)
    return store.add("prep", {"voice": "Ann"}, lane="work", voice="Ann").to_dict()


def test_no_jobs_yet(command: Command) -> None:
    assert command("jobs")[0] == "No jobs yet.\n"


def test_jobs_are_listed_shown_cancelled_and_taken_again(command: Command, job: dict[str, Any]) -> None:
    number = str(job["id"])
    listed = command("jobs")[0].splitlines()
    assert listed[0].split()[:4] == ["id", "kind", "voice", "state"]
    assert listed[1].split()[:5] == [number, "prep", "Ann", "queued", "0%"]
    assert "kind: prep" in command("jobs", "--show", number)[0]
    out, err = command("jobs", "--cancel", number)
    assert "to stop" in err
    assert "state: cancelled" in out
    assert "Queued as job" in command("jobs", "--retry", number)[0]
    assert len(command("jobs")[0].splitlines()) == 3
    assert len(command("jobs", "--limit", "1")[0].splitlines()) == 2


@pytest.mark.parametrize("way", ["--show", "--cancel", "--retry"])
def test_a_job_that_is_not_there_is_named(way: str, command: Command) -> None:
    assert "4711" in command("jobs", way, "4711", code=1)[1]
    assert "invalid int" in command("jobs", way, "x", code=2)[1]


@pytest.mark.parametrize("words", [["jobs"], ["jobs", "--show", "1"], ["jobs", "--cancel", "1"]])
def test_a_program_gets_the_same(words: list[str], command: Command, job: dict[str, Any]) -> None:
    told = json.loads(command(*words, "--json")[0])
    assert told["ok"] is True
    (listed,) = told["jobs"] if "jobs" in told else [told["job"]]
    assert (listed["id"], listed["params"]) == (job["id"], {"voice": "Ann"})
    assert listed["state"] == ("cancelled" if "--cancel" in words else "queued")
