"""A reference clip with its noise taken out, for as long as it is read."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.settings import Settings


@contextlib.contextmanager
def denoised(clip: Path, settings: "Settings") -> Iterator[Path]:
    """A copy of the clip without noise, which is gone after the block. Raises BadInput (no sound), Unavailable."""
    from core.cleaning.clean import run_clean
    from core.jobs.context import ForegroundContext

    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="prompt-", dir=settings.cache_dir) as folder:
        params = {"files": [str(clip)], "out": folder, "options": {"steps": ["highpass", "denoise"]}}
        yield Path(run_clean(params, ForegroundContext(settings))["files"][0]["result"])
