"""Proof that an exported voice can be used, made in a process that has never seen the training.

Run as `python -m core.engines.sovits.verify MODEL_DIR CLIP_WAV FEATURES`: prints one JSON line, exit code 0 if the
model loads strictly and renders finite, audible sound within bounds.
"""

import sys
from pathlib import Path
from typing import Any

from core.engines.sovits.dataset import Example, wav_frames
from core.engines.sovits.probe import SEED
from core.training.proof import answer, ask_fresh_process, check_render

MAX_FRAMES = 520
"""6 s are enough to know."""


def verify_model(folder: Path, example: Example) -> dict[str, float]:
    """Load strictly into a fresh generator on the CPU, render a clip, check it.

    Raises:
        ModelFileError: the files do not load.
        BadRender: what it renders cannot be used.
    """
    import torch

    from core.engines.sovits.dataset import align_mode, whole_clip
    from core.engines.sovits.export import load_model

    model = load_model(folder)
    clip = whole_clip(example, align_mode(model.config))
    n = MAX_FRAMES
    with torch.inference_mode():
        audio, _ = model.generator.infer(  # type: ignore[operator]
            clip.units[..., :n],
            clip.f0_hz[:, :n],
            clip.uv[:, :n],
            clip.sid,
            clip.volume[:, :n],
            generator=torch.Generator().manual_seed(SEED),
        )
    return check_render(audio[0, 0].float().numpy(), f"The voice {folder.name.removesuffix('.new')}")


def verify_in_fresh_process(folder: Path, example: Example) -> dict[str, Any]:
    """`verify_model` in a new python; figures of the render.

    Raises:
        StudioError: what the other process found, or that it ended without an answer.
    """
    arguments = [str(folder), str(example.audio), str(example.features)]
    return ask_fresh_process("core.engines.sovits.verify", arguments, folder.name)


def verify_clip(folder: Path, audio: Path, features: Path) -> dict[str, float]:
    """`verify_model` on a clip by its sound and its features."""
    return verify_model(folder, Example("probe", audio, features, wav_frames(audio)))


if __name__ == "__main__":
    sys.exit(answer(verify_clip, sys.argv[1:]))
