"""Base models: the G_0, D_0 and model_0 that a training starts from instead of from nothing.

They lie in pretrain/base, in a folder for each kind of model: `768`, `768-vol`, `256`, `768-tiny` … and
`diffusion-768`. Widths and switches decide; the number of speakers does not, because each training has its own.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from core.engines.sovits.anatomy import generator_fields
from core.engines.sovits.checkpoint import shapes_of
from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.import_look import Found
from core.models.safe_load import load_tensors
from core.settings import Settings
from core.training.generations import save_tensors

FOLDER = "base"
SPEAKERS = ("emb_g.weight", "spk_embed.weight")


def base_folder(settings: Settings, config: SovitsConfig) -> Path:
    """Where the base models for a config lie, or would."""
    model = config.model
    return (
        settings.pretrain_dir
        / FOLDER
        / _key(model.ssl_dim, model.vol_embedding, model.use_depthwise_conv, model.vocoder_name == "nsf-snake-hifigan")
    )


def diffusion_folder(settings: Settings, width: int) -> Path:
    """Where the base of diffusion models for units of a width lies, or would."""
    return settings.pretrain_dir / FOLDER / f"diffusion-{width}"


def find_base(settings: Settings, config: SovitsConfig) -> tuple[Path | None, Path | None]:
    """(generator, discriminator) to start from; None for what is not here."""
    folder = base_folder(settings, config)
    found = [folder / "G_0.safetensors", folder / "D_0.safetensors"]
    generator, discriminator = (path if path.is_file() else None for path in found)
    return generator, discriminator


def install_base(found: Found, settings: Settings, width: int) -> Path:
    """Put a base model into place; returns its file. `width`: of units, for a discriminator. Raises NoSpace."""
    tensors = load_tensors(found.path)
    if found.kind == "diffusion":
        path = diffusion_folder(settings, tensors["unit_embed.weight"].shape[1]) / "model_0.safetensors"
    elif found.kind == "generator":
        fields = generator_fields(shapes_of(tensors))
        snake = fields["vocoder_name"] == "nsf-snake-hifigan"
        key = _key(fields["ssl_dim"], fields["vol_embedding"], fields["use_depthwise_conv"], snake)
        path = settings.pretrain_dir / FOLDER / key / "G_0.safetensors"
    else:
        path = settings.pretrain_dir / FOLDER / str(width) / "D_0.safetensors"
    from core import atomic

    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(path) as temporary:
        save_tensors(temporary, tensors, {"format": "pt"})
    return path


def without_speakers(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A base's tensors for a model with other speakers: its table of speakers gives way to the model's own.

    The one documented exception to strict loading: a base is made for other people than those of the new training.
    Only where the number of speakers differs, and only these tables.
    """
    made = dict(tensors)
    for name in SPEAKERS:
        if name in wanted and (name not in made or made[name].shape != wanted[name].shape):
            made[name] = wanted[name]
        elif name in made and name not in wanted:
            del made[name]
    return made


def _key(width: int, vol: bool, tiny: bool, snake: bool) -> str:
    return "-".join([str(width), *(["vol"] if vol else []), *(["tiny"] if tiny else []), *(["snake"] if snake else [])])
