"""One file per subject; each gives `router(studio) -> APIRouter`."""
