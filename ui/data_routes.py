"""What the page's scripts ask for by themselves, below ``/ui-data``: cues, peaks, speech, sound, the printable report.

Light: decoding is imported by the request that needs it. Errors of the studio's family become HTTP by the handler of
the application that these routes are added to.
"""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from core.studio import Studio

_FOR_A_DAY = {"cache-control": "private, max-age=86400"}
_NO_STORE = {"cache-control": "no-store"}


class EditedCues(BaseModel):
    """The cues of a recording as the page has them; ``version`` is the one that they were made from."""

    voice: str
    recording: str
    version: int
    cues: list[dict[str, Any]] = Field(max_length=50_000)


def router(studio: "Studio") -> APIRouter:
    """The routes over ``studio``."""
    routes = APIRouter(prefix="/ui-data", include_in_schema=False)

    @routes.get("/cues")
    def cues(voice: str, recording: str) -> dict[str, Any]:
        """The sheet of a recording, its length, and where the last cutting cut."""
        path = studio.cutting.audio(voice, recording)
        sheet = studio.cutting.sheet(voice, recording)
        info = next((one for one in studio.recordings(voice) if one.path == path), None)
        return {
            **sheet.model_dump(),
            "duration_s": info.duration_s if info else None,
            "cuts": cuts_of(studio.cutting.report(voice, recording)),
        }

    @routes.put("/cues")
    def save(edited: EditedCues) -> dict[str, int]:
        """Keep edited cues; the answer is the version that the next edit is made from."""
        return {"version": studio.cutting.save(edited.voice, edited.recording, edited.version, edited.cues).version}

    @routes.get("/peaks")
    def peaks(voice: str, recording: str, block: int) -> Response:
        """Peaks of one minute: int8 pairs, minimum and maximum per 5 ms."""
        from core.audio.excerpt import peak_block

        path = studio.cutting.audio(voice, recording)
        data = peak_block(path, max(0, block), studio.settings.cache_dir / "peaks")
        return Response(data, media_type="application/octet-stream", headers=_FOR_A_DAY)

    @routes.get("/speech")
    def speech(voice: str, recording: str, block: int) -> Response:
        """Speech in one minute of what a cutting hears: uint8 per 32 ms."""
        from core.cutting.speech_block import speech_block

        path = studio.cutting.sound(voice, recording)
        data = speech_block(path, max(0, block), studio.settings.cache_dir / "peaks")
        return Response(data, media_type="application/octet-stream", headers=_NO_STORE)

    @routes.get("/sound")
    def sound(voice: str, recording: str, start_ms: int, end_ms: int) -> Response:
        """A stretch of a recording as a WAV file that every browser plays, whatever the recording's format."""
        from core.audio.encode import wav_bytes
        from core.audio.excerpt import excerpt

        audio, rate_hz = excerpt(studio.cutting.audio(voice, recording), start_ms / 1000, end_ms / 1000)
        return Response(wav_bytes(audio, rate_hz), media_type="audio/wav", headers=_NO_STORE)

    @routes.get("/quality-report")
    def quality_report(voice: str) -> Response:
        """The printable report of a voice. It brings a policy of its own that runs and fetches nothing."""
        return FileResponse(studio.dataset.report(voice), media_type="text/html", headers=_NO_STORE)

    return routes


def cuts_of(report: dict[str, Any] | None) -> list[list[int]]:
    """[cue start, cue end, cut start, cut end] in ms of every cue that the last cutting cut."""
    if report is None:
        return []
    return [
        [round(1000 * one[key]) for key in ("cue_start_s", "cue_end_s", "start_s", "end_s")]
        for one in report["cues"]
        if one.get("audio")
    ]
