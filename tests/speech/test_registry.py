"""Engines by name, and the settings they share."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import BadInput
from core.speech import registry
from core.speech.options import SpeechOptions
from core.speech.say_options import SayOptions


def test_unknown_engine() -> None:
    with pytest.raises(BadInput, match="no speech engine 'voxc'") as caught:
        registry.engine_entry("voxc")
    assert "voxcpm" in caught.value.hint


@pytest.mark.parametrize("name", list(registry.ENGINES))
def test_names_lead_somewhere_and_stay_light(name: str, repo_root: Path) -> None:
    assert issubclass(registry.options_class(name), SpeechOptions)
    code = (
        f"import sys; from core.speech import registry, say_options; registry.options_class({name!r}); "
        f"registry._target(registry.ENGINES[{name!r}].models); print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=repo_root, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_seeds_are_drawn_once() -> None:
    assert SpeechOptions(seed=4).seeded().seed == 4
    drawn = SpeechOptions().seeded()
    assert drawn.seed is not None
    assert drawn.seeded() == drawn


CONTRADICTIONS: list[dict[str, object]] = [
    {},
    {"text": "a", "file": "b"},
    {"text": "a", "voice": "v", "prompt_audio": "p"},
    {"text": "a", "prompt_text": "x"},
    {"text": "a", "sed": 1},
]


@pytest.mark.parametrize("values", CONTRADICTIONS)
def test_contradictions(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SayOptions.model_validate({"out": "o.wav", **values})
