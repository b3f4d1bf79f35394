"""A job whose result is the answer of one request."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from fastapi import Request

from api.closing import CLOSING, UNDER_WAY
from api.speaking import watched
from core.errors import Cancelled, StudioError, from_dict
from core.jobs.model import Job

if TYPE_CHECKING:
    from core.studio import Studio

_EVERY_S = 0.25
_BEAT_S = 15.0  # proxies close what says nothing for long


async def finished(studio: "Studio", request: Request, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """Queue a job and wait for its result; a client that goes away cancels it.

    The job's files may be removed once this returns or raises: it waits until the worker has ended. Raises what the
    job failed with, and Closing.
    """
    with UNDER_WAY.one():
        return await _finished(studio, request, kind, params)


async def _finished(studio: "Studio", request: Request, kind: str, params: dict[str, Any]) -> dict[str, Any]:
    job = await asyncio.to_thread(studio.characters.start_job, kind, params)

    async def ended() -> Job:
        while (now := await asyncio.to_thread(studio.job, job.id)).active:
            await asyncio.sleep(_EVERY_S)
        return now

    try:
        done = await watched(request, ended())
    except BaseException:
        await asyncio.shield(_stopped(studio, job.id))
        raise
    if done.state != "completed":
        raise from_dict(done.error) if done.error else Cancelled()
    return {**(done.result or {}), "job_id": done.id}


async def _stopped(studio: "Studio", job_id: int) -> None:
    await asyncio.to_thread(studio.cancel, job_id)
    while (await asyncio.to_thread(studio.job, job_id)).active:
        await asyncio.sleep(_EVERY_S)


def event_of(job: Job) -> tuple[str, str]:
    """(id, whole event) that tell how a job is. The same state has the same id in every process."""
    row = {"id": job.id, "kind": job.kind, "voice": job.voice, "state": job.state, "message": job.message,
           "progress": round(100.0 * (1.0 if job.state == "completed" else job.progress), 2)}  # fmt: skip
    if not job.active:
        row |= {"result": job.result, "error": job.error}
    data = json.dumps(row, ensure_ascii=False)
    key = f"{job.id}-{zlib.crc32(data.encode()):08x}"
    return key, f"id: {key}\nevent: {'progress' if job.active else 'end'}\ndata: {data}\n\n"


async def events(studio: "Studio", job_id: int, seen: str = "") -> AsyncIterator[str]:
    """A job's changes as server-sent events: "progress" while it is active, at last "end"; comments in between.

    Each tells how the job is now, so a client that was cut off has missed nothing; `seen` is the id of the last event
    it had, which is not sent again. They break off without an "end" when the server closes: the job goes on, and a
    client asks again.
    """
    told, silent_s = seen, 0.0
    while not CLOSING.is_set():
        try:
            job = await asyncio.to_thread(studio.job, job_id)
        except StudioError as err:
            yield f"event: error\ndata: {json.dumps(err.to_dict(), ensure_ascii=False)}\n\n"
            return
        key, event = event_of(job)
        if key != told:
            yield event
            told, silent_s = key, 0.0
        if not job.active:
            return
        if silent_s >= _BEAT_S:
            yield ": still here\n\n"
            silent_s = 0.0
        await asyncio.sleep(2 * _EVERY_S)
        silent_s += 2 * _EVERY_S
