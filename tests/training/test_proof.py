"""The proof of a model in another process, and publishing what passed it."""

from pathlib import Path

import pytest

from core.errors import NoSpace
from core.training.proof import BadRender, ask_fresh_process
from core.training.publish import publish


def test_the_fresh_process_answers_or_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRender, match="no answer"):
        ask_fresh_process("core.no_such_module", [], "it")
    with pytest.raises(BadRender, match="did not end within"):
        ask_fresh_process("core.engines.voxcpm.verify", [str(tmp_path)], "it", timeout_s=0.01)


def test_what_fails_its_check_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "model"

    def writes(text: str) -> Path:
        return publish(folder, lambda build: (build / "a").write_text(text) and None)

    assert (writes("1") / "a").read_text() == "1"
    assert (writes("2") / "a").read_text() == "2"

    def fails(fresh: Path) -> None:
        assert (fresh / "a").read_text() == "3"
        raise BadRender("silent", "")

    with pytest.raises(BadRender):
        publish(folder, lambda build: (build / "a").write_text("3") and None, fails)

    def full(build: Path) -> None:
        raise NoSpace("full")

    with pytest.raises(NoSpace):
        publish(folder, full)
    assert [(p.name, (p / "a").read_text()) for p in tmp_path.iterdir()] == [("model", "2")]
