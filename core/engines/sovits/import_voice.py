"""Found files put into place: voice models that `convert` uses at once, and what the studio keeps for all voices.

Nothing of the originals is changed; what is written is loaded strictly and has rendered a sound before it gets its
name.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml
from torch import Tensor

from core import atomic
from core.engines.sovits.config import SovitsConfig, load_config, save_config
from core.engines.sovits.import_look import Found
from core.engines.sovits.import_plan import VoicePlan
from core.errors import ModelFileError, NotFound
from core.models import encoder_import, faiss_file
from core.models.safe_load import load_checkpoint, load_tensors, strict_load
from core.paths import unique_path
from core.settings import Settings
from core.training.generations import save_tensors, sha256_of

if TYPE_CHECKING:
    from core.dataset.voices import Voice

KMEANS_FILE, INDEX_FILE, DISCRIMINATOR_FILE = "kmeans.safetensors", "retrieval.safetensors", "discriminator.safetensors"
_TRIAL_FRAMES = 30


def install_voice(plan: VoicePlan, settings: Settings) -> tuple[Path, bool]:
    """Make the voice, if there is none, and its model; returns (folder of the model, whether it is new).

    Importing the same files again changes nothing. Raises ModelFileError where the weights do not load strictly or
    render no numbers, NoSpace where the disk is full; nothing is left of the model then.
    """
    from core.dataset.voices import VoiceStore

    store = VoiceStore(settings.voices_dir)
    try:
        voice = store.get(plan.voice)
    except NotFound:
        voice = store.create(plan.voice)
    original = sha256_of(plan.generator.path)
    there = _already(voice, original)
    if there is not None:
        return there, False
    target = unique_path(voice.models / plan.model)
    with atomic.folder(target) as build:
        _write_model(build, plan, voice.name, original)
        _prove(build)
    return target, True


def _already(voice: "Voice", original: str) -> Path | None:
    for card in voice.models.glob("*/card.json"):
        try:
            data = json.loads(card.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(data, dict) and (data.get("imported") or {}).get("sha256") == original:
            return card.parent
    return None


def _write_model(build: Path, plan: VoicePlan, voice: str, original: str) -> None:
    from core.engines.sovits.export import CARD_FILE, CONFIG_FILE, MODEL_FILE

    save_tensors(build / MODEL_FILE, load_tensors(plan.generator.path), {"format": "pt"})
    save_config(plan.config, build / CONFIG_FILE)
    _write_beside(build, plan)
    card = {
        "voice": voice,
        "run": "",
        "preset": size_of(plan.config),
        "encoder": plan.config.model.speech_encoder,
        "engine": "sovits",
        "step": max(0, plan.generator.facts["step"]),
        "created": time.time(),
        "behaviour": "4.1-stable",
        "imported": {"from": plan.generator.name, "sha256": original, "note": plan.note},
        "model_sha256": sha256_of(build / MODEL_FILE),
    }
    atomic.write_json(build / CARD_FILE, card)


def _write_beside(build: Path, plan: VoicePlan) -> None:
    beside = plan.beside
    if "discriminator" in beside:
        save_tensors(build / DISCRIMINATOR_FILE, load_tensors(beside["discriminator"].path), {"format": "pt"})
    if "kmeans" in beside:
        save_tensors(build / KMEANS_FILE, read_centres(beside["kmeans"].path), {"format": "pt"})
    if "index" in beside:
        save_tensors(build / INDEX_FILE, read_index(beside["index"].path), {"format": "pt"})
    if "diffusion" in beside:
        folder = build / "diffusion"
        folder.mkdir()
        name = f"model_{max(0, beside['diffusion'].facts['step'])}.safetensors"
        save_tensors(folder / name, load_tensors(beside["diffusion"].path), {"format": "pt"})
        config = beside.get("diffusion-config")
        text = config.path.read_text(encoding="utf-8") if config else yaml.safe_dump({"spk": dict(plan.config.spk)})
        atomic.write_text(folder / "config.yaml", text)


def size_of(config: SovitsConfig) -> str:
    """The size of a model by the name of the studio's presets, or "other"."""
    model = config.model
    if (model.upsample_initial_channel, model.use_depthwise_conv) == (400, True):
        return "tiny"
    return "standard" if model.upsample_initial_channel == 512 else "other"


