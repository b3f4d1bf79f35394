"""The queue in front of the engines: bounds, fairness, and clients that give up."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.service.gate import Gate, TooMany


async def visit(gate: Gate, client: str, order: list[str], leave: asyncio.Event) -> None:
    async with gate.turn(client):
        order.append(client)
        await leave.wait()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_clients_take_turns() -> None:
    async def run() -> list[str]:
        gate, order, leave = Gate(1, 10, 10), list[str](), asyncio.Event()
        tasks = []
        for client in ("greedy", "greedy", "greedy", "modest", "other"):
            tasks.append(asyncio.create_task(visit(gate, client, order, leave)))
            await settle()
        leave.set()
        await asyncio.gather(*tasks)
        assert (gate.active, gate.queued) == (0, 0)
        return order

    assert asyncio.run(run()) == ["greedy", "greedy", "modest", "other", "greedy"]


def test_beyond_the_bounds_is_told_at_once() -> None:
    async def run() -> None:
        gate, leave = Gate(1, 1, 2), asyncio.Event()
        tasks = [asyncio.create_task(visit(gate, "a", [], leave)) for _ in range(2)]
        await settle()
        with pytest.raises(TooMany, match="This client"):
            await visit(gate, "a", [], leave)
        with pytest.raises(TooMany, match="waiting") as full:
            await visit(gate, "b", [], leave)
        assert 1 <= full.value.retry_after_s <= 60
        leave.set()
        await asyncio.gather(*tasks)
        await visit(gate, "b", [], leave)

    asyncio.run(run())


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12), st.integers(1, 3))
def test_no_turn_is_ever_lost(visits: list[tuple[str, bool]], limit: int) -> None:
    """Whoever gives up, waiting or speaking, the gate ends empty and never lets in more than its limit."""

    async def run() -> None:
        gate, leave = Gate(limit, 100, 100), asyncio.Event()
        tasks = [(asyncio.create_task(visit(gate, client, [], leave)), gives_up) for client, gives_up in visits]
        await settle()
        assert gate.active <= limit
        for task, gives_up in tasks:
            if gives_up:
                task.cancel()
        await settle()
        assert gate.active <= limit
        leave.set()
        await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
        assert (gate.active, gate.queued) == (0, 0)
        assert not gate._of_client

    asyncio.run(run())
