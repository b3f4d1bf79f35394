"""/api/v1/convert: an uploaded recording in, the same in a character's voice out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Form, Request, UploadFile
from fastapi.responses import FileResponse

from api.documented import DocumentedRoute, responses
from api.downloads import download
from api.job_results import finished
from api.uploads import ONE_FILE, on_disk
from core.paths import unique_path

if TYPE_CHECKING:
    from core.studio import Studio


def router(studio: "Studio") -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/api/v1", tags=["conversion"], route_class=DocumentedRoute)

    @routes.post(
        "/convert",
        responses=responses(400, 404, 413, 424, 503, 507),
        response_class=FileResponse,
        dependencies=[ONE_FILE],
    )
    async def convert(
        request: Request,
        file: UploadFile,
        character_name: Annotated[str, Form(max_length=80, description="whose newest model is used")],
        transpose: Annotated[float | None, Form(ge=-36, le=36, description="semitones; left out: fitted")] = None,
        format: Annotated[Literal["wav", "flac", "mp3"], Form()] = "wav",
        seed: Annotated[int, Form(ge=0, lt=2**31)] = 52468,
    ) -> FileResponse:
        """Convert a recording and send the result; X-Job-Id names the job. A client that goes away cancels it."""
        studio.characters.refuse_without_model(character_name)
        with on_disk(file, studio.settings) as path:
            place = studio.settings.outputs / "inference" / f"{path.stem}_{character_name}.{format}"
            params = {
                "voice": character_name,
                "source": str(path),
                "transpose": "auto" if transpose is None else transpose,
                "format": format,
                "seed": seed,
                "out": str(unique_path(place)),
            }
            result = await finished(studio, request, "convert", params)
        out = Path(result["output"])
        return download(out, headers={"X-Job-Id": str(result["job_id"])})

    return routes
