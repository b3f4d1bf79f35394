"""What one waits for, as it was measured; and the names of a model's own voices, read without the model."""

from pathlib import Path

import pytest
import torch

from core.engines.cosyvoice2.models import preset_names
from core.engines.cosyvoice2.options import CosyOptions
from core.engines.cosyvoice2.waiting import pace
from core.speech.takes import Take
from ui.controls import Context
from ui.speech.speakers import waiting_html
from ui.texts import texts


def take(first_s: float, work_s: float, seconds: float = 8.0, **more: object) -> Take:
    values = {"id": "x", "created_at": 0.0, "text": "hi", "engine": "cosyvoice2", "model": "tiny", "seed": 1,
              "sample_rate_hz": 100, "n_samples": round(100 * seconds), "first_s": first_s, "work_s": work_s,
              "state": "whole", "parts": []}  # fmt: skip
    return Take.model_validate({**values, **more})


def test_the_wait_is_what_takes_show() -> None:
    """28 tokens before the first sound of 200: a second for the prompt, 10 ms for each token."""
    options = CosyOptions()
    assert options.first_sound_tokens == 28
    found = pace([take(5.28, 7.0), take(1.28, 3.0)], "cosyvoice2", "tiny")
    assert found is not None
    assert found.n_takes == 2
    assert found.wait_s(options) == pytest.approx(1.28)
    sooner = CosyOptions.model_validate({"scene": "conversation"})
    assert found.wait_s(sooner) == pytest.approx(1 + 0.01 * sooner.first_sound_tokens)


@pytest.mark.parametrize(
    "other",
    [{"model": "other"}, {"engine": "voxcpm"}, {"made_from": "y"}, {"seconds": 1.2}, {"options": {"cfg": 2.0}}],
)
def test_other_takes_tell_nothing(other: dict[str, object]) -> None:
    assert pace([take(1.0, 2.0, **other)], "cosyvoice2", "tiny") is None  # type: ignore[arg-type]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_each_scene_says_what_it_costs(lang: str) -> None:
    ctx = Context(None, texts(lang), None)  # type: ignore[arg-type]
    html = waiting_html(ctx, CosyOptions(first_hop=1), None)
    for scene, seconds in (("conversation", "0.44"), ("general", "0.72"), ("reading", "1.12")):
        assert f"{texts(lang)(f'speech.opt_scene.{scene}')}</th><td>{seconds} s</td><td>–" in html
    assert texts(lang)("speech.wait_unmeasured") in html
    once = waiting_html(ctx, CosyOptions(), pace([take(1.28, 3.0)], "cosyvoice2", "tiny"))
    assert "1.28 s" in once
    assert texts(lang)("speech.wait_once") in once


def test_names_of_a_models_own_voices(tmp_path: Path) -> None:
    assert preset_names(tmp_path) == []
    torch.save({"中文女": {"embedding": torch.zeros(1, 192)}, "me": {"prompt_text": "hi"}}, tmp_path / "spk2info.pt")
    assert preset_names(tmp_path) == ["中文女", "me"]
    (tmp_path / "spk2info.pt").write_bytes(b"PK no zip")
    assert preset_names(tmp_path) == []
