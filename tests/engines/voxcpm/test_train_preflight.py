"""Questions before a fine-tuning: each with a verdict, and what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.checks import Check
from core.engines.voxcpm.eight_bit import why_not
from core.engines.voxcpm.sizes import Sizes
from core.settings import Settings
from core.training import engines
from tests.engines.voxcpm.voice import make_voice, studio_settings


@pytest.fixture
def settings(workspace: Path) -> Settings:
    return studio_settings(workspace)


def checks(settings: Settings, **params: Any) -> dict[str, Check]:
    options = engines.options_of({"engine": "voxcpm", "voice": "Ann", **params})
    return {check.name: check for check in engines.preflight(settings, options)}


def test_a_voice(settings: Settings, tiny: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    make_voice(settings)
    base = str(tiny("voxcpm2"))
    found = checks(settings, base=base)
    assert set(found) == {
        *("data", "clips", "transcripts", "base model", "disk", "device", "memory", "other runs"),
    }
    assert (found["transcripts"].verdict, found["transcripts"].detail) == ("warn", "1 of 6 clips have none")
    assert found["clips"].verdict == found["disk"].verdict == found["memory"].verdict == "ok"
    assert "of a LoRA learn" in found["base model"].detail
    assert "all of them learn" in checks(settings, base=base, preset="full")["base model"].detail
    assert checks(settings, base="nothing")["base model"].verdict == "fail"
    assert checks(settings)["base model"].fix  # where a model comes from
    eight = checks(settings, base=base, optimiser="paged_adamw8bit")["optimiser"]
    assert (eight.verdict, eight.fix) == (("fail", "Choose the optimiser adamw.") if why_not() else ("ok", ""))
    make_voice(settings, "mute", ("", ""))
    assert checks(settings, base=base, voice="mute")["transcripts"].verdict == "fail"

    def much(self: Sizes, positions: int, *, autocast: bool, checkpointed: bool) -> float:
        return 1.0 if checkpointed else 1e15

    monkeypatch.setattr(Sizes, "activation_bytes", much)
    short = checks(settings, base=base)["memory"]
    assert short.verdict == "fail"
    assert "gradient_checkpointing=on" in short.fix


def test_a_manifest(settings: Settings, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    voice = make_voice(settings)
    manifest = tmp_path / "train.jsonl"
    rows = [json.dumps({"audio": str(voice.sliced / "c0.wav"), "text": "Hello.", "duration": 0.5}), "{", ""]
    manifest.write_text("\n".join(rows), "utf-8")
    base = str(tiny("voxcpm2"))
    found = checks(settings, base=base, train_manifest=str(manifest))
    assert "1 lines are no clips (train.jsonl:2: it is not JSON)" in found["data"].detail
    assert (found["clips"].verdict, found["transcripts"].verdict) == ("ok", "ok")
    manifest.write_text('{"audio": "gone.wav", "text": "x"}\n', "utf-8")
    assert checks(settings, base=base, train_manifest=str(manifest))["clips"].verdict == "fail"
    assert checks(settings, base=base, train_manifest="/nowhere.jsonl")["data"].verdict == "fail"
