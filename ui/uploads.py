"""What a page keeps of uploads: beside the outputs, so that before and after can be compared later too."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from core.paths import safe_filename, unique_path

if TYPE_CHECKING:
    from core.studio import Studio


def keep(studio: "Studio", file: str) -> Path:
    """Move an uploaded file among the sources; its name stays, but for what no file name may hold."""
    folder = studio.settings.outputs / "sources"
    folder.mkdir(parents=True, exist_ok=True)
    kept = unique_path(folder / safe_filename(Path(file).name, fallback="source"))
    shutil.move(file, kept)
    return kept


@contextlib.contextmanager
def kept_if_good(studio: "Studio", file: str) -> Iterator[Path]:
    """As `keep`; what the block refuses does not stay."""
    path = keep(studio, file)
    try:
        yield path
    except BaseException:  # whatever it is: a file that cannot be heard must not stay
        path.unlink(missing_ok=True)
        raise
