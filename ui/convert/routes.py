"""What the pitch editor asks for, below ``/ui-data``: a source's pitch, its spectrogram, and where to save."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response

from core.errors import BadInput, NotFound

if TYPE_CHECKING:
    from core.studio import Studio

_FOR_A_DAY = {"cache-control": "private, max-age=86400"}
_NO_STORE = {"cache-control": "no-store"}
_MOST_BYTES = 32 * 2**20  # a day of pitch is 30 MB


def router(studio: "Studio") -> APIRouter:
    """The routes over ``studio``."""
    routes = APIRouter(prefix="/ui-data", include_in_schema=False)

    @routes.get("/pitch")
    def pitch(source: str) -> Response:
        """The pitch of a kept source, float32 Hz every 512 samples at 44.1 kHz: as drawn, or else as found."""
        track = studio.conversion.track(source)
        if track is None:
            raise NotFound("The pitch of this source is not known yet.", "Find it first.", where=source)
        return Response(track.astype("<f4").tobytes(), media_type="application/octet-stream", headers=_NO_STORE)

    @routes.put("/pitch")
    async def draw(source: str, request: Request) -> Response:
        """Keep what was drawn."""
        from anyio.to_thread import run_sync

        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise BadInput("That is too much for a pitch.", "Use a shorter recording.", where=source)

        def keep() -> None:
            import numpy as np

            if len(body) % 4:
                raise BadInput("The pitch came cut short.", "Try again.", where=source)
            studio.conversion.draw(source, np.frombuffer(bytes(body), "<f4"))

        await run_sync(keep)
        return Response(status_code=204)

    @routes.get("/pitch-file")
    def pitch_file(source: str) -> Response:
        """The pitch as a file to take away."""
        path = studio.conversion.pitch_file(source)
        return FileResponse(path, filename=f"{source}.f0.npy", headers=_NO_STORE)

    @routes.get("/spectrum")
    def spectrum(source: str, block: int) -> Response:
        """The picture of a minute of a source; see `core.engines.sovits.pitch_spectrum`."""
        data = studio.conversion.spectrum(source, max(0, block))
        return Response(data, media_type="application/octet-stream", headers=_FOR_A_DAY)

    return routes
