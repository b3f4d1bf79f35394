"""Files of runs for the page, below ``/ui-data``: recordings of the probes, the two sides of a blind question, the
manifest, and what was exported.

The runs folder itself is not served: weights lie in it, and the answers of blind tests.
"""

from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from core.errors import NotFound
from core.paths import inside
from core.training import exporting, listening, reproduce, runs

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

    @routes.get("/manifest")
    def manifest(run: str) -> Response:
        """What it takes to make the run again, as a file to keep or to pass on."""
        studio.training.manifest(run)  # says what to do where there is none
        path = runs.open_run(studio.settings.runs, run).path / reproduce.MANIFEST_FILE
        return FileResponse(path, media_type="application/json", filename=f"{run}.manifest.json")

    @routes.get("/exported")
    def exported(run: str, name: str) -> Response:
        """A file that the job "export" wrote."""
        found = exporting.exported(runs.open_run(studio.settings.runs, run))
        path = next((one for one in found if one.name == name), None)
        if path is None:
            raise NotFound("This file is no longer there.", "Export the checkpoint again.", where=name)
        return FileResponse(path, media_type="application/octet-stream", filename=name)

    return routes


def probe_url(run: str, of: str | int, name: str) -> str:
    """Address of a probe's sound, from the page's own (``/en/``)."""
    return "../ui-data/probe?" + urlencode({"run": run, "of": of, "name": name})


def blind_url(run: str, test: str, number: int, side: Side) -> str:
    """Address of a sound of a blind test."""
    return "../ui-data/blind?" + urlencode({"run": run, "test": test, "number": number, "side": side})


def manifest_url(run: str) -> str:
    """Address of a run's manifest."""
    return "../ui-data/manifest?" + urlencode({"run": run})


def exported_url(run: str, name: str) -> str:
    """Address of an exported file."""
    return "../ui-data/exported?" + urlencode({"run": run, "name": name})
