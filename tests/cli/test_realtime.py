"""`realtime` on the command line: what is refused, in words."""

from importlib.util import find_spec

import pytest

from cli.realtime import device
from tests.cli.conftest import Command


def test_a_missing_package_or_voice_is_named(command: Command) -> None:
    said = "nobody" if find_spec("sounddevice") else "pip install sounddevice"
    assert said in command("realtime", "nobody", code=1)[1]
    assert "required: voice" in command("realtime", code=2)[1]


@pytest.mark.parametrize(("text", "meant"), [(None, None), ("3", 3), ("USB mic", "USB mic")])
def test_a_device_is_a_number_or_part_of_a_name(text: str | None, meant: int | str | None) -> None:
    assert device(text) == meant
