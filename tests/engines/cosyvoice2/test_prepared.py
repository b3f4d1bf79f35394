"""Prompts that are solved once: what they give, and that they are bounded."""

import pytest
import torch

from core.engines.cosyvoice2.flow import Flow, Prompt
from core.engines.cosyvoice2.prepared import PreparedPrompts
from core.engines.cosyvoice2.speaker import Speaker

N = 12


@pytest.fixture
def speaker(prompt: Prompt) -> Speaker:
    return Speaker(prompt.embedding, prompt.tokens, prompt.mel, torch.empty(1, 0, dtype=torch.long))


def pushed(prepared: PreparedPrompts, speaker: Speaker, skip: int = 0, left: int | None = 20) -> torch.Tensor:
    return prepared.stream(speaker, skip=skip, left_frames=left).push([3] * N, final=True)


def test_the_second_stream_is_the_first(flow: Flow, speaker: Speaker, prompt: Prompt) -> None:
    prepared = PreparedPrompts(flow)
    fresh = flow.stream(prompt, skip=1, left_frames=20).push([3] * N, final=True)
    first, again = pushed(prepared, speaker, 1), pushed(prepared, speaker, 1)
    assert torch.equal(first, fresh)
    assert torch.equal(again, fresh)
    assert not torch.equal(pushed(prepared, speaker, 2), fresh), "another grid is another prompt"
    twin = Speaker(*(part.clone() for part in (speaker.embedding, speaker.tokens, speaker.mel, speaker.text)))
    held = prepared.memory_bytes
    assert torch.equal(pushed(prepared, twin, 1), fresh)
    assert prepared.memory_bytes == held, "the same clip, read again, is the same prompt"


def test_the_prompt_is_solved_once(flow: Flow, speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = PreparedPrompts(flow)
    pushed(prepared, speaker, 1)

    def solved(*_: object, **__: object) -> None:
        raise AssertionError("solved again")

    monkeypatch.setattr(Flow, "solve", solved)
    prepared.stream(speaker, skip=1, left_frames=20)
    with pytest.raises(AssertionError, match="solved again"):
        prepared.stream(speaker, skip=3, left_frames=20)


def test_what_is_kept_is_bounded(flow: Flow, speaker: Speaker) -> None:
    one = flow.stream(Prompt(speaker.tokens, speaker.mel, speaker.embedding), skip=1, left_frames=20).size_bytes()
    prepared = PreparedPrompts(flow, 2 * one)
    for skip in (1, 2, 3, 4):
        pushed(prepared, speaker, skip)
        assert prepared.memory_bytes <= 2 * one
    assert prepared.memory_bytes == 2 * one > 0
    none = PreparedPrompts(flow, 0)
    pushed(none, speaker, 1)
    assert none.memory_bytes == 0
