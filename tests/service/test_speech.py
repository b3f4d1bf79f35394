"""A spoken request as an async iterator: chunks that wait come as one where that is wanted."""

import asyncio
from pathlib import Path

import pytest

from core.errors import BadInput
from core.service.speech import Speaking, SpeechService
from core.settings import load_settings
from core.speech.chunk import Chunk
from core.speech.request import SpeechRequest


@pytest.fixture
def service(workspace: Path) -> SpeechService:
    return SpeechService(load_settings({"workspace": str(workspace)}, env={}))


def spoken(service: SpeechService, request: SpeechRequest, *, merge: bool) -> list[Chunk]:
    """What a slow reader gets: it looks only when everything is there."""

    async def read() -> list[Chunk]:
        speaking = Speaking(service, request, merge=merge)
        while speaking._out.empty() or speaking._out.qsize() < 12:
            await asyncio.sleep(0.02)
        try:
            return [chunk async for chunk in speaking]
        finally:
            speaking.close()

    return asyncio.run(read())


def test_waiting_chunks_come_as_one_and_are_the_same_sound(service: SpeechService) -> None:
    said = SpeechRequest(text="The harbour wakes before the sun. Boats slip out past the wall.", engine="builtin",
                         options={"seed": 1})  # fmt: skip
    apart, together = spoken(service, said, merge=False), spoken(service, said, merge=True)
    assert len(together) < len(apart) - 8
    assert sum(chunk.audio.size for chunk in together) == sum(chunk.audio.size for chunk in apart)
    assert [chunk.final for chunk in together][-1] is True


@pytest.mark.parametrize("merge", [False, True])
def test_an_error_comes_after_what_was_said(service: SpeechService, merge: bool) -> None:
    async def read() -> None:
        async for _ in Speaking(service, SpeechRequest(text="Hi.", engine="no-such"), merge=merge):
            pass

    with pytest.raises(BadInput):
        asyncio.run(read())
