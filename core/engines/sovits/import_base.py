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
from core.engines.sovits.import_place import base_folder, base_pair, beside, diffusion_folder
from core.engines.sovits.recipe import Recipe
from core.errors import BadInput
from core.models.safe_load import load_tensors, strict_load
from core.settings import Settings
from core.training.generations import save_tensors
from core.training.options import TrainOptions

SPEAKERS = ("emb_g.weight", "spk_embed.weight")


def folder_of(settings: Settings, config: SovitsConfig) -> Path:
    """Where the base models for a config lie, or would."""
    model = config.model
    snake = model.vocoder_name == "nsf-snake-hifigan"
    return base_folder(settings, model.ssl_dim, vol=model.vol_embedding, tiny=model.use_depthwise_conv, snake=snake)


def install_base(found: Found, settings: Settings, width: int) -> Path:
    """Put a base model into place; returns its file. `width`: of units, for a discriminator. Raises NoSpace."""
    tensors = load_tensors(found.path)
    if found.kind == "diffusion":
        path = diffusion_folder(settings, tensors["unit_embed.weight"].shape[1]) / "model_0.safetensors"
    elif found.kind == "generator":
        fields = generator_fields(shapes_of(tensors))
        snake = fields["vocoder_name"] == "nsf-snake-hifigan"
        vol, tiny = fields["vol_embedding"], fields["use_depthwise_conv"]
        path = base_folder(settings, fields["ssl_dim"], vol=vol, tiny=tiny, snake=snake) / "G_0.safetensors"
    else:
        path = base_folder(settings, width) / "D_0.safetensors"
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


def start_from(recipe: Recipe, config: SovitsConfig, options: TrainOptions, settings: Settings) -> str:
    """Put the weights to start from into a fresh recipe; returns what was done, for the run's notes ("" for nothing).

    `init_from` with the discriminator of `init_discriminator`, or the one that lies with it; else, if `use_base`, the
    base models of that kind. A released file (without `enc_q`) is refused by name, and so is all that does not fit
    but the table of speakers.

    Raises:
        BadInput: a named file is not there.
        ModelFileError: one does not fit.
    """
    if options.init_from:
        generator: Path | None = Path(options.init_from)
        named = Path(options.init_discriminator) if options.init_discriminator else None
        for path in (generator, named):
            if path is not None and not path.is_file():
                raise BadInput(
                    f"There is no file {path} to start from.", "Choose a model.safetensors or G_*.pth.", where=str(path)
                )
        assert generator is not None
        discriminator = named or beside(generator)
    elif options.use_base and config.model.vocoder_name != "lite":
        generator, discriminator = base_pair(folder_of(settings, config))
        if discriminator is None:  # they look the same whatever the generator's switches are
            discriminator = base_pair(base_folder(settings, config.model.ssl_dim))[1]
    else:
        return ""
    if generator is None:
        return ""
    tensors = without_speakers(load_tensors(generator), recipe.generator.state_dict())
    strict_load(recipe.generator, tensors, str(generator))
    if recipe.discriminator is None or discriminator is None or config.model.vocoder_name == "lite":
        return f"Starts from {generator.name}."
    strict_load(recipe.discriminator, load_tensors(discriminator), str(discriminator))
    return f"Starts from {generator.name} and {discriminator.name}."
