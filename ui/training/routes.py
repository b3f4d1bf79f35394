"""Sounds of runs for the page, below ``/ui-data``: recordings of the probes, and the two sides of a blind question.

The runs folder itself is not served: weights lie in it, and the answers of blind tests.
"""

from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from core.errors import NotFound
from core.paths import inside
from core.training import listening, runs

if TYPE_CHECKING:
    from core.studio import Studio

RECORDING = "recording"
Side = Literal["first", "second", "x"]


def router(studio: "Studio") -> APIRouter:
    """The routes over ``studio``."""
    routes = APIRouter(prefix="/ui-data", include_in_schema=False)

    @routes.get("/probe")
    def probe(run: str, of: str, name: str) -> Response:
        """The recording of a held-out clip (``of``: "recording") or its render at a step (a number)."""
        folder = runs.open_run(studio.settings.runs, run).path / "probes"
        path = inside(folder, folder / (of if of == RECORDING else f"step_{of:0>8}") / name)
        if path.suffix != ".flac" or not path.is_file():
            raise NotFound("This recording is no longer there.", "Choose another checkpoint.", where=name)
        return FileResponse(path, media_type="audio/flac", headers={"cache-control": "no-cache"})

    @routes.get("/blind")
    def blind(run: str, test: str, number: int, side: Side) -> Response:
        """A sound of a round of a blind test, under an address that does not tell which it is."""
        folder = runs.open_run(studio.settings.runs, run).path
        found = listening.question(folder, listening.load(folder, test), number)
        path = {"first": found.first, "second": found.second, "x": found.x}[side]
        if path is None or not path.is_file():
            raise NotFound("This sound is no longer there.", "Make a new test.", where=test)
        return FileResponse(path, media_type="audio/flac", headers={"cache-control": "no-store"})

    return routes


def probe_url(run: str, of: str | int, name: str) -> str:
    """Address of a probe's sound, from the page's own (``/en/``)."""
    return "../ui-data/probe?" + urlencode({"run": run, "of": of, "name": name})


def blind_url(run: str, test: str, number: int, side: Side) -> str:
    """Address of a sound of a blind test."""
    return "../ui-data/blind?" + urlencode({"run": run, "test": test, "number": number, "side": side})
