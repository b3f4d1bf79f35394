"""GET /api/jobs, GET /api/jobs/{id} and /events, POST /api/jobs/{id}/cancel and /retry."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from api.documented import responses
from api.job_results import event_of, events

if TYPE_CHECKING:
    from core.studio import Studio


JobId = Annotated[int, Path(ge=1, lt=2**63)]


def router(studio: "Studio") -> APIRouter:
    """The routes about jobs."""
    routes = APIRouter(prefix="/api/jobs", tags=["jobs"], responses=responses(404, 409))

    @routes.get("")
    def list_jobs(limit: int = Query(50, ge=1, le=1000)) -> list[dict[str, Any]]:
        """The newest jobs."""
        return [job.to_dict() for job in studio.jobs(limit)]

    @routes.get("/{job_id}")
    def show_job(job_id: JobId) -> dict[str, Any]:
        """One job with its progress, result or error."""
        return studio.job(job_id).to_dict()

    @routes.get(
        "/{job_id}/events",
        response_class=StreamingResponse,
        responses={204: {"description": "the end was told: an EventSource that asks again stops"}},
    )
    async def job_events(job_id: JobId, last_event_id: Annotated[str, Header(max_length=100)] = "") -> Response:
        """Its progress as server-sent events: "progress" with state, percent and message, at last "end".

        One that was cut off asks again with the header Last-Event-ID, as an EventSource does by itself.
        """
        job = await asyncio.to_thread(studio.job, job_id)  # 404 before the stream begins
        if not job.active and event_of(job)[0] == last_event_id:
            return Response(status_code=204)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events(studio, job_id, last_event_id), media_type="text/event-stream", headers=headers)

    @routes.post("/{job_id}/cancel", status_code=202)
    def cancel_job(job_id: JobId) -> dict[str, Any]:
        """Ask a job to stop; it saves what it has first."""
        studio.cancel(job_id)
        return studio.job(job_id).to_dict()

    @routes.post("/{job_id}/retry", status_code=201)
    def retry_job(job_id: JobId) -> dict[str, Any]:
        """Queue the same work again as a new job."""
        return studio.retry(job_id).to_dict()

    return routes
