"""The order of text and speech tokens, against a model without a cache."""

import itertools
from collections.abc import Collection, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.engines.cosyvoice2.decoding import MAX_RATIO, Decoding, Interleaved, WholeText
from core.engines.cosyvoice2.language_model import LanguageModel
from tests.engines.cosyvoice2.conftest import VOCAB, few, tiny_language_model

TEXT = [3, 14, 15, 92, 65, 35, 89, 79, 32, 38, 46, 26]
PROMPT_TEXT, PROMPT_SPEECH = [7, 8, 9], [int(n) for n in torch.arange(17) % VOCAB]
LONGEST = 20


def greedy(logits: torch.Tensor, decoded: Sequence[int], banned: Collection[int]) -> int:
    scores = logits.clone()
    scores[list(banned)] = float("-inf")
    if not banned and len(decoded) >= LONGEST:
        return VOCAB
    return int(scores.argmax())


def drained(decoding: Decoding, pieces: Sequence[Sequence[int]]) -> list[int]:
    """Pieces of text, one after another; all that can be said is said before the next comes."""
    out = []
    for piece in pieces:
        decoding.feed(piece)
        while (token := decoding.next()) is not None:
            out.append(token)
    decoding.end()
    while not decoding.ended:
        token = decoding.next()
        if token is not None:
            out.append(token)
    return out


def reference(model: LanguageModel, parts: list[torch.Tensor]) -> torch.Tensor:
    """Logits after a sequence, computed at once without a cache."""
    return model(torch.cat(parts, dim=1), model.cache())


@pytest.mark.parametrize("own_embedding", [True, False])
def test_whole_text_equals_a_model_without_a_cache(own_embedding: bool) -> None:
    model = tiny_language_model(own_embedding)
    parts = [model.start(), model.text(PROMPT_TEXT + TEXT), model.task(), model.speech(PROMPT_SPEECH)]
    expected: list[int] = []
    while True:
        banned = model.ids.stops if len(expected) < 2 * len(TEXT) else frozenset()
        token = greedy(reference(model, parts), expected, banned)
        if token in model.ids.stops:
            break
        expected.append(token)
        parts.append(model.speech([token]))
    decoding = WholeText(model, greedy, PROMPT_TEXT, PROMPT_SPEECH)
    assert drained(decoding, [TEXT]) == expected
    assert len(expected) >= 24


def test_interleaved_feeds_each_thing_once(language_model: LanguageModel) -> None:
    """The sequence of training: blocks of text and speech, the rest of the text, the task, speech."""
    model = language_model
    decoding = Interleaved(model, greedy, PROMPT_TEXT, PROMPT_SPEECH)
    said = drained(decoding, [TEXT])
    text = PROMPT_TEXT + TEXT
    # 15 text tokens: with 17 of prompt speech, the first block is all prompt, the second has two of the prompt.
    # Start, text, task, prompt speech, spoken tokens; the two fills are asked for and never fed.
    assert decoding.fed[-1][1] == 1 + len(text) + 1 + len(PROMPT_SPEECH) + len(said)
    assert decoding._decoded.count(model.ids.fill) == 2


def test_prompt_speech_left_over_is_not_dropped(language_model: LanguageModel) -> None:
    decoding = Interleaved(language_model, greedy, [], PROMPT_SPEECH * 3)
    drained(decoding, [TEXT[:6]])
    assert decoding.fed[0][0] == 1 + 6 + 1 + 3 * len(PROMPT_SPEECH)
    whole = Interleaved(language_model, greedy, [], PROMPT_SPEECH * 3, upstream=True)
    drained(whole, [TEXT[:6]])
    assert whole.fed[0][0] == 1 + 6 + 1 + 15


@few(4)
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=6))
def test_arrival_does_not_matter(language_model: LanguageModel, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(TEXT)]
    pieces = [TEXT[a:b] for a, b in itertools.pairwise(edges)]
    for kind in (Interleaved, WholeText):
        once = drained(kind(language_model, greedy, PROMPT_TEXT, PROMPT_SPEECH), [TEXT])
        assert drained(kind(language_model, greedy, PROMPT_TEXT, PROMPT_SPEECH), pieces) == once


def test_interleaved_speaks_before_the_text_ends(language_model: LanguageModel) -> None:
    decoding = Interleaved(language_model, greedy)
    decoding.feed(TEXT[:4])
    assert decoding.next() is None
    decoding.feed(TEXT[4:5])
    assert decoding.next() is not None


def test_nothing_to_say(language_model: LanguageModel) -> None:
    for kind in (WholeText, Interleaved):
        decoding = kind(language_model, greedy, PROMPT_TEXT, PROMPT_SPEECH)
        assert drained(decoding, []) == []
        with pytest.raises(ValueError, match="ended"):
            decoding.feed([1])


def test_the_end_is_bounded(language_model: LanguageModel) -> None:
    def endless(logits: torch.Tensor, decoded: Sequence[int], banned: Collection[int]) -> int:
        return 4

    for kind in (WholeText, Interleaved):
        assert len(drained(kind(language_model, endless), [TEXT[:7]])) == MAX_RATIO * 7


def test_a_fill_may_come_early_and_a_stop_inside_a_block_may_not(language_model: LanguageModel) -> None:
    ids = language_model.ids

    def eager(logits: torch.Tensor, decoded: Sequence[int], banned: Collection[int]) -> int:
        if banned:
            assert ids.stops - {ids.fill} == set(banned)
            return ids.fill if len(decoded) % 4 == 3 else 1
        return ids.eos

    decoding = Interleaved(language_model, eager)
    assert drained(decoding, [TEXT]) == [1] * 6
    # Each block: five text tokens and three spoken; then two text tokens and the task.
    assert decoding.fed[-1] == (3, 1 + 10 + 6 + 3)
