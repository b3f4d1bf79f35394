"""How long one waits for the first sound, from what was spoken on this machine. Light."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.engines.cosyvoice2.options import TOKENS_A_S, CosyOptions

if TYPE_CHECKING:
    from core.speech.takes import Take

_FEWEST = 10  # tokens after the first sound that a take must have to be measured by


@dataclass(frozen=True)
class Pace:
    """What a model takes here: `before_s` until its first token (the prompt), `token_s` for a token and its sound, both
    the quickest of `n_takes`; loading the model, which the first take waits for too, is no part of the others."""

    before_s: float
    token_s: float
    n_takes: int

    def wait_s(self, options: CosyOptions) -> float:
        """Until the first sound, with these settings."""
        return self.before_s + self.token_s * options.first_sound_tokens


def pace(takes: "Iterable[Take]", engine: str, model: str) -> Pace | None:
    """Of the takes that this model spoke; None if there is none to go by."""
    before, token = [], []
    for take in takes:
        n_tokens = take.seconds * TOKENS_A_S
        if (take.engine, take.model) != (engine, model) or take.made_from or not take.first_s:
            continue
        try:
            first = CosyOptions.model_validate(take.options).first_sound_tokens
        except ValueError:
            continue  # of another version of the studio
        if n_tokens < first + _FEWEST:
            continue
        token.append((take.work_s - take.first_s) / (n_tokens - first))
        before.append(max(0.0, take.first_s - token[-1] * first))
    return Pace(min(before), min(token), len(token)) if token else None
