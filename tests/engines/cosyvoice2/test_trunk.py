"""Our pass through Qwen2's layers is the library's."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from core.engines.cosyvoice2 import trunk
from core.engines.cosyvoice2.language_model import LanguageModel
from core.engines.cosyvoice2.trunk import TokenCache, through
from tests.engines.cosyvoice2.conftest import few

N = 40
X = torch.randn(1, N, 16, generator=torch.Generator().manual_seed(4))


@few(6)
@given(cuts=st.lists(st.integers(1, N - 1), max_size=5, unique=True))
@torch.inference_mode()
def test_any_cut_gives_what_the_library_gives_at_once(language_model: LanguageModel, cuts: list[int]) -> None:
    model = language_model.trunk
    edges = [0, *sorted(cuts), N]
    cache = TokenCache()
    parts = [through(model, X[:, a:b], cache) for a, b in itertools.pairwise(edges)]
    whole = model(inputs_embeds=X).last_hidden_state
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_a_cache_grows_and_keeps_what_it_holds(language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model, wide = language_model.trunk, TokenCache()
    expected = [through(model, X[:, at : at + 1], wide) for at in range(N)]
    monkeypatch.setattr(trunk, "PLACES", 4)
    narrow = TokenCache()
    for at in range(N):
        torch.testing.assert_close(through(model, X[:, at : at + 1], narrow), expected[at], atol=1e-5, rtol=1e-5)
    assert wide.layers[0].shape[2] == 256
    assert N <= narrow.layers[0].shape[2] <= 2 * N


_VIEWS = {"view", "transpose", "permute", "unsqueeze", "slice", "select", "expand", "alias", "to"}


class _Operations(TorchDispatchMode):
    """Which operations run, views aside, and on what shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[torch.Size, ...]]] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if function._schema.name.removeprefix("aten::") not in _VIEWS:
            shapes = tuple(one.shape for one in args if isinstance(one, torch.Tensor))
            self.seen.append((function._schema.name, shapes))
        return function(*args, **(kwargs or {}))


@torch.inference_mode()
def test_a_tokens_operations_do_not_depend_on_its_place(language_model: LanguageModel) -> None:
    """So a CUDA graph of one token serves the next; and there are far fewer than the library's."""
    from transformers import Qwen2Config, Qwen2Model

    config = {**language_model.trunk.config.to_dict(), "num_hidden_layers": 12, "layer_types": None}
    model, cache = Qwen2Model(Qwen2Config(**config)).eval(), TokenCache()
    through(model, X[:, :7], cache)
    runs = []
    for at in (7, 8, 30):
        cache.seen = at
        with _Operations() as operations:
            through(model, X[:, at : at + 1], cache)
        runs.append(operations.seen)
    assert runs[0] == runs[1] == runs[2]
    past = model(inputs_embeds=X[:, :7], use_cache=True).past_key_values
    with _Operations() as theirs:
        model(inputs_embeds=X[:, 7:8], past_key_values=past, use_cache=True)
    assert len(runs[0]) < 0.75 * len(theirs.seen), (len(runs[0]), len(theirs.seen))
