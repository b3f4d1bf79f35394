"""How a speech token is drawn: nucleus sampling that steps aside for a token it has drawn a moment ago.

The repetition-aware scheme of VALL-E 2 (Chen et al., 2024), with CosyVoice's settings.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from core.engines.cosyvoice2.config import LanguageModelConfig

# (logits [V], tokens so far, ids that may not be drawn) -> id
Sampler = Callable[[Tensor, Sequence[int], Collection[int]], int]


def nucleus(probabilities: Tensor, top_p: float, top_k: int) -> tuple[Tensor, Tensor]:
    """The likeliest tokens up to a total of `top_p`, the one that crosses it included, `top_k` at most.

    Returns their probabilities and ids, likeliest first, equal ones by id.
    """
    ranked, ids = probabilities.sort(descending=True, stable=True)
    ranked, ids = ranked[:top_k], ids[:top_k]
    before = torch.cat([ranked.new_zeros(1), ranked.cumsum(0)[:-1]])
    kept = int((before < top_p).sum())
    return ranked[:kept], ids[:kept]


class RepetitionAwareSampler:
    """Draws with one request's own generator (on the CPU); never changes the logits it is given."""

    def __init__(self, config: LanguageModelConfig, generator: torch.Generator) -> None:
        self._config, self._generator = config, generator

    def _draw(self, probabilities: Tensor) -> int:
        return int(torch.multinomial(probabilities, 1, replacement=True, generator=self._generator))

    def __call__(self, logits: Tensor, decoded: Sequence[int], banned: Collection[int]) -> int:
        """One id. Drawn again from the whole distribution, itself left out, if it is among the last few."""
        config = self._config
        scores = logits.detach().float().cpu().log_softmax(0)
        if banned:
            scores[list(banned)] = float("-inf")
        probabilities, ids = nucleus(scores.softmax(0), config.top_p, config.top_k)
        token = int(ids[self._draw(probabilities)])
        recent = list(decoded[-config.win_size :]).count(token)
        if recent >= config.win_size * config.tau_r:
            scores[token] = float("-inf")
            token = self._draw(scores.softmax(0))
        return token
