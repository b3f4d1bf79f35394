"""Speaker mixing: how much of each speaker of one model is heard, fixed or over time, and the files that say so.

Light: no torch here. Time is a share of the recording, 0..1, as in so-vits-svc 4.1's `spkmix.py`, which is read too:
`{speaker id: [[t0, t1, v0, v1], ...]}`. Our file is JSON:

    {"format": "timbre-speaker-mix-1", "unit": "share" or "s", "speakers": {"Ann": 0.5, "Bo": [[0, 0], [1, 1]]}}

where a list holds (time, share) points, straight lines between them and held before the first and after the last.
"""

import ast
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import atomic
from core.engines.sovits.convert_options import Shares
from core.errors import BadInput

FORMAT = "timbre-speaker-mix-1"
_MAX_BYTES = 4 * 2**20
_MAX_POINTS = 20_000
Segment = tuple[float, float, float, float]
"""From time t0 to t1 (shares of the recording) the weight goes from v0 to v1."""


@dataclass(frozen=True)
class Mix:
    """Segments by speaker (name, or id as 4.1 has it). `in_seconds`: their times are seconds, not shares."""

    speakers: dict[str | int, list[Segment]]
    in_seconds: bool = False

    @property
    def fixed(self) -> bool:
        """True where nothing changes over time."""
        return all(len(s) == 1 and s[0][2] == s[0][3] and s[0][1] == math.inf for s in self.speakers.values())

    def rows(self, known: Mapping[str, int]) -> dict[int, list[Segment]]:
        """Segments by row of the model's speaker table. Raises BadInput for a speaker that the model does not have."""
        found: dict[int, list[Segment]] = {}
        for speaker, segments in self.speakers.items():
            row = known.get(str(speaker), speaker if speaker in known.values() else None)
            if not isinstance(row, int):
                raise BadInput(
                    f"The model has no speaker {speaker!r} to mix.",
                    f"It has {', '.join(known)}.",
                    where="speaker_mix",
                )
            found[row] = segments
        return found

    def weights(self, at_s: NDArray[np.floating], duration_s: float, known: Mapping[str, int]) -> NDArray[np.float32]:
        """Weights [T, rows] at times `at_s` [T] of a recording of `duration_s`; each row of times adds up to 1.

        Where nobody has any, all of the model's named speakers are heard equally (spec, section 4, "Speaker mix").
        """
        scale = 1.0 if self.in_seconds else max(duration_s, 1e-9)
        made = np.zeros((len(at_s), max(known.values()) + 1), np.float64)
        for row, segments in self.rows(known).items():
            for t0, t1, v0, v1 in segments:
                start, end = t0 * scale, t1 * scale
                here = (at_s >= start) & (at_s < end) if math.isfinite(end) else at_s >= start
                share = (at_s[here] - start) / (end - start) if math.isfinite(end) else np.zeros(int(here.sum()))
                made[here, row] = v0 + (v1 - v0) * share
        made = np.maximum(made, 0.0)
        total = made.sum(axis=1)
        named = sorted(set(known.values()))
        empty = total <= 0
        made[np.ix_(empty, named)] = 1.0 / len(named)
        made[~empty] /= total[~empty, None]
        return made.astype(np.float32)


def mix_of(shares: Shares, in_seconds: bool = False) -> Mix:
    """A mix of shares and (time, share) points. Raises BadInput: negative or no numbers, times that go back."""
    if not shares:
        raise BadInput("No speaker is named.", "Name at least one speaker and its share.", where="speaker_mix")
    speakers: dict[str | int, list[Segment]] = {}
    for name, value in shares.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            speakers[name] = _segments_of_points(name, value, in_seconds)
        else:
            share = _share(name, value)
            speakers[name] = [(0.0, math.inf, share, share)]
    return Mix(speakers, in_seconds)


