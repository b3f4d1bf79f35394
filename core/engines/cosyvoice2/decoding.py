"""The order in which text and speech tokens alternate: all text first, or five text to fifteen speech as text arrives.

Right where upstream's stream is wrong: the last speech token is not fed twice when text ends after a whole block, the
rest of the prompt's speech is not dropped when text ends early, no text is skipped after a prompt of whole blocks, ids
that would stop a block are never drawn in one, and the end is bounded. `upstream=True` gives those bugs back, to
compare token by token.
"""

import logging
from collections.abc import Generator, Iterator, Sequence

import torch
from torch import Tensor

from core.engines.cosyvoice2.language_model import LanguageModel
from core.engines.cosyvoice2.sampling import Sampler

log = logging.getLogger(__name__)

MIN_RATIO, MAX_RATIO = 2, 20  # speech tokens for each token of the text to be said
_UPSTREAM_LONGEST = 10_000  # upstream's stream has no limit


class Decoding:
    """Speech tokens of one request. Feed text, `end` it, and call `next` until it has `ended`."""

    def __init__(
        self,
        model: LanguageModel,
        sampler: Sampler,
        prompt_text: Sequence[int] = (),
        prompt_speech: Sequence[int] = (),
        *,
        upstream: bool = False,
    ) -> None:
        self._model, self._sampler, self._upstream = model, sampler, upstream
        self._text, self._prompt_speech = list(prompt_text), list(prompt_speech)
        self._n_target = 0
        self._closed = False
        self._cache = model.cache()
        self._decoded: list[int] = []
        self.fed: list[tuple[int, int]] = []  # (new, total) positions of each call of the model
        self.ended = False
        self._steps = self._run()

    @property
    def memory_bytes(self) -> int:
        """What its cache holds."""
        return self._cache.memory_bytes

    def feed(self, ids: Sequence[int]) -> None:
        """More text to say."""
        if self._closed:
            raise ValueError("the text has ended")
        self._text += ids
        self._n_target += len(ids)

    def end(self) -> None:
        """No more text will come."""
        self._closed = True

    def next(self) -> int | None:
        """The next speech token; None if more text is needed first, or if it has `ended`."""
        try:
            return next(self._steps)
        except StopIteration:
            self.ended = True
            return None

    def _run(self) -> Iterator[int | None]:
        raise NotImplementedError

    @torch.inference_mode()
    def _logits(self, parts: list[Tensor]) -> Tensor:
        embeddings = torch.cat(parts, dim=1)
        before = self.fed[-1][1] if self.fed else 0
        self.fed.append((embeddings.shape[1], before + embeddings.shape[1]))
        return self._model(embeddings, self._cache)

    def _until_stop(self, parts: list[Tensor], least: int, most: int) -> Iterator[int]:
        """Tokens until one that stops, `least` and `most` of them."""
        ids = self._model.ids
        early = {ids.eos} if self._upstream else ids.stops
        for count in range(most):
            token = self._sampler(self._logits(parts), self._decoded, early if count < least else ())
            if token in ids.stops:
                return
            self._decoded.append(token)
            yield token
            parts = [self._model.speech([token])]
        log.warning("speech ended at its longest: %d tokens for %d of text", most, self._n_target)


class WholeText(Decoding):
    """All text before any speech: what sounds best when all text is known."""

    def _run(self) -> Iterator[int | None]:
        while not self._closed:
            yield None
        if not self._n_target:
            return
        parts = [self._model.start(), self._model.text(self._text), self._model.task()]
        if self._prompt_speech:
            parts.append(self._model.speech(self._prompt_speech))
        yield from self._until_stop(parts, MIN_RATIO * self._n_target, MAX_RATIO * self._n_target)


class Interleaved(Decoding):
    """Blocks of text and speech: speech begins before the text has ended."""

    def _run(self) -> Iterator[int | None]:
        model, (n_text, n_speech) = self._model, self._model.config.mix_ratio
        prompt, parts, n_produced = self._prompt_speech, [model.start()], 0
        last: list[Tensor] = []
        fill_at = n_speech - len(prompt) % n_speech
        while True:
            while len(self._text) < n_text and not self._closed:
                yield None
            if len(self._text) < n_text:
                break
            parts.append(model.text(self._text[:n_text]))
            del self._text[:n_text]
            if prompt:
                parts.append(model.speech(prompt[:n_speech]))
                whole = len(prompt) >= n_speech
                del prompt[:n_speech]
                if whole and (prompt or not self._upstream):
                    continue
            last, fill_at, count = yield from self._block(parts, fill_at, n_speech)
            parts, n_produced = [], n_produced + count
        if not self._n_target:
            return
        if self._upstream:
            parts += last
        if self._text:
            parts.append(model.text(self._text))
        parts.append(model.task())
        if prompt and not self._upstream:
            parts.append(model.speech(prompt))
        most = _UPSTREAM_LONGEST if self._upstream else max(0, MAX_RATIO * self._n_target - n_produced)
        yield from self._until_stop(parts, 0, most)

    def _block(
        self, parts: list[Tensor], fill_at: int, n_speech: int
    ) -> Generator[int | None, None, tuple[list[Tensor], int, int]]:
        """Speech of one block; returns what was fed last, where the next fill is due, and how many tokens it gave."""
        ids = self._model.ids
        banned = {ids.eos} if self._upstream else ids.stops - {ids.fill}
        count = 0
        while True:
            logits = self._logits(parts)
            token = ids.fill if len(self._decoded) == fill_at else self._sampler(logits, self._decoded, banned)
            self._decoded.append(token)
            if token == ids.fill:
                return parts, len(self._decoded) + n_speech, count
            if token in ids.stops:
                raise ValueError(f"the language model stopped inside a block, with {token}")
            count += 1
            yield token
            parts = [self._model.speech([token])]
