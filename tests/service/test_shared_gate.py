"""The queue that several server processes share: bounds, fairness, and processes that die in the middle."""

import asyncio
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import InUse
from core.paths import REPO_ROOT
from core.service.gate import TooMany
from core.service.shared_gate import SharedGate

QUIET = 0.1  # s in which a turn that is free would long have been taken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gate.sqlite3"


async def visit(gate: SharedGate, client: str, order: list[str], leave: asyncio.Event) -> None:
    async with gate.turn(client):
        order.append(client)
        await leave.wait()


def test_two_gates_are_one_queue_in_which_clients_take_turns(path: Path) -> None:
    async def run() -> list[str]:
        gates, order, leave = [SharedGate(path, 1, 10, 10) for _ in range(2)], list[str](), asyncio.Event()
        tasks = []
        for n, client in enumerate(("greedy", "greedy", "greedy", "modest", "other")):
            tasks.append(asyncio.create_task(visit(gates[n % 2], client, order, leave)))
            await asyncio.sleep(0.01)
        await asyncio.sleep(QUIET)
        assert order == ["greedy"]
        assert (gates[0].active, gates[1].queued) == (1, 4)
        leave.set()
        await asyncio.gather(*tasks)
        assert (gates[0].active, gates[0].queued) == (0, 0)
        return order

    assert asyncio.run(run()) == ["greedy", "modest", "other", "greedy", "greedy"]


def test_the_bounds_count_over_all(path: Path) -> None:
    async def run() -> None:
        one, other, leave = SharedGate(path, 1, 1, 2), SharedGate(path, 1, 1, 2), asyncio.Event()
        tasks = [asyncio.create_task(visit(gate, "a", [], leave)) for gate in (one, other)]
        await asyncio.sleep(QUIET)
        with pytest.raises(TooMany, match="This client"):
            await visit(one, "a", [], leave)
        with pytest.raises(TooMany, match="waiting") as full:
            await visit(other, "b", [], leave)
        assert 1 <= full.value.retry_after_s <= 60
        leave.set()
        await asyncio.gather(*tasks)
        await visit(other, "b", [], leave)

    asyncio.run(run())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(visits=st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=8), limit=st.integers(1, 3))
def test_no_turn_is_ever_lost(path: Path, visits: list[tuple[str, bool]], limit: int) -> None:
    async def run() -> None:
        gates, leave = [SharedGate(path, limit, 100, 100) for _ in range(2)], asyncio.Event()
        tasks = [
            (asyncio.create_task(visit(gates[n % 2], client, [], leave)), gives_up)
            for n, (client, gives_up) in enumerate(visits)
        ]
        await asyncio.sleep(0.03)
        assert gates[0].active <= limit
        for task, gives_up in tasks:
            if gives_up:
                task.cancel()
        await asyncio.sleep(0.03)
        assert gates[0].active <= limit
        leave.set()
        await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        assert (gates[0].active, gates[0].queued) == (0, 0)

    asyncio.run(run())


def test_a_process_that_was_killed_holds_no_turn(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(f"""
            import asyncio
            from pathlib import Path
            from core.service.shared_gate import SharedGate

            async def hold():
                async with SharedGate(Path({str(path)!r}), 1, 5, 5).turn("gone"):
                    print("in", flush=True)
                    await asyncio.sleep(600)

            asyncio.run(hold())
            """)],
        cwd=REPO_ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"in\n"

    async def run() -> None:
        gate, order, leave = SharedGate(path, 1, 5, 5), list[str](), asyncio.Event()
        task = asyncio.create_task(visit(gate, "alive", order, leave))
        await asyncio.sleep(QUIET)
        assert order == []
        holder.kill()
        holder.wait()
        leave.set()
        await asyncio.wait_for(task, 60)
        assert order == ["alive"]

    try:
        asyncio.run(run())
    finally:
        holder.kill()


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(InUse, match="queue"):
        _ = SharedGate(path, 1, 1, 1).active
    path.unlink()
    assert SharedGate(path, 1, 1, 1).active == 0
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
