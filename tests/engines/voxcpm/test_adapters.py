"""LoRA voices: the package's sound, several from one model at once, and refusals of those of another model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.engines.voxcpm.options import VoxOptions
from core.errors import ModelFileError
from core.speech.chunk import joined

TEXT = "Hello world, this is a short test of speech."


def make_lora(model_folder: Path, folder: Path, architecture: str, r: int = 4, seed: int = 0, **more: Any) -> Any:
    """A LoRA folder with random numbers, made by the package's classes. Returns the package's model with it on."""
    from core.engines.voxcpm.package import module_of

    parts = module_of(architecture)
    settings = {"enable_lm": True, "enable_dit": True, "r": r, "alpha": 8, **more}
    kind = parts.VoxCPM2Model if architecture == "voxcpm2" else parts.VoxCPMModel
    config = parts.LoRAConfig(**settings)
    model = kind.from_local(str(model_folder), optimize=False, device="cpu", lora_config=config)
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: 0.3 * torch.randn(t.shape, generator=generator) for name, t in model.get_lora_state_dict().items()}
    folder.mkdir(parents=True)
    save_file(tensors, folder / "lora_weights.safetensors")
    content = {"base_model": str(model_folder), "lora_config": config.model_dump()}
    (folder / "lora_config.json").write_text(json.dumps(content), "utf-8")
    model.load_lora_weights(str(folder))
    return model


def options(lora: Path | None, seed: int = 3) -> VoxOptions:
    return VoxOptions(seed=seed, retries=0, steps=4, max_patches=6, lora=str(lora or ""))


@pytest.mark.parametrize("architecture", ["voxcpm", "voxcpm2"])
def test_sounds_as_in_the_package(
    loaded: Callable[[str], Any], tiny: Callable[[str], Path], tmp_path: Path, architecture: str
) -> None:
    engine = loaded(architecture)
    plain = engine.speak(TEXT, options(None)).audio
    bare = make_lora(tiny(architecture), tmp_path / "lora", architecture, enable_proj=True)
    ours = engine.speak(TEXT, options(tmp_path / "lora")).audio
    torch.manual_seed(3)
    theirs, _, _ = bare.generate_with_prompt_cache(TEXT, None, max_len=6, inference_timesteps=4)
    np.testing.assert_allclose(ours, theirs[0].numpy(), atol=1e-4)
    assert ours.size != plain.size or np.abs(ours - plain).max() > 1e-3
    np.testing.assert_array_equal(engine.speak(TEXT, options(None)).audio, plain)


def test_two_voices_and_none_speak_in_turns(
    loaded: Callable[[str], Any], tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    engine = loaded("voxcpm2")
    make_lora(tiny("voxcpm2"), tmp_path / "a", "voxcpm2", r=4, seed=1)
    make_lora(tiny("voxcpm2"), tmp_path / "b", "voxcpm2", r=2, seed=2)
    voices = [tmp_path / "a", None, tmp_path / "b"]
    alone = [joined(engine.stream(TEXT, options(lora))) for lora in voices]
    streams = [engine.stream(TEXT, options(lora)) for lora in voices]
    heard: list[list[np.ndarray]] = [[], [], []]
    for _ in range(6):
        for number, stream in enumerate(streams):
            chunk = next(stream, None)
            if chunk is not None:
                heard[number].append(chunk.audio)
    for parts, wanted in zip(heard, alone, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), wanted)


def test_what_does_not_fit(loaded: Callable[[str], Any], tiny: Callable[[str], Path], tmp_path: Path) -> None:
    engine = loaded("voxcpm2")
    good = tmp_path / "good"
    make_lora(tiny("voxcpm2"), good, "voxcpm2")

    def refused(folder: Path, words: str) -> None:
        with pytest.raises(ModelFileError, match=words):
            engine.session(options(folder))

    other = tmp_path / "other base"
    make_lora(tiny("voxcpm"), other, "voxcpm", target_modules_lm=["q_proj", "gate_proj"], enable_dit=False)
    tensors = load_file(good / "lora_weights.safetensors")
    name = next(iter(tensors))

    def changed(tensors: dict[str, torch.Tensor]) -> Path:
        folder = Path(shutil.copytree(good, tmp_path / f"changed {len(list(tmp_path.iterdir()))}"))
        save_file(tensors, folder / "lora_weights.safetensors")
        return folder

    refused(changed({key: value for key, value in tensors.items() if key != name}), "missing")
    refused(changed({**tensors, "more.lora_A": torch.zeros(1)}), "unknown")
    refused(changed({key: value[:, :1].contiguous() for key, value in tensors.items()}), "another size")
    rank = changed(tensors)
    content = json.loads((rank / "lora_config.json").read_text("utf-8"))
    content["lora_config"]["r"] = 16
    (rank / "lora_config.json").write_text(json.dumps(content), "utf-8")
    refused(rank, "another size")
    (rank / "lora_config.json").write_text("{}", "utf-8")
    refused(rank, "damaged")
    refused(tmp_path, "is not a LoRA")
    (good / "lora_weights.safetensors").unlink()
    refused(good, "no weights file")
