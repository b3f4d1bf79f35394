"""VoxCPM through the package nano-vllm-voxcpm: is it here, and which models it speaks. Light."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from core.engines.voxcpm import models
from core.errors import Unavailable
from core.models.entry import CatalogueEntry
from core.settings import Settings
from core.speech.options import SpeechOptions

if TYPE_CHECKING:
    from core.dataset.voices import Voice

PACKAGE = "nanovllm_voxcpm"


class NanoOptions(SpeechOptions):
    """Settings of one request. The steps of the diffusion are the package's ten: it fixes them as it loads."""

    cfg: float = Field(default=2.0, ge=0.0, le=10.0, description="how closely text and voice are followed")
    max_patches: int = Field(default=2000, ge=1, le=8192, description="longest sentence, in patches of 80 or 160 ms")
    description: str = Field(
        default="", max_length=500, description="VoxCPM 2 without a transcript: how the voice should sound"
    )
    normalise: bool = Field(default=False, description="write out numbers, dates and signs (by the package wetext)")


def installed() -> bool:
    """True if the package is there; does not import it."""
    return importlib.util.find_spec(PACKAGE) is not None


def check() -> None:
    """Raise Unavailable where the package is not installed."""
    if not installed():
        raise Unavailable(
            "The fast backend of VoxCPM needs the package nano-vllm-voxcpm, which is not installed.",
            "On Linux with an NVIDIA GPU: pip install nano-vllm-voxcpm flash-attn. The engine voxcpm needs neither.",
            where="nanovllm",
        )


MODELS: tuple[CatalogueEntry, ...] = models.MODELS if installed() else ()
"""Those of VoxCPM, where the package is there."""


def find_model(settings: Settings, model: str = "", voice: "Voice | None" = None) -> Path:
    """As `core.engines.voxcpm.models.find_model`; raises Unavailable without the package first."""
    check()
    return models.find_model(settings, model, voice)
