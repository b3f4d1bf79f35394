"""A model is not taken from under a session that speaks."""

import pytest

from core.errors import Conflict
from core.service.builtin_speech import BuiltinEngine, BuiltinOptions
from core.speech.running import RunningSessions


def test_nothing_is_freed_while_one_speaks() -> None:
    running, freed = RunningSessions(), []
    session = BuiltinEngine().session(BuiltinOptions())
    with running.counting(session):
        assert len(running) == 1
        with pytest.raises(Conflict, match="speaking"):
            running.release(lambda: freed.append(1))
    assert (len(running), running.memory_bytes, freed) == (0, 0, [])
    running.release(lambda: freed.append(1))
    assert freed == [1]


def test_one_that_fails_is_counted_no_more() -> None:
    running = RunningSessions()
    with pytest.raises(ZeroDivisionError), running.counting(BuiltinEngine().session(BuiltinOptions())):
        raise ZeroDivisionError
    assert not len(running)


def test_a_session_begins_once() -> None:
    session = BuiltinEngine().session(BuiltinOptions())
    session.begin()
    with pytest.raises(Conflict, match="has spoken"):
        session.begin()
