"""Which recipe trains which family."""

from core.engines.sovits.config import SovitsConfig
from core.engines.sovits.recipe import Recipe
from core.training.options import TrainOptions


def create_recipe(config: SovitsConfig, options: TrainOptions) -> Recipe:
    """The recipe for a model's configuration; its modules are freshly initialised from torch's default generator."""
    if config.model.vocoder_name == "lite":
        from core.engines.sovits.lite_recipe import LiteRecipe

        return LiteRecipe(config, options)
    from core.engines.sovits.vits_recipe import VitsRecipe

    return VitsRecipe(config, options)
