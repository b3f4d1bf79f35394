"""The series of kills, short: nothing is lost, done twice or lied about."""

import pytest

from benchmarks import kills


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_short_series(workers: str) -> None:
    figures = kills.run(["--seconds", "12", "--seed", "3", "--workers", workers])
    assert figures["jobs_accepted"] > 0
    assert figures["server kills"] + figures["worker kills"] > 0
    assert not figures["failed"], figures
    assert "| lost | none |" in kills.markdown(figures)
