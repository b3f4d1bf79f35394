"""Uploaded files: into a folder of their own, under a safe name, gone when the request ends."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fastapi import Depends, Request, UploadFile

from core.errors import BadInput, is_no_space, no_space
from core.paths import safe_filename
from core.settings import Settings


async def _one_file_a_field(request: Request) -> None:
    """Raises BadInput where a form holds two files of one name: only one would be kept, and nobody told."""
    form = await request.form()  # parsed already: the route has a form
    for name in form:
        if sum(not isinstance(part, str) for part in form.getlist(name)) > 1:
            raise BadInput(f"The field {name} holds several files.", "Send one file a request.", where=name)


ONE_FILE = Depends(_one_file_a_field)
"""Dependency of every route that takes a file."""


@contextlib.contextmanager
def on_disk(upload: UploadFile, settings: Settings) -> Iterator[Path]:
    """The file of an upload. Its name is only the last part of what the client said, made safe.

    Raises BadInput (no name, no bytes), NoSpace.
    """
    # A client on Windows may send its whole path.
    said = (upload.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="upload-", dir=settings.cache_dir, ignore_cleanup_errors=True) as folder:
        path = Path(folder) / safe_filename(said, "recording")
        try:
            with open(path, "wb") as out:
                shutil.copyfileobj(upload.file, out, 1 << 20)
        except OSError as err:
            if is_no_space(err):
                raise no_space(err, upload.size, settings.cache_dir) from err
            raise
        if not path.stat().st_size:
            raise BadInput(f"The uploaded file {path.name} is empty.", "Send its bytes.", where="file")
        yield path
