"""Loaded models are shared, kept within a budget, and go when nobody wants them."""

import threading
from pathlib import Path
from typing import Any

import pytest

from core.errors import ModelFileError
from core.speech.engine import Capabilities, Engine, Session
from core.speech.options import SpeechOptions
from core.speech.pool import ModelPool
from core.speech.prompt import ReferenceClip


class Held(Engine[SpeechOptions, None]):
    """An engine that only takes room."""

    name, options = "held", SpeechOptions

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities("held", 16000, 16000, ("random",), ("en",), 1)

    @property
    def memory_bytes(self) -> int:
        return self.size

    def prompt(
        self, clip: ReferenceClip | None, reference: ReferenceClip | None = None, cache: Path | None = None
    ) -> None:
        return None

    def session(self, options: SpeechOptions, prompt: None = None) -> Session:
        raise NotImplementedError

    def unload(self) -> None:
        self.size = 0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pool() -> ModelPool:
    return ModelPool(budget_bytes=100, idle_s=60, now=Clock())


def test_a_model_is_loaded_once_and_kept(pool: ModelPool) -> None:
    with pool.use("a", lambda: Held(60)) as first:
        pass
    with pool.use("a", lambda: pytest.fail("loaded twice")) as again:
        assert again is first
    assert pool.loaded() == {"a": 60}


def test_the_longest_unused_goes_when_room_is_needed(pool: ModelPool) -> None:
    for name in ("a", "b"):
        pool._now.now += 1  # type: ignore[attr-defined]
        with pool.use(name, lambda: Held(40)):
            pass
    with pool.use("a", lambda: Held(40)):
        pool._now.now += 1  # type: ignore[attr-defined]
    with pool.use("c", lambda: Held(40)):
        assert set(pool.loaded()) == {"a", "c"}


def test_what_is_in_use_stays_though_it_is_too_large(pool: ModelPool) -> None:
    with pool.use("a", lambda: Held(90)) as a, pool.use("b", lambda: Held(90)) as b:
        assert (a.size, b.size) == (90, 90)
        assert pool.sweep() == []
        pool.clear()
        assert len(pool.loaded()) == 2
    assert sum(pool.loaded().values()) <= 100


def test_idle_models_go(pool: ModelPool) -> None:
    with pool.use("a", lambda: Held(10)) as a:
        pass
    pool._now.now = 59  # type: ignore[attr-defined]
    assert pool.sweep() == []
    pool._now.now = 61  # type: ignore[attr-defined]
    assert pool.sweep() == ["a"]
    assert (a.size, pool.loaded()) == (0, {})


def test_a_failed_load_leaves_nothing(pool: ModelPool) -> None:
    def fail() -> Any:
        raise ModelFileError("broken")

    with pytest.raises(ModelFileError), pool.use("a", fail):
        pass
    with pool.use("a", lambda: Held(1)):
        assert pool.loaded() == {"a": 1}


def test_two_threads_load_a_model_once(pool: ModelPool) -> None:
    started, loads = threading.Barrier(2), []

    def load() -> Held:
        loads.append(1)
        return Held(1)

    def work() -> None:
        started.wait()
        with pool.use("a", load):
            pass

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
