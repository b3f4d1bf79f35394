"""The job "say-batch": a table of texts in, a file of speech for each row; a row that fails leaves the others alone."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.errors import BadInput, StudioError
from core.paths import safe_name, unique_path
from core.speech.say import LOADED, lines_to_say, load, say_one, settings_of
from core.speech.say_options import SayOptions
from core.subtitles.options import parse_options

if TYPE_CHECKING:
    from core.jobs.context import JobContext

COLUMNS = ("text", "name", "voice", "prompt_audio", "prompt_text", "seed")
REPORT = "batch.json"
MAX_ROWS = 10_000
_MAX_BYTES = 16 << 20


def run_say_batch(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Say every row of a table; the model is loaded once.

    Args:
        params: "csv" (a file whose first line names columns out of COLUMNS, "text" among them), "out" (folder),
            "format" (wav, flac or mp3), and what all rows share, as in `SayOptions`; a row's own values win.

    Returns `out`, `report` (a JSON file with a line for each row), `made`, `failed`, `seconds`, `rows` (each with
    `row`, `text`, `out` or `error`).

    Raises BadInput (the table; naming the row), NotFound, Unavailable, ModelFileError, NoSpace, Cancelled.
    """
    given = dict(params)
    table, folder = Path(str(given.pop("csv", ""))), Path(str(given.pop("out", "")))
    fmt = str(given.pop("format", "wav"))
    if fmt not in ("wav", "flac", "mp3"):
        raise BadInput(f"{fmt[:20]!r} cannot be written.", "Choose wav, flac or mp3.", where="format")
    rows = read_table(table)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [_options(given, row, number, folder, fmt) for number, row in enumerate(rows, start=1)]
    loaded = load(wanted[0], ctx)
    told: list[dict[str, Any]] = []
    for number, options in enumerate(wanted, start=1):
        part = ctx.sub(LOADED + (1 - LOADED) * (number - 1) / len(wanted), LOADED + (1 - LOADED) * number / len(wanted))
        line: dict[str, Any] = {"row": number, "text": options.text}
        try:
            line |= say_one(loaded, options, part)
        except StudioError as err:
            if err.code in ("cancelled", "no_space"):  # these are about all rows
                raise
            line["error"] = err.to_dict()
        told.append(line)
    report = unique_path(folder / REPORT)
    atomic.write_text(report, json.dumps({"table": str(table), "rows": told}, ensure_ascii=False, indent=1) + "\n")
    made = [line for line in told if "error" not in line]
    return {
        "out": str(folder),
        "report": str(report),
        "made": len(made),
        "failed": len(told) - len(made),
        "seconds": round(sum(line["seconds"] for line in made), 3),
        "rows": told,
    }


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, of commas, semicolons or tabs, in any encoding that subtitles come in; empty cells and
    rows are left out. Raises BadInput."""
    from core.subtitles.encoding import decode

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadInput(f"{path.name} is larger than {_MAX_BYTES >> 20} MiB.", "Split it.", where=str(path))
        text = decode(path.read_bytes())[0]
    except OSError as err:
        raise BadInput(f"{path} cannot be read: {err.strerror}.", "Check the path.", where=str(path)) from err
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    try:
        found = list(csv.reader(io.StringIO(text), delimiter=mark, strict=True))
    except csv.Error as err:
        raise BadInput(f"{path.name} is no table: {err}.", "Save it as CSV again.", where=str(path)) from err
    names = [name.strip().lower() for name in found[0]] if found else []
    wrong = [name for name in names if name not in COLUMNS]
    if "text" not in names or wrong or len(set(names)) < len(names):
        unknown = f" It names {', '.join(wrong)[:200]}." if wrong else ""
        raise BadInput(
            f"The first line of {path.name} must name its columns, 'text' among them.{unknown}",
            f"The columns are: {', '.join(COLUMNS)}.",
            where=str(path),
        )
    rows = []
    for number, cells in enumerate(found[1:], start=2):
        row = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if cell.strip()}
        if len(cells) > len(names):
            raise BadInput(f"Line {number} of {path.name} has too many cells.", "Quote texts.", where=str(path))
        if row and "text" not in row:
            raise BadInput(f"Line {number} of {path.name} has no text.", "Write it, or remove it.", where=str(path))
        rows += [row] if row else []
    if not rows or len(rows) > MAX_ROWS:
        raise BadInput(f"{path.name} holds {len(rows)} texts.", f"1 to {MAX_ROWS:,} are said at once.", where=str(path))
    return rows


def _options(given: dict[str, Any], row: dict[str, str], number: int, folder: Path, fmt: str) -> SayOptions:
    """A row's options. Raises BadInput that names the row."""
    own: dict[str, Any] = {key: value for key, value in row.items() if key != "name"}
    if "voice" in own:
        given = {key: value for key, value in given.items() if key not in ("prompt_audio", "prompt_text")}
    elif "prompt_audio" in own:
        given = {key: value for key, value in given.items() if key not in ("voice", "prompt_text")}
    stem = f"{number:04d}" + (f"_{safe_name(row['name'])}" if "name" in row else "")
    try:
        options = parse_options(SayOptions, {**given, **own, "out": str(unique_path(folder / f"{stem}.{fmt}"))})
        lines_to_say(options)
        settings_of(options)
    except BadInput as err:
        raise BadInput(f"Row {number}: {err.message}", err.hint, where=err.where) from err
    return options
