"""A song's two stems: parted once and kept beside its results, or as the person brought them."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.engines.sovits.convert_options import file_sha256
from core.errors import BadInput
from core.paths import safe_name
from core.song.options import SongOptions

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_STEMS = ("vocals", "accompaniment")
_KEY_CHARS = 8


@dataclass(frozen=True)
class SongStems:
    """`folder`: where this song's material is kept. `files`: sha256 of what was given, by the option's name."""

    folder: Path
    vocals: Path
    accompaniment: Path
    files: dict[str, str]
    separator: str | None
    reused: bool
    seconds: float


def stems_of(options: SongOptions, ctx: "JobContext") -> SongStems:
    """Part the song, unless that was done before by the same model, or take the given stems.

    Raises:
        BadInput: a file is not there or cannot be decoded.
        Unavailable, NotFound, ModelFileError: separation needs a model (see `core.cleaning.separate`).
        NoSpace, Cancelled.
    """
    files = {name: path for name in ("source", *_STEMS) if (path := getattr(options, name)) is not None}
    for name, path in files.items():
        if not Path(path).is_file():
            raise BadInput(f"There is no file {path}.", "Choose an audio file.", where=name)
    began = time.monotonic()
    ctx.progress(0.0, "reading")
    hashes = {name: file_sha256(Path(path)) for name, path in files.items()}
    main = options.source or str(options.vocals)
    key = hashes.get("source") or hashes["vocals"]
    folder = ctx.settings.outputs / "songs" / f"{safe_name(Path(main).stem, 'song')}-{key[:_KEY_CHARS]}"
    if options.source is None:
        vocals, rest = Path(str(options.vocals)), Path(str(options.accompaniment))
        return SongStems(folder, vocals, rest, hashes, None, False, time.monotonic() - began)
    from core.cleaning.separate import check, separate_stems

    model = check(ctx.settings, options.separator)
    place = folder / f"stems-{safe_name(Path(model).stem, 'model')}"
    kept = [place / f"{stem}.flac" for stem in _STEMS]
    reused = all(path.is_file() for path in kept)
    if not reused:
        ctx.progress(0.0, "separating")
        separate_stems(Path(options.source), place, ctx, separator=options.separator)
    return SongStems(folder, kept[0], kept[1], hashes, model, reused, time.monotonic() - began)
