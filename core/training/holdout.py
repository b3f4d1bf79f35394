"""Which clips are never trained on. The choice depends on their content alone, so it is the same on every machine."""

import hashlib
import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

from core.errors import BadInput

HOLDOUT_SHARE = 0.02


class Known(Protocol):
    """A clip: its name and the sha256 of its sound."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def sha256(self) -> str:
        """Of its sound."""


Item = TypeVar("Item", bound=Known)


def split(items: Sequence[Item], probes: int, named: Sequence[str] = ()) -> tuple[list[Item], list[Item], list[str]]:
    """(train, held out, notes) of clips; at least one.

    Args:
        items: the clips.
        probes: how many to hold out, if not `HOLDOUT_SHARE` of all is more; never over a quarter.
        named: ids to hold out instead; empty: chosen by hash. With too few clips none is, and the first training clip
            stands in, which the notes say.

    Raises:
        BadInput: an id of `named` is not there, or every clip is held out.
    """
    if named:
        unknown = set(named) - {item.id for item in items}
        if unknown:
            raise BadInput(
                f"Clips to hold out are not there: {', '.join(sorted(unknown)[:5])}.", "Choose accepted clips."
            )
        held = [item for item in items if item.id in set(named)]
    else:
        wanted = min(max(probes, math.ceil(HOLDOUT_SHARE * len(items))), len(items) // 4)
        held = sorted(items, key=lambda item: hashlib.sha256(item.sha256.encode()).digest())[:wanted]
    ids = {item.id for item in held}
    train = [item for item in items if item.id not in ids]
    if not train:
        raise BadInput("Every clip is held out.", "Hold out fewer clips.")
    notes = [] if held else ["There are too few clips to hold any out: the probe is a clip that is also trained on."]
    return train, held or train[:1], notes
