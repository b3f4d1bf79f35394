"""Where base models lie: a folder for each kind of model. Light: no torch here."""

from pathlib import Path

from core.settings import Settings

FOLDER = "base"


def base_folder(settings: Settings, width: int, *, vol: bool = False, tiny: bool = False, snake: bool = False) -> Path:
    """The folder of G_0 and D_0 for models of units of a width, with these switches: `768`, `768-vol-tiny` …"""
    parts = [str(width), *(["vol"] if vol else []), *(["tiny"] if tiny else []), *(["snake"] if snake else [])]
    return settings.pretrain_dir / FOLDER / "-".join(parts)


def diffusion_folder(settings: Settings, width: int) -> Path:
    """The folder of model_0 for diffusion models of units of a width."""
    return settings.pretrain_dir / FOLDER / f"diffusion-{width}"


def base_pair(folder: Path) -> tuple[Path | None, Path | None]:
    """(generator, discriminator) in a base folder; None for what is not there."""
    generator, discriminator = folder / "G_0.safetensors", folder / "D_0.safetensors"
    return generator if generator.is_file() else None, discriminator if discriminator.is_file() else None


def beside(generator: Path) -> Path | None:
    """The discriminator that lies with a generator's file: D_N.pth with G_N.pth, or discriminator.safetensors."""
    names = ["discriminator.safetensors", generator.name.replace("G_", "D_", 1)]
    found = [generator.with_name(name) for name in names if name != generator.name]
    return next((path for path in found if path.is_file()), None)
