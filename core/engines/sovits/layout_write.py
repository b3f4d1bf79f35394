"""Accepted clips of voices as so-vits-svc 4.1 prepares them: dataset/44k with its side files, filelists, configs.

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
from core.errors import BadInput, Conflict
from core.features import cache, encoders
from core.features.pitch import interpolate
from core.nn.spectral import spectrogram
from core.paths import safe_name
from core.training.options import TrainOptions

if TYPE_CHECKING:
    from core.engines.sovits.clips import Example
    from core.jobs.context import JobContext


def run_export(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Write voices' clips for so-vits-svc 4.1, each voice a speaker.

    Args:
        params: "voices": names; "out": a folder that is not there yet; "encoder", "pitch"; "vol_embedding".
        ctx: settings, progress, cancel. Nothing is left after a cancel.

    Returns:
        {"out", "clips", "speakers", "notes"}; a note is a clip that was left out.

    Raises:
        Conflict: the folder is there. BadInput: no accepted clips, or two voices of one name to upstream.
        Unavailable: the encoder is not here.
    """
    from core.dataset.voices import VoiceStore

    out = Path(params["out"])
    if out.exists():
        raise Conflict(f"{out} exists already.", "Choose a new folder.", where=str(out))
    store = VoiceStore(ctx.settings.voices_dir)
    voices = {safe_name(name): store.get(str(name)) for name in params["voices"]}
    if not voices or len(voices) != len(params["voices"]):
        raise BadInput("Each voice is named once.", "Choose at least one voice.", where="voices")
    name = str(params.get("encoder") or "vec768l12")
    encoder = encoders.create(name, "cpu", ctx.settings)
    data: dict[str, material.Material] = {}
    for number, (speaker, voice) in enumerate(voices.items()):
        wanted = TrainOptions(voice=voice.name, encoder=name, pitch=str(params.get("pitch") or "fcpe"))
        part = ctx.sub(0.6 * number / len(voices), 0.6 * (number + 1) / len(voices))
        data[speaker] = material.gather(voice, wanted, encoder, ctx.settings.cache_dir / "features", "cpu", part)
    config = preset(
        "standard",
        encoder=name,
        encoder_dim=encoder.dim,
        speakers=list(voices),
        vol_embedding=bool(params.get("vol_embedding")),
    )
    with atomic.folder(out) as build:
        n_clips = _write_clips(build, data, ctx)
        (build / "configs").mkdir()
        save_config(config, build / "configs" / "config.json")
        options = DiffusionOptions(voice=next(iter(voices.values())).name)
        diffusion = config_of(options, Target(build, config, {}), sizes_of(options, config))
        text = yaml.safe_dump(diffusion, sort_keys=False, allow_unicode=True)
        atomic.write_text(build / "configs" / "diffusion.yaml", text)
    notes = [f"{speaker}: {note}" for speaker, found in data.items() for note in found.notes]
    return {"out": str(out), "clips": n_clips, "speakers": list(voices), "notes": notes}


def _write_clips(build: Path, data: dict[str, material.Material], ctx: "JobContext") -> int:
    """dataset/44k and filelists; returns the number of clips."""
    names: dict[str, list[str]] = {"train": [], "val": []}
    n_all = sum(len(found.train) + len(found.held_out) for found in data.values())
    for speaker, found in data.items():
        clips = build / "dataset" / "44k" / speaker
        clips.mkdir(parents=True)
        for role, example in [("train", one) for one in found.train] + [("val", one) for one in found.held_out]:
            done = sum(map(len, names.values()))
            ctx.progress(0.6 + 0.4 * done / n_all, f"writing {example.clip_id}")
            target = clips / f"{safe_name(example.clip_id, 'clip')}.wav"
            if not target.exists():  # a clip may be trained on and looked at, where there are few
                _write_clip(example, target)
            names[role].append(f"./dataset/44k/{speaker}/{target.name}")
    for role, paths in names.items():
        atomic.write_text(build / "filelists" / f"{role}.txt", "".join(f"{path}\n" for path in paths))
    return len({path for paths in names.values() for path in paths})


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
