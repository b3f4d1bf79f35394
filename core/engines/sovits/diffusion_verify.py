"""Proof that a diffusion model can be used, made in a process that has never seen the training.

Run as `python -m core.engines.sovits.diffusion_verify FOLDER CLIP_WAV FEATURES`: loads strictly, samples a mel of a
clip from its own mel, checks that it is one.
"""

import sys
from pathlib import Path

from core.training.proof import BadRender, answer

_FRAMES = 200
_STEPS = 20


def verify(folder: Path, audio: Path, features: Path) -> dict[str, float]:
    """Figures {"mel_mean", "mel_error"} of a sampled mel: its mean (nats), its mean distance to the clip's own.

    Raises ModelFileError (the files do not load), BadRender (it is no mel).
    """
    import torch

    from core.engines.sovits.convert_diffusion import read_config, sizes_of
    from core.engines.sovits.dataset import Example, wav_frames, whole_clip
    from core.engines.sovits.diffusion.model import MEL_MAX, MEL_MIN, Unit2Mel
    from core.models.safe_load import load_tensors, strict_load
    from core.nn.vocoder_mel import VocoderMel

    file = next(folder.glob("model_*.safetensors"))
    tensors = load_tensors(file)
    model = Unit2Mel(sizes_of(tensors, read_config(folder / "config.yaml"), str(file)))
    strict_load(model.eval(), tensors, str(file))
    clip = whole_clip(Example("probe", audio, features, wav_frames(audio)), "nearest")
    n = min(_FRAMES, clip.f0_hz.shape[1])
    mel = VocoderMel()(clip.audio[:, 0])[..., :n].transpose(1, 2)
    with torch.inference_mode():
        sid = torch.zeros(1, dtype=torch.long) if model.sizes.n_speakers > 1 else None
        condition = model.condition(clip.units[..., :n].transpose(1, 2), clip.f0_hz[:, :n], clip.volume[:, :n], sid)
        k_step = min(_STEPS, model.decoder.trained_steps)
        made = model.sample(
            condition, mel, k_step=k_step, speedup=max(1, k_step // 4), method="ddim",
            generator=torch.Generator().manual_seed(1),
        )  # fmt: skip
    if not bool(torch.isfinite(made).all()):
        raise BadRender("The diffusion model makes values that are not numbers.", "Go back to an earlier checkpoint.")
    mean, error = float(made.mean()), float((made - mel).abs().mean())
    if not MEL_MIN - 12 < mean < MEL_MAX + 12:
        raise BadRender(f"The diffusion model makes mels far out of range (mean {mean:.1f}).", "Train it further.")
    return {"mel_mean": round(mean, 4), "mel_error": round(error, 4)}


if __name__ == "__main__":
    sys.exit(answer(verify, sys.argv[1:]))