def _segments_of_points(name: str, points: Sequence[Any], in_seconds: bool) -> list[Segment]:
    if not points or len(points) > _MAX_POINTS:
        raise BadInput(f"The curve of '{name}' has {len(points)} points.", "Give it 1 to 20000.", where="speaker_mix")
    if any(not isinstance(p, Sequence) or len(p) != 2 for p in points):
        raise BadInput(f"The curve of '{name}' holds something that is no (time, share).", "", where="speaker_mix")
    times = [_number(name, p[0]) for p in points]
    shares = [_share(name, p[1]) for p in points]
    latest = math.inf if in_seconds else 1.0
    if times != sorted(times) or times[0] < 0 or times[-1] > latest:
        raise BadInput(
            f"The times of '{name}' do not rise from 0" + ("." if in_seconds else " to 1."),
            "Put the points in order.",
            where="speaker_mix",
        )
    segments: list[Segment] = []
    if times[0] > 0:
        segments.append((0.0, times[0], shares[0], shares[0]))
    for i in range(1, len(times)):
        if times[i] > times[i - 1]:
            segments.append((times[i - 1], times[i], shares[i - 1], shares[i]))
    segments.append((times[-1], math.inf, shares[-1], shares[-1]))
    return segments


def _number(name: object, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadInput(f"{value!r} of '{name}' is no number.", "", where="speaker_mix")
    return float(value)


def _share(name: object, value: Any) -> float:
    share = _number(name, value)
    if share < 0:
        raise BadInput(f"The share {share:g} of '{name}' is negative.", "Use 0 or more.", where="speaker_mix")
    return share


def read_mix(path: Path) -> Mix:
    """The mix of a file: ours (JSON), or 4.1's `spkmix.py`, whose dict is read as data; nothing of it runs.

    Raises BadInput naming what is wrong.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise BadInput(f"{path.name} is too large for a speaker mix.", "Choose another file.", where=str(path))
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise BadInput(f"{path.name} cannot be read: {err}", "Choose another file.", where=str(path)) from err
    if path.suffix.lower() == ".py":
        return parse_upstream(text, path.name)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise BadInput(f"{path.name} is not JSON: {err}", "Choose another file.", where=str(path)) from err
    known = isinstance(data, dict) and data.get("format") == FORMAT and isinstance(data.get("speakers"), dict)
    if not known or data.get("unit", "share") not in ("share", "s"):
        raise BadInput(
            f"{path.name} is no speaker mix.",
            f'Its "format" should be "{FORMAT}" (docs/from_so_vits_svc.md).',
            where=str(path),
        )
    return mix_of(data["speakers"], data.get("unit") == "s")


def parse_upstream(text: str, name: str = "spkmix.py") -> Mix:
    """4.1's table, `{id: [[t0, t1, v0, v1], ...]}`: the first dict of numbers that the file assigns, or the bare dict.

    Raises BadInput: no such dict, or a segment that is none.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        raise BadInput(f"{name} cannot be read: {err}", "Choose a spkmix.py of so-vits-svc.", where=name) from err
    for node in tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) else None
        if not isinstance(value, ast.Dict):
            continue
        try:
            table = ast.literal_eval(value)
        except (ValueError, TypeError, RecursionError, MemoryError):
            continue
        if table:
            return Mix({_speaker_id(key, name): _upstream_segments(key, rows, name) for key, rows in table.items()})
    raise BadInput(f"{name} holds no table of speakers.", "It should assign {id: [[t0, t1, v0, v1], ...]}.", where=name)


def _speaker_id(key: Any, name: str) -> str | int:
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise BadInput(f"{key!r} in {name} is no speaker.", "Use ids or names.", where=name)
    return key


def _upstream_segments(key: Any, rows: Any, name: str) -> list[Segment]:
    if not isinstance(rows, list | tuple) or len(rows) > _MAX_POINTS:
        raise BadInput(f"Speaker {key} in {name} has no list of segments.", "", where=name)
    segments: list[Segment] = []
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) != 4:
            raise BadInput(f"A segment of speaker {key} in {name} is not [t0, t1, v0, v1].", "", where=name)
        t0, t1 = _number(key, row[0]), _number(key, row[1])
        if not 0 <= t0 <= t1 <= 1:
            raise BadInput(f"The times {t0:g} to {t1:g} of speaker {key} are not in 0..1.", "", where=name)
        if t1 > t0:
            # 4.1 takes a segment's end in, so the last moment of a song belongs to the segment that ends at 1.
            segments.append((t0, math.nextafter(1.0, 2.0) if t1 == 1 else t1, _share(key, row[2]), _share(key, row[3])))
    return segments


def write_mix(path: Path, shares: Shares, in_seconds: bool = False) -> Path:
    """Write our file. Raises BadInput for shares that are none, NoSpace."""
    mix_of(shares, in_seconds)
    data = {"format": FORMAT, "unit": "s" if in_seconds else "share", "speakers": shares}
    atomic.write_json(path, data)
    return path
