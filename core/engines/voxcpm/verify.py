"""Proof that a trained model can be used, made in a process that has never seen the training.

Run as `python -m core.engines.voxcpm.verify FOLDER`: prints one JSON line, exit code 0 if the model or LoRA loads
strictly and says a sentence that is finite, audible and within bounds.
"""

import sys
from pathlib import Path
from typing import Any

from core.training.proof import answer, ask_fresh_process, check_render

SENTENCE = "This is a test."
SEED = 52468
MAX_PATCHES = 24
"""2 to 4 s are enough to know."""


def verify_model(folder: Path) -> dict[str, float]:
    """Load strictly on the CPU, say a sentence, check it.

    Raises:
        ModelFileError: the files do not load.
        BadRender: what it says cannot be used.
    """
    from core.engines.voxcpm.engine import load
    from core.engines.voxcpm.options import VoxOptions

    engine = load(folder)
    speech = engine.speak(SENTENCE, VoxOptions(seed=SEED, retries=0, max_patches=MAX_PATCHES))
    return check_render(speech.audio, f"The model {folder.name.removesuffix('.new')}")


def verify_in_fresh_process(folder: Path) -> dict[str, Any]:
    """`verify_model` in a new python. Raises StudioError: what it found, or that it ended without an answer."""
    return ask_fresh_process("core.engines.voxcpm.verify", [str(folder)], folder.name)


if __name__ == "__main__":
    sys.exit(answer(verify_model, sys.argv[1:]))
