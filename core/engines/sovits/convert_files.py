"""The files that a conversion takes beside the voice model: given by path, by name below the model's folder, or found
there. What is missing is said with what to import and where. Light: no torch here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.engines.sovits.convert_options import ConvertOptions, file_sha256
from core.errors import NotFound, Unavailable
from core.models import catalogue
from core.paths import inside
from core.settings import Settings

BANK_NAMES = {
    "kmeans": ("kmeans*.safetensors", "kmeans_*.pt"),
    "retrieval": ("retrieval*.safetensors", "*index*.safetensors"),
}
DIFFUSION_NAMES = ("diffusion/model*.safetensors", "diffusion/model_*.pt")
CONFIG_NAMES = ("config.yaml", "diffusion.yaml", "config.yml")
VOCODER = "nsf-hifigan"


@dataclass(frozen=True)
class Companions:
    """Resolved files by the name of the option that asks for them; only those that this conversion uses."""

    files: dict[str, Path]

    def get(self, name: str) -> Path | None:
        """The file of an option, None where it is not used."""
        return self.files.get(name)

    def sha256(self) -> dict[str, str]:
        """Hash of each file, for the sidecar."""
        return {name: file_sha256(path) for name, path in self.files.items()}


def find_companions(options: ConvertOptions, folder: Path, settings: Settings) -> Companions:
    """Every file that these options use with the model in `folder`.

    Raises NotFound or Unavailable that says which file is missing, how to get it and where it belongs.
    """
    files: dict[str, Path] = {}
    if options.blend:
        files["blend_file"] = _bank(options, folder)
    if options.diffusion != "off":
        files["diffusion_model"] = model = _diffusion(options, folder)
        files["diffusion_config"] = _diffusion_config(options, folder, model)
    if options.needs_vocoder:
        files["vocoder"] = find_vocoder(options.vocoder, folder, settings)
    if options.f0_file:
        files["f0_file"] = _named(options.f0_file, folder, "pitch file", "Save it again, or leave it out.")
    if isinstance(options.speaker_mix, str):
        files["speaker_mix"] = _named(options.speaker_mix, folder, "file of speaker shares", "Name another.")
    return Companions(files)


def _bank(options: ConvertOptions, folder: Path) -> Path:
    kind = options.blend_by
    if options.blend_file:
        return _named(options.blend_file, folder, f"{kind} file", "Choose another, or set blend to 0.")
    found = _newest(folder, BANK_NAMES[kind])
    if found is not None:
        return found
    upstream = "kmeans_10000.pt" if kind == "kmeans" else "feature_and_index.pkl, converted to .safetensors,"
    raise NotFound(
        f"The model '{folder.name}' has no {kind} file to blend with.",
        f"Make one from the voice's clips, or put so-vits-svc's {upstream} into {folder}; or set blend to 0.",
        where=str(folder),
    )


def _diffusion(options: ConvertOptions, folder: Path) -> Path:
    if options.diffusion_model:
        return _named(options.diffusion_model, folder, "diffusion model", "Choose another, or switch diffusion off.")
    found = _newest(folder, DIFFUSION_NAMES)
    if found is not None:
        return found
    raise NotFound(
        f"The model '{folder.name}' has no diffusion model.",
        f"Train one, or put so-vits-svc's logs/44k/diffusion (model_*.pt and config.yaml) into {folder / 'diffusion'}; "
        "or switch diffusion off.",
        where=str(folder / "diffusion"),
    )


def _diffusion_config(options: ConvertOptions, folder: Path, model: Path) -> Path:
    if options.diffusion_config:
        return _named(options.diffusion_config, folder, "diffusion config", "Choose another.")
    for name in CONFIG_NAMES:
        if (model.parent / name).is_file():
            return model.parent / name
    raise NotFound(
        f"There is no config.yaml beside the diffusion model {model.name}.",
        f"Put the config.yaml (diffusion.yaml) that came with it into {model.parent}.",
        where=str(model.parent),
    )


def find_vocoder(wanted: str | None, folder: Path, settings: Settings) -> Path:
    """NSF-HiFi-GAN's file: the wanted one, a fine-tuned one in `folder`/vocoder, or the studio's.

    Raises NotFound (named, but not there) or Unavailable with licence, size and how to get it by hand.
    """
    if wanted:
        return _named(wanted, folder, "vocoder", "Choose another file.")
    return vocoder_in(folder / "vocoder") or studio_vocoder(settings)


def vocoder_in(folder: Path) -> Path | None:
    """The weights of the vocoder in a folder, or None."""
    return _newest(folder, VOCODER_NAMES)


def studio_vocoder(settings: Settings) -> Path:
    """NSF-HiFi-GAN's file in the pretrain folder.

    Raises Unavailable with licence, size and how to get it by hand.
    """
    found = catalogue.locate(settings, VOCODER)
    if found.state == "present" and found.path is not None:
        at = vocoder_in(found.path)
        if at is not None:
            return at
    one = found.entry
    raise Unavailable(
        f"Diffusion, the enhancer and fine-tuning need the vocoder NSF-HiFi-GAN, which is not in {found.path}: about "
        f"{one.size_bytes / 2**20:.0f} MB, licence {one.licence}.",
        f"{one.by_hand[0].upper()}{one.by_hand[1:]}.",
        where=str(found.path),
    )


VOCODER_NAMES = ("model", "model.ckpt", "model.safetensors", "*.ckpt", "model.pt")


def _named(name: str, folder: Path, what: str, hint: str) -> Path:
    """A file by its path, or by its name below the model's folder."""
    path = Path(name) if Path(name).is_absolute() else inside(folder, folder / name)
    if not path.is_file():
        raise NotFound(f"There is no {what} {path}.", hint, where=str(path))
    return path


def _newest(folder: Path, patterns: Iterable[str]) -> Path | None:
    """The file with the largest number in its name, of the first pattern that finds any."""
    for pattern in patterns:
        found = [path for path in folder.glob(pattern) if path.is_file()] if folder.is_dir() else []
        if found:
            return max(found, key=lambda path: (int("0" + "".join(re.findall(r"\d", path.stem))), path.name))
    return None
