"""LoRA voices of one base: the base is loaded once, and each voice sounds as if it had a model of its own."""

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.dataset.voices import VoiceStore
from core.engines.voxcpm import package
from core.errors import ModelFileError
from core.service.speech import SpeechService
from core.settings import Settings, load_settings
from core.speech.chunk import Chunk, joined
from core.speech.request import SpeechRequest
from core.training.generations import sha256_of

TEXT = "Hello world, this is a short test of speech."
HOW: dict[str, Any] = {"seed": 3, "retries": 0, "steps": 3, "max_patches": 5}
NAMES = ("ann", "bob", "")
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not package.installed():
        pytest.skip("the package voxcpm is not installed")
    import torch

    from tests.engines.voxcpm.tiny import build

    torch._C._jit_set_texpr_fuser_enabled(False)  # the bare package's activations are compiled for every length
    return build(tmp_path_factory.mktemp("models") / "base", "voxcpm2")


@pytest.fixture
def settings(workspace: Path, base: Path) -> Settings:
    """Two voices, each with a LoRA that was trained from `base`."""
    from tests.engines.voxcpm.test_adapters import make_lora

    own = {"workspace": str(workspace), "device": "cpu", "threads": 1, "speech_model": str(base)}
    made = load_settings(own, env={})
    for seed, name in enumerate(NAMES[:2], start=1):
        folder = VoiceStore(made.voices_dir).create(name).models / f"{name}-lora"
        make_lora(base, folder, "voxcpm2", r=4 * seed, seed=seed)
        card = {"engine": "voxcpm", "base": str(base), "encoder_fingerprint": f"vae-{sha256_of(base / WEIGHTS)[:16]}"}
        (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return made


def request(name: str) -> SpeechRequest:
    return SpeechRequest(TEXT, engine="voxcpm", model=f"{name}-lora" if name else "", options=dict(HOW))


def alone(settings: Settings, base: Path, name: str) -> np.ndarray:
    """A model of its own, loaded from the LoRA's folder."""
    from core.engines.voxcpm.engine import load
    from core.engines.voxcpm.options import VoxOptions

    folder = VoiceStore(settings.voices_dir).get(name).models / f"{name}-lora" if name else base
    engine = load(folder)
    try:
        return joined(engine.stream(TEXT, VoxOptions(**HOW)))
    finally:
        engine.unload()


def test_interleaved_voices_share_a_base_and_hear_nothing_of_each_other(settings: Settings, base: Path) -> None:
    wanted = {name: alone(settings, base, name) for name in NAMES}
    sounds = list(wanted.values())
    assert all(a.size != b.size or np.abs(a - b).max() > 1e-3 for a, b in itertools.pairwise(sounds))
    service = SpeechService(settings)
    with service.open(request("")) as plain:
        bare = sum(service.loaded().values())
        with service.open(request("ann")) as ann, service.open(request("bob")) as bob:
            streams: dict[str, Iterator[Chunk]] = {
                name: session.stream(TEXT) for name, session in zip(NAMES, (ann, bob, plain), strict=True)
            }
            heard: dict[str, list[np.ndarray]] = {name: [] for name in NAMES}
            for _ in range(6):
                for name, stream in streams.items():
                    heard[name] += [chunk.audio for chunk in [next(stream, None)] if chunk is not None]
            held = service.loaded()
            assert len(held) == 1, "one base, however many voices"
            assert sum(held.values()) < 1.5 * bare, "the LoRAs alone are added"
    for name, parts in heard.items():
        np.testing.assert_array_equal(np.concatenate(parts), wanted[name])


def test_voices_in_threads(settings: Settings, base: Path) -> None:
    wanted = {name: alone(settings, base, name) for name in NAMES}
    service = SpeechService(settings)
    heard: dict[tuple[str, int], np.ndarray] = {}

    def work(name: str, number: int) -> None:
        with service.open(request(name)) as session:
            heard[name, number] = joined(session.stream(TEXT))

    threads = [threading.Thread(target=work, args=(name, number)) for name in NAMES for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(service.loaded()) == 1
    assert len(heard) == 6
    for (name, _), sound in heard.items():
        np.testing.assert_array_equal(sound, wanted[name])


def test_a_lora_that_was_trained_again_is_heard_and_one_of_another_base_refused(settings: Settings, base: Path) -> None:
    import shutil

    from tests.engines.voxcpm.test_adapters import make_lora

    service = SpeechService(settings)
    with service.open(request("ann")) as session:
        before = joined(session.stream(TEXT))
        held = service.loaded()
    folder = VoiceStore(settings.voices_dir).get("ann").models / "ann-lora"
    card = json.loads((folder / "card.json").read_text("utf-8"))
    shutil.rmtree(folder)
    make_lora(base, folder, "voxcpm2", r=4, seed=7)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    with service.open(request("ann")) as session:
        after = joined(session.stream(TEXT))
        assert abs(sum(service.loaded().values()) - sum(held.values())) < 1e5, "the old LoRA is forgotten"
    assert after.size != before.size or np.abs(after - before).max() > 1e-3

    (folder / "card.json").write_text(json.dumps({**card, "encoder_fingerprint": "vae-0123"}), encoding="utf-8")
    (folder / "lora_weights.safetensors").touch()
    with pytest.raises(ModelFileError, match="another model"), service.open(request("ann")):
        pass
