"""The one web application: health, the API, and (unless left out) TensorBoard and the page."""

import time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from api import errors
from api.access import Access
from api.bounds import Bounds
from api.guard import Guard, Rules
from api.routes import (
    characters,
    convert,
    inference,
    jobs,
    openai,
    service,
    transcriptions,
    tts,
    tts_socket,
    voices,
)  # fmt: skip
from api.speaking import Desk
from core import __version__

if TYPE_CHECKING:
    from api.workers import Place
    from core.studio import Studio

_ABOUT = f"""Characters, training, speech and conversion over HTTP.

Errors are `{{"ok": false, "error": {{code, message, hint, where}}, "detail"}}`. Beyond loopback every request shows the
token: `Authorization: Bearer TOKEN`.

{tts_socket.__doc__}"""


def build_app(
    studio: "Studio", with_page: bool = True, allowed_hosts: tuple[str, ...] = (), place: "Place | None" = None
) -> FastAPI:
    """The application over `studio`. `place`: this process's among several that serve one port.

    Light: nothing here imports torch or Gradio; the page builds itself in a thread once the server runs, so
    `/health` answers at once. `allowed_hosts` are further names under which this server is reached (`*` as wildcard).
    """
    app = FastAPI(title="Timbre Studio", version=__version__, docs_url=None, redoc_url=None, description=_ABOUT)
    started = time.monotonic()
    errors.install(app)

    @app.get("/health", tags=["health"])
    def health() -> dict[str, Any]:
        """Answers as soon as the server is up."""
        return {
            "ok": True,
            "name": "timbre-studio",
            "version": __version__,
            "uptime_s": round(time.monotonic() - started, 3),
        }

    @app.get("/api/status", tags=["health"])
    def status() -> dict[str, Any]:
        """Device, disk and what is running."""
        from dataclasses import asdict

        now = studio.status()
        return {
            "device": asdict(now.device),
            "disk_free_bytes": now.disk_free_bytes,
            "running": [job.to_dict() for job in now.running],
            "queued": now.queued,
        }

    speech = Desk.of(studio, place.queue if place else None)
    for each in (tts, tts_socket, openai):  # first: routes are tried in turn, and speech is what is waited for
        app.include_router(each.router(studio, speech))
    for plain in (voices, jobs, characters, inference, transcriptions, convert):
        app.include_router(plain.router(studio))
    app.include_router(service.router(studio, speech, with_page))
    if with_page:
        from ui.shell import mount
        from ui.tensorboard import mount_tensorboard

        mount_tensorboard(app, studio.settings.runs)
        mount(app, studio)
    rules = Rules(host=studio.settings.host, token=studio.settings.token, allowed_hosts=allowed_hosts)
    app.add_middleware(errors.Surprises)
    app.add_middleware(Bounds, file_bytes=studio.settings.max_upload_mb << 20)
    app.add_middleware(Guard, rules=rules)  # added late, so it sees a request early
    app.add_middleware(Access, log_dir=studio.settings.log_dir, name=f"access-{place.number}" if place else "access")
    return app
