"""Proof that a fine-tuned vocoder can be used, made in a process that has never seen the training.

Run as `python -m core.engines.sovits.vocoder_verify FOLDER CLIP_WAV FEATURES`: finds and loads it as conversion does,
makes a clip again from its own mel and pitch, and checks the sound.
"""

import sys
from pathlib import Path

from core.training.proof import answer, check_render

_FRAMES = 520
"""6 s are enough to know."""


def verify(folder: Path, audio: Path, features: Path) -> dict[str, float]:
    """Figures {"rms_db", "peak"} of the clip made again.

    Raises:
        ModelFileError: the files do not load.
        BadRender: what it renders cannot be used.
    """
    import torch

    from core.engines.sovits.convert_files import vocoder_in
    from core.engines.sovits.dataset import Example, wav_frames, whole_clip
    from core.engines.sovits.vocoder import load_vocoder
    from core.errors import ModelFileError

    file = vocoder_in(folder)
    if file is None:
        raise ModelFileError(f"There is no vocoder in {folder}.", "Start the run again.", where=str(folder))
    vocoder = load_vocoder(file)
    clip = whole_clip(Example("probe", audio, features, wav_frames(audio)), "nearest")
    n = min(_FRAMES, clip.f0_hz.shape[1])
    mel = vocoder.mel(clip.audio[:, 0])[..., :n]
    made = vocoder.infer(mel, clip.f0_hz[:, :n], torch.Generator().manual_seed(1))
    return check_render(made[0, 0].float().numpy(), "The vocoder")


if __name__ == "__main__":
    sys.exit(answer(verify, sys.argv[1:]))
