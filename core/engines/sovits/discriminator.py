"""The discriminator of a so-vits-svc model (the upstream file `D_<step>.pth`)."""

from core.engines.sovits.config import SovitsConfig
from core.nn.discriminators import MultiPeriodDiscriminator


def build_discriminator(config: SovitsConfig) -> MultiPeriodDiscriminator:
    """Scale plus periods 2, 3, 5, 7, 11; weight norm unless the config asks for spectral norm."""
    return MultiPeriodDiscriminator(config.model.use_spectral_norm)
