"""A file as the answer, under its name."""

from pathlib import Path
from urllib.parse import quote

from fastapi.responses import FileResponse


def download(
    path: Path, name: str | None = None, media_type: str | None = None, headers: dict[str, str] | None = None
) -> FileResponse:
    """`path` to be saved as `name` (its own if left out), and as an ASCII likeness by clients that know no other names,
    such as `curl -J`."""
    name = name or path.name
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in name)
    saved = f"attachment; filename=\"{plain}\"; filename*=utf-8''{quote(name, safe='')}"
    return FileResponse(path, media_type=media_type, headers={**(headers or {}), "Content-Disposition": saved})