def read_centres(path: Path) -> dict[str, Tensor]:
    """k-means centres [K, C] by speaker, of upstream's file or a safetensors. Raises ModelFileError."""
    if path.suffix.lower() == ".safetensors":
        return load_tensors(path)
    data = load_checkpoint(path)
    tables = {
        str(name): torch.as_tensor(value["cluster_centers_"]).float()
        for name, value in (data.items() if isinstance(data, Mapping) else ())
        if isinstance(value, Mapping) and "cluster_centers_" in value
    }
    if not tables:
        raise ModelFileError(f"{path.name} is no k-means file of so-vits-svc.", "Choose kmeans_*.pt.", where=str(path))
    return tables


def read_index(path: Path) -> dict[str, Tensor]:
    """Units [N, C] by speaker's id, of a faiss pickle, a file of faiss or a safetensors. Raises ModelFileError."""
    if path.suffix.lower() == ".safetensors":
        return load_tensors(path)
    return {key: torch.from_numpy(bank.copy()) for key, bank in faiss_file.read_banks(path).items()}


def _prove(folder: Path) -> None:
    """Load the model strictly and render a moment. Raises ModelFileError."""
    from core.engines.sovits.export import CONFIG_FILE, load_model

    model = load_model(folder)
    size = load_config(folder / CONFIG_FILE).model
    frames = torch.arange(_TRIAL_FRAMES)
    units = torch.sin(torch.arange(size.ssl_dim)[None, :, None] + frames / 3.0)
    audio, _ = model.generator.infer(  # type: ignore[operator]
        units,
        220.0 + 2.0 * frames[None],
        torch.ones(1, _TRIAL_FRAMES),
        torch.tensor([min(model.config.spk.values())]),
        torch.full((1, _TRIAL_FRAMES), 0.1),
        generator=torch.Generator().manual_seed(1),
    )
    if not bool(torch.isfinite(audio).all()):
        raise ModelFileError(
            "It loads, but what it renders are not numbers.", "Use an earlier checkpoint of that training."
        )


# ---- what all voices use


def install_encoder(found: Found, settings: Settings) -> Path:
    """Put a content encoder into the pretrain folder; returns its folder. Raises ModelFileError, NoSpace."""
    from core.models import catalogue

    name = str(found.facts["name"])
    folder = settings.pretrain_dir / catalogue.entry(name).folder
    if found.path.suffix.lower() == ".onnx":
        return encoder_import.install_onnx(found.path, name, folder)
    original = encoder_import.recognise(load_checkpoint(found.path), found.path)
    assert original is not None
    return encoder_import.install(original, folder)


def checksum_words(found: Found, entry: str) -> str:
    """What the published checksums say of an original file of a catalogue entry; empty where none is known."""
    from core.models import catalogue

    known = catalogue.entry(entry).checksums
    if not known:
        return ""
    with open(found.path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = next((name for name, one in known.items() if one == digest), None)
    if name is None:
        return "Its checksum is none of those published: another version."
    return f"Its checksum is the published one of {name}."


def install_rmvpe(found: Found, settings: Settings) -> Path:
    """Put RMVPE's file into the pretrain folder once it has loaded strictly. Raises ModelFileError, NoSpace."""
    from core.models import catalogue
    from core.nn.rmvpe import Rmvpe

    strict_load(Rmvpe(), load_tensors(found.path), str(found.path))
    folder = settings.pretrain_dir / catalogue.entry("rmvpe").folder
    return _copied(found.path, folder / f"rmvpe{'.safetensors' if found.path.suffix == '.safetensors' else '.pt'}")


def install_vocoder(found: Found, config: Path, settings: Settings) -> Path:
    """Put NSF-HiFi-GAN's two files into the pretrain folder once they have loaded strictly.

    Raises BadInput (the config), ModelFileError, NoSpace.
    """
    from core.engines.sovits.vocoder import load_vocoder
    from core.models import catalogue

    load_vocoder(found.path, config)
    folder = settings.pretrain_dir / catalogue.entry("nsf-hifigan").folder
    name = "model.safetensors" if found.path.suffix.lower() == ".safetensors" else "model"
    _copied(config, folder / "config.json")
    return _copied(found.path, folder / name)


def _copied(source: Path, target: Path) -> Path:
    with atomic.file(target) as temporary:
        shutil.copyfile(source, temporary)
    return target.parent
