"""The service's own database: facts, requests, and the lock that makes looking and acting one step."""

import threading
from pathlib import Path

import pytest

from core.errors import BadInput
from core.service.state import ServiceState


def test_facts_and_requests_are_seen_by_every_process(tmp_path: Path) -> None:
    one, other = ServiceState(tmp_path / "s.sqlite3"), ServiceState(tmp_path / "s.sqlite3")
    assert one.fact("default_character") is None
    one.remember("default_character", "小明")
    one.add_inference("a", 3)
    one.add_inference("b", 4)
    assert other.fact("default_character") == "小明"
    assert other.inferences(10) == [("b", 4), ("a", 3)]
    other.forget_inference("b")
    assert one.inference_job("b") is None
    assert one.inference_job("a") == 3


def test_only_one_looks_and_acts(tmp_path: Path) -> None:
    state = ServiceState(tmp_path / "s.sqlite3")
    inside, most = 0, 0

    def act() -> None:
        nonlocal inside, most
        for _ in range(5):
            with ServiceState(state.path).exclusive():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(BadInput, match=r"s\.sqlite3"):
        ServiceState(path).fact("x")
