"""/api/v1/inference…: texts spoken by characters, as jobs."""

from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import FileResponse

from api.documented import DocumentedRoute, responses
from api.downloads import download
from core.service.models import InferenceInfo, InferenceRequest

if TYPE_CHECKING:
    from core.studio import Studio


def router(studio: "Studio") -> APIRouter:
    """The routes about inference."""
    routes = APIRouter(prefix="/api/v1/inference", tags=["inference"], route_class=DocumentedRoute)
    desk = studio.characters.inferences

    @routes.post("", responses=responses(400, 404, 507))
    def start_inference(body: InferenceRequest) -> InferenceInfo:
        """Let a character speak.

        Engine `sovits` converts voices and has no text model of its own: espeak-ng (robotic, offline) says the text in
        `target_language`, and the character's trained model turns that into its voice. Melody and accent are
        espeak-ng's. With `source_audio`, an uploaded recording of the character's files is converted instead, which
        keeps the speaker's own delivery. `ref_audio` and `ref_text` are checked and kept for engines that clone.
        """
        return desk.start(body)

    @routes.get("")
    def list_inferences() -> list[InferenceInfo]:
        """All requests, newest first."""
        return desk.all()

    @routes.get("/{inference_id}", responses=responses(404))
    def get_inference(inference_id: str) -> InferenceInfo:
        """One request."""
        return desk.get(inference_id)

    @routes.post("/{inference_id}/cancel", responses=responses(404))
    def cancel_inference(inference_id: str) -> InferenceInfo:
        """Stop a request."""
        return desk.cancel(inference_id)

    @routes.get("/{inference_id}/download", responses=responses(400, 404), response_class=FileResponse)
    def download_inference(inference_id: str) -> FileResponse:
        """The spoken wav; 400 until it is completed."""
        path, name = desk.result(inference_id)
        return download(path, name, "audio/wav")

    return routes
