"""Settings of a conversion under a name: kept in the workspace, taken along as a file. Light: no torch here.

A preset says how, not what: nothing in it belongs to one recording, one voice or one computer.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import atomic
from core.engines.sovits.convert_options import ConvertOptions, parse_options
from core.engines.sovits.convert_upstream import upstream_defaults
from core.errors import BadInput, Conflict, NotFound
from core.paths import safe_name

FORMAT = "timbre-convert-preset-1"
NOT_KEPT = frozenset(
    {
        *("voice", "source", "out", "model", "speaker", "speaker_mix", "f0_file"),
        *("blend_file", "diffusion_model", "diffusion_config", "vocoder"),
    }
)
KEPT = tuple(name for name in ConvertOptions.model_fields if name not in NOT_KEPT)
_MAX_BYTES = 2**20


@dataclass(frozen=True)
class Preset:
    """`options`: fields of ConvertOptions that it sets. `built_in`: comes with the studio and stays as it is."""

    name: str
    options: dict[str, Any]
    note: str = ""
    built_in: bool = False


BUILT_IN = (
    Preset(
        "so-vits-svc 4.1",
        upstream_defaults(),
        "What 4.1's command line does when nothing is said.",
        built_in=True,
    ),
    Preset(
        "so-vits-svc 4.1 web",
        {**upstream_defaults(), "format": "wav", "loudness_envelope": 0.0},
        "What 4.1's web page does when nothing is said.",
        built_in=True,
    ),
)


class PresetStore:
    """The presets of one workspace."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / "presets" / "convert"

    def list(self) -> "list[Preset]":
        """A person's own by name, then the built-in ones. A file that cannot be read is left out."""
        own = []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ():
            try:
                own.append(_read(path))
            except BadInput:
                continue
        return [*sorted(own, key=lambda one: one.name.casefold()), *BUILT_IN]

    def get(self, name: str) -> Preset:
        """By name; or of a file, where `name` is the path of a .json. Raises NotFound, BadInput."""
        for one in self.list():
            if one.name == name:
                return one
        if name.lower().endswith(".json") and Path(name).is_file():
            return _read(Path(name))
        known = ", ".join(one.name for one in self.list())
        raise NotFound(f"There is no preset {name!r}.", f"There are: {known}.", where="preset")

    def save(self, name: str, options: Mapping[str, Any], note: str = "") -> Preset:
        """Keep the fields of `options` that a preset holds; one of that name is replaced.

        Raises BadInput (no name, a value out of range), Conflict (a built-in one's name), NoSpace.
        """
        wanted = safe_name(name, fallback="")
        if not wanted:
            raise BadInput("The preset needs a name.", "Use letters or digits of any language.", where="preset")
        if any(wanted.casefold() == one.name.casefold() for one in BUILT_IN):
            raise Conflict(f"The preset '{wanted}' comes with the studio.", "Choose another name.", where="preset")
        made = Preset(wanted, _checked({k: v for k, v in options.items() if k in KEPT}), note.strip()[:500])
        atomic.write_json(self.folder / f"{wanted}.json", _data(made))
        return made

    def delete(self, name: str) -> None:
        """Raises NotFound, Conflict (a built-in one)."""
        if self.get(name).built_in:
            raise Conflict(f"The preset '{name}' comes with the studio and stays.", "", where="preset")
        (self.folder / f"{safe_name(name)}.json").unlink(missing_ok=True)

    def import_file(self, path: Path) -> Preset:
        """Keep a shared file, under another name where its own is taken. Raises BadInput, NoSpace."""
        read = _read(path)
        taken = {one.name.casefold() for one in self.list()}
        name, number = read.name, 2
        while name.casefold() in taken:
            name, number = f"{read.name} ({number})", number + 1
        return self.save(name, read.options, read.note)

    def export(self, name: str, target: Path) -> Path:
        """Write a preset as a file to share. Raises NotFound, NoSpace."""
        atomic.write_json(target, _data(self.get(name)))
        return target


def _data(preset: Preset) -> dict[str, Any]:
    return {"format": FORMAT, "name": preset.name, "note": preset.note, "options": preset.options}


def _read(path: Path) -> Preset:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError("it is too large")
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as err:
        raise BadInput(f"{path.name} cannot be read: {err}", "Choose another file.", where=str(path)) from err
    options = data.get("options") if isinstance(data, dict) and data.get("format") == FORMAT else None
    if not isinstance(options, dict):
        raise BadInput(f"{path.name} is no preset of the studio.", "Choose another file.", where=str(path))
    name = safe_name(str(data.get("name") or path.stem), "preset")
    try:
        return Preset(name, _checked(options), str(data.get("note") or "")[:500])
    except BadInput as err:
        err.where = str(path)
        raise


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, if they can be used together. Raises BadInput naming what cannot, or what no preset holds."""
    foreign = sorted(set(options) & NOT_KEPT)
    if foreign:
        raise BadInput(
            f"A preset does not hold {', '.join(foreign)}: that belongs to one recording or computer.",
            "Remove it from the file.",
        )
    parsed = parse_options({"voice": "-", "source": "-", **options}).model_dump()
    return {name: parsed[name] for name in KEPT if name in options}
