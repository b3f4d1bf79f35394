"""What is asked first, and what watches the service: the reference, the root without a page, and /metrics."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, PlainTextResponse

from api.metrics import METRICS
from api.speaking import Desk
from core import __version__
from core.jobs.model import State

if TYPE_CHECKING:
    from core.studio import Studio

_REFERENCE = Path(__file__).parent.parent / "assets" / "reference.html"
_STATES: tuple[State, ...] = ("queued", "running", "completed", "failed", "cancelled", "interrupted")


def router(studio: "Studio", desk: Desk, with_page: bool) -> APIRouter:
    """The routes. The root is the page's where there is one."""
    routes = APIRouter(tags=["health"])

    @routes.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> PlainTextResponse:
        """Counters in Prometheus' text form, of all server processes; model memory of the one that answers."""
        now: dict[tuple[str, str], float] = {
            ("timbre_speech_active", ""): desk.gate.active,
            ("timbre_speech_queued", ""): desk.gate.queued,
            ("timbre_model_bytes", ""): sum(desk.service.loaded().values()),
            ("timbre_disk_free_bytes", ""): studio.status().disk_free_bytes,
        }
        for state, count in studio.characters.job_counts(_STATES).items():
            now["timbre_jobs", f'{{state="{state}"}}'] = count
        return PlainTextResponse(METRICS.text(now), media_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/docs", include_in_schema=False, response_class=FileResponse)
    @routes.get("/redoc", include_in_schema=False, response_class=FileResponse)
    def reference() -> FileResponse:
        """The reference as a page of our own: FastAPI's would be fetched from another host."""
        return FileResponse(_REFERENCE, media_type="text/html")

    if not with_page:

        @routes.get("/")
        def root() -> dict[str, Any]:
            """What this is."""
            return {
                "message": "Timbre Studio: characters, training and speech over HTTP",
                "version": __version__,
                "docs_url": "/docs",
                "features": ["characters", "training", "inference", "streaming speech", "conversion", "transcription"],
            }

    return routes
