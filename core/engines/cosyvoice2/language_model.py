"""Text to speech tokens: Qwen2's trunk with tables and a head for speech. Tensor names are those of `llm.pt`.

The trunk is run without the head for text, which the released file carries and nothing uses, and by a pass of our own
over the library's layers (`trunk`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from core.engines.cosyvoice2.config import LanguageModelConfig
from core.engines.cosyvoice2.trunk import TokenCache, through

if TYPE_CHECKING:
    from transformers import Qwen2Config, Qwen2Model

# In the released file and not used: the head for text, tied to the embedding.
UNUSED = ("llm.model.lm_head.weight",)


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the head beyond speech. All of `stops` end an utterance; `fill` asks for more text."""

    eos: int
    fill: int
    stops: frozenset[int]


class _Holder(nn.Module):
    """A place among the tensor names."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


class LanguageModel(nn.Module):
    """Embeddings in, logits over speech tokens out. Stateless: a request's cache is the request's."""

    def __init__(self, config: LanguageModelConfig, trunk: "Qwen2Config") -> None:
        super().__init__()
        from transformers import Qwen2Model

        self.config = config
        dim, n_ids = trunk.hidden_size, config.speech_tokens + config.extra_ids
        self.llm = _Holder(_Holder(Qwen2Model(trunk)))
        self.speech_embedding = nn.Embedding(n_ids, dim)
        self.llm_decoder = nn.Linear(dim, n_ids, bias=config.own_embedding)
        if config.own_embedding:
            self.llm_embedding = nn.Embedding(2, dim)
        first = config.speech_tokens
        stops = frozenset(range(first, n_ids))
        # Version 3 has its start and task among the ids: start, end, task, fill.
        self.ids = (
            SpecialIds(first, first + 2, stops) if config.own_embedding else SpecialIds(first + 1, first + 3, stops)
        )

    @property
    def trunk(self) -> "Qwen2Model":
        """The Qwen2 model without a head."""
        return self.llm.model.model  # type: ignore[return-value]

    @property
    def longest(self) -> int:
        """Positions that the trunk was trained for."""
        return int(self.trunk.config.max_position_embeddings)  # type: ignore[union-attr, arg-type]

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.llm_decoder.weight.device

    def cache(self) -> TokenCache:
        """An empty cache for one request."""
        return TokenCache()

    def text(self, ids: list[int]) -> Tensor:
        """Embeddings [1, n, dim] of text tokens."""
        return self.trunk.embed_tokens(self._row(ids))  # type: ignore[operator]

    def speech(self, ids: list[int]) -> Tensor:
        """Embeddings [1, n, dim] of speech tokens."""
        return self.speech_embedding(self._row(ids))

    def start(self) -> Tensor:
        """The embedding [1, 1, dim] that begins a sequence."""
        return self._special(0, self.config.speech_tokens)

    def task(self) -> Tensor:
        """The embedding [1, 1, dim] that says that all text has been given."""
        return self._special(1, self.config.speech_tokens + 2)

    def _special(self, own: int, among_speech: int) -> Tensor:
        if self.config.own_embedding:
            return self.llm_embedding(self._row([own]))
        return self.speech([among_speech])

    def _row(self, ids: list[int]) -> Tensor:
        return torch.tensor([ids], dtype=torch.long, device=self.device)

    @torch.inference_mode()
    def forward(self, embeddings: Tensor, cache: TokenCache) -> Tensor:
        """Logits [V] after the last of `embeddings` [1, n, dim], which follow what `cache` holds."""
        return self.llm_decoder(through(self.trunk, embeddings, cache)[0, -1])
