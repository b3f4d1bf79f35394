"""The catalogue's base models of so-vits-svc: a training that starts from one needs far fewer steps.

Nobody publishes *the* base models: several people trained some and share them, so no checksum is known for them.
Folders are those of `core.engines.sovits.import_place`, where an import puts them.
"""

from core.models.entry import CatalogueEntry

_MB = 1024 * 1024
_LICENCE = "of whoever trained it; those that are widely shared are CC-BY-NC-SA-4.0 or CC-BY-NC-4.0"
_ORIGIN = (
    "shared by users of so-vits-svc, who name the size and the encoder that it is for; the studio shipped none and "
    "knows no checksum"
)


def _pair(folder: str, what: str, megabytes: int, *, discriminator: bool = False) -> CatalogueEntry:
    """`discriminator`: the folder has one of its own; models of the other switches share that of their width."""
    return CatalogueEntry(
        name=f"base-{folder}",
        purpose=f"base model for {what}: training starts from it instead of from nothing",
        size_bytes=megabytes * _MB,
        licence=_LICENCE,
        folder=f"base/{folder}",
        files=("G_0.safetensors", *(["D_0.safetensors"] if discriminator else [])),
        origin=_ORIGIN,
        by_hand="get G_0.pth and D_0.pth of that kind, then drop both on the page Models (or `app.py models import`)",
    )


BASES: tuple[CatalogueEntry, ...] = (
    _pair("768", "voices by vec768l12", 380, discriminator=True),
    _pair("768-vol", "voices by vec768l12 with loudness embedding", 200),
    _pair("768-vol-tiny", "tiny voices by vec768l12 with loudness embedding", 80),
    _pair("256", "voices by vec256l9 or hubertsoft, and of so-vits-svc 4.0", 350, discriminator=True),
    CatalogueEntry(
        name="base-diffusion-768",
        purpose="base model for diffusion by vec768l12: training starts from it instead of from nothing",
        size_bytes=210 * _MB,
        licence=_LICENCE,
        folder="base/diffusion-768",
        files=("model_0.safetensors",),
        origin=_ORIGIN,
        by_hand="get a model_0.pt for vec768l12, then drop it on the page Models (or `app.py models import`)",
    ),
)
