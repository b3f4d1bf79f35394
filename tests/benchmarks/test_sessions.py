"""Many requests, few of them here: nothing stays, and the first sounds like the last."""

import pytest

from benchmarks import sessions


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["voxcpm", "cosyvoice2"])
def test_memory_is_flat(engine: str) -> None:
    figures = sessions.run(["--count", "150", "--engines", engine])
    assert not figures["failed"], figures
    assert figures["engines"][engine]["refused"] == 30
    assert f"## {engine}" in sessions.markdown(figures)
