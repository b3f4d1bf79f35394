"""Proof that an exported voice can be used, made in a process that has never seen the training.

Run as `python -m core.engines.sovits.verify MODEL_DIR CLIP_WAV FEATURES`: prints one JSON line, exit code 0 if the
model loads strictly and renders finite, audible sound within bounds.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from core.engines.sovits.dataset import Example, wav_frames
from core.engines.sovits.probe import SEED, BadRender, check_render
from core.errors import StudioError, from_dict
from core.paths import REPO_ROOT

TIMEOUT_S = 600.0
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
    command = [
        sys.executable,
        "-m",
        "core.engines.sovits.verify",
        str(folder),
        str(example.audio),
        str(example.features),
    ]
    try:
        done = subprocess.run(command, cwd=REPO_ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as err:
        raise BadRender(
            f"The check of {folder.name} did not end within {TIMEOUT_S:.0f} s.", "Try the voice on Convert."
        ) from err
    lines = done.stdout.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError) as err:
        raise BadRender(
            f"The check of {folder.name} ended with code {done.returncode} and no answer: {done.stderr.strip()[-300:]}",
            "Look into the log of the job.",
        ) from err
    if "error" in answer:
        raise _error_of(answer["error"])
    result: dict[str, Any] = answer["render"]
    return result


def _error_of(data: dict[str, str]) -> StudioError:
    if data["code"] == BadRender.code:
        return BadRender(data["message"], data["hint"], where=data["where"])
    return from_dict(data)


def main(arguments: list[str]) -> int:
    """See the module. Arguments: model folder, clip, features file."""
    import torch

    torch.set_num_threads(1)  # a few seconds of sound; more threads only wait for each other on a busy machine
    folder, audio, features = (Path(a) for a in arguments)
    try:
        figures = verify_model(folder, Example("probe", audio, features, wav_frames(audio)))
    except StudioError as err:
        sys.stdout.write(json.dumps({"error": err.to_dict()}) + "\n")
        return 1
    sys.stdout.write(json.dumps({"render": figures}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
