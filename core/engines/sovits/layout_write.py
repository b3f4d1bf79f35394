"""A voice's accepted clips as so-vits-svc 4.1 prepares them: dataset/44k with its side files, filelists, configs.

Its `train.py` (and `train_diff.py`, but for mels) goes on from there without preparing anything again. Formats: spec,
section 2.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import yaml

from core import atomic
from core.engines.sovits import material
from core.engines.sovits.config import save_config
from core.engines.sovits.dataset import RATE_HZ
from core.engines.sovits.diffusion_train import config_of, sizes_of
from core.engines.sovits.kmeans_options import DiffusionOptions
from core.engines.sovits.kmeans_target import Target
from core.engines.sovits.presets import preset
from core.errors import Conflict
from core.features import cache, encoders
from core.features.pitch import interpolate
from core.nn.spectral import spectrogram
from core.paths import safe_name
from core.training.options import TrainOptions

if TYPE_CHECKING:
    from core.engines.sovits.clips import Example
    from core.jobs.context import JobContext


def run_export(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Write a voice's clips for so-vits-svc 4.1.

    Args:
        params: "voice"; "out": a folder that is not there yet; "encoder", "pitch"; "vol_embedding".
        ctx: settings, progress, cancel. Nothing is left after a cancel.

    Returns:
        {"out", "clips", "speaker"}.

    Raises:
        Conflict: the folder is there. BadInput: no accepted clips. Unavailable: the encoder is not here.
    """
    from core.dataset.voices import VoiceStore

    out = Path(params["out"])
    if out.exists():
        raise Conflict(f"{out} exists already.", "Choose a new folder.", where=str(out))
    voice = VoiceStore(ctx.settings.voices_dir).get(str(params["voice"]))
    wanted = TrainOptions(
        voice=voice.name, encoder=str(params.get("encoder") or "vec768l12"), pitch=str(params.get("pitch") or "fcpe")
    )
    encoder = encoders.create(wanted.encoder, "cpu", ctx.settings)
    data = material.gather(voice, wanted, encoder, ctx.settings.cache_dir / "features", "cpu", ctx.sub(0.0, 0.6))
    speaker = safe_name(voice.name)
    config = preset(
        "standard",
        encoder=wanted.encoder,
        encoder_dim=encoder.dim,
        speakers=[speaker],
        vol_embedding=bool(params.get("vol_embedding")),
    )
    with atomic.folder(out) as build:
        clips = build / "dataset" / "44k" / speaker
        clips.mkdir(parents=True)
        names: dict[str, list[str]] = {"train": [], "val": []}
        roles = [("train", one) for one in data.train] + [("val", one) for one in data.held_out]
        for number, (role, example) in enumerate(roles):
            ctx.progress(0.6 + 0.4 * number / len(roles), f"writing {example.clip_id}")
            target = clips / f"{safe_name(example.clip_id, 'clip')}.wav"
            if not target.exists():
                _write_clip(example, target)
            names[role].append(f"./dataset/44k/{speaker}/{target.name}")
        for role, paths in names.items():
            atomic.write_text(build / "filelists" / f"{role}.txt", "".join(f"{path}\n" for path in paths))
        (build / "configs").mkdir()
        save_config(config, build / "configs" / "config.json")
        options = DiffusionOptions(voice=voice.name)
        diffusion = config_of(options, Target(build, config, {}), sizes_of(options, config))
        text = yaml.safe_dump(diffusion, sort_keys=False, allow_unicode=True)
        atomic.write_text(build / "configs" / "diffusion.yaml", text)
    return {"out": str(out), "clips": len({path for paths in names.values() for path in paths}), "speaker": speaker}


def _write_clip(example: "Example", target: Path) -> None:
    """The clip and what lies beside it: units, pitch with voicing, spectrogram, loudness."""
    import wave

    shutil.copyfile(example.audio, target)
    found = cache.load(example.features)
    with wave.open(str(target), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768.0
        assert file.getframerate() == RATE_HZ
    f0_hz, uv = interpolate(np.asarray(found.f0, np.float32))
    torch.save(found.units.float().T[None].contiguous(), f"{target}.soft.pt")
    np.save(f"{target}.f0.npy", np.asanyarray((f0_hz, uv), dtype=object))
    np.save(f"{target}.vol.npy", np.asarray(found.volume, np.float32))
    torch.save(spectrogram(torch.from_numpy(samples)), target.with_suffix(".spec.pt"))
