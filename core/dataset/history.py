"""Undo and redo for verdicts: an append-only journal beside the clip table.

Each line of `sliced_audio/verdicts.jsonl` is a change (what every clip's verdict was and became), an undo or a redo.
The journal is written before the table, so a crash between the two leaves a change that undoing finds already undone.
A clip that was changed otherwise since, or is gone, is left as it is.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from core.dataset.clips import VERDICTS, Clip, ClipTable, Verdict
from core.errors import Conflict, is_no_space, no_space

if TYPE_CHECKING:
    from core.dataset.voices import Voice

_REMEMBERED = 200  # steps back; the journal itself keeps all

State = tuple[str, tuple[str, ...], bool]
"""Verdict, reasons, by_user."""


@dataclass(frozen=True)
class Step:
    """One change that can be taken back: `label` is a code for the page ("accepted", "qa", ...), `clips` how many."""

    number: int
    label: str
    time: float
    clips: int


@dataclass(frozen=True)
class _Change:
    step: Step
    before: dict[str, State]
    after: dict[str, State]


def _state(clip: Clip) -> State:
    return (clip.verdict, tuple(clip.reasons), clip.by_user)


def _with_state(clip: Clip, state: State) -> Clip:
    verdict, reasons, by_user = state
    return replace(clip, verdict=cast(Verdict, verdict), reasons=list(reasons), by_user=by_user)


class RecordedTable(ClipTable):
    """A clip table whose changes of verdict can be undone. `label` names them."""

    def __init__(self, voice: "Voice", label: str = "") -> None:
        super().__init__(voice)
        self.journal = voice.sliced / "verdicts.jsonl"
        self._label = label

    def set_verdict(self, ids: Iterable[str], verdict: str) -> list[Clip]:
        """As `ClipTable.set_verdict`, recorded."""
        self._label = self._label or verdict
        return super().set_verdict(ids, verdict)

    def update(self, change: Callable[[list[Clip]], list[Clip]]) -> list[Clip]:
        """As `ClipTable.update`, recorded."""

        def recorded(clips: list[Clip]) -> list[Clip]:
            changed = change(clips)
            was = {clip.id: _state(clip) for clip in clips}
            became = {clip.id: _state(clip) for clip in changed if was.get(clip.id, _state(clip)) != _state(clip)}
            if became:
                pairs = {one: [was[one], state] for one, state in became.items()}
                self._append({"op": "change", "label": self._label, "time": time.time(), "clips": pairs})
            return changed

        return super().update(recorded)

    def undo(self) -> Step:
        """Take back the last change that still makes a difference. Raises Conflict if there is none."""
        return self._step("undo")

    def redo(self) -> Step:
        """Make the change that was last taken back. Raises Conflict if there is none."""
        return self._step("redo")

    def steps(self) -> tuple[list[Step], list[Step]]:
        """(what can be undone, what can be redone), next first."""
        done, undone = self._replay()
        return [one.step for one in reversed(done)], [one.step for one in reversed(undone)]

    def _step(self, op: str) -> Step:
        taken: list[_Change] = []

        def change(clips: list[Clip]) -> list[Clip]:
            done, undone = self._replay()
            for one in reversed(done if op == "undo" else undone):
                self._append({"op": op, "number": one.step.number})
                now, then = (one.after, one.before) if op == "undo" else (one.before, one.after)
                back = [_with_state(c, then[c.id]) if now.get(c.id) == _state(c) else c for c in clips]
                if back != clips:
                    taken.append(one)
                    return back
            nothing = "There is nothing to undo." if op == "undo" else "There is nothing to redo."
            raise Conflict(nothing, "The clips are as they are.", where=str(self.path))

        super().update(change)
        return taken[0].step

    def _append(self, row: dict[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"
        try:
            self.journal.parent.mkdir(parents=True, exist_ok=True)
            with open(self.journal, "ab") as handle:
                if handle.tell():
                    handle.write(b"\n")  # ends a line that a crash left open
                handle.write(line)
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as err:
            if is_no_space(err):
                raise no_space(err, None, self.journal) from err
            raise

    def _replay(self) -> tuple[list[_Change], list[_Change]]:
        """(done, undone) changes, oldest first. A damaged line is left out, as if that step had not been taken."""
        done: list[_Change] = []
        undone: list[_Change] = []
        try:
            lines = self.journal.read_bytes().split(b"\n")
        except FileNotFoundError:
            return done, undone
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            with contextlib.suppress(ValueError, KeyError, TypeError, IndexError):
                row = json.loads(line)
                if row["op"] == "change":
                    done.append(_read_change(number, row))
                    undone.clear()
                else:
                    source, target = (done, undone) if row["op"] == "undo" else (undone, done)
                    place = [one.step.number for one in source].index(row["number"])
                    target.append(source.pop(place))
        return done[-_REMEMBERED:], undone


def _read_change(number: int, row: dict[str, Any]) -> _Change:
    before = {str(one): _read_state(pair[0]) for one, pair in row["clips"].items()}
    after = {str(one): _read_state(pair[1]) for one, pair in row["clips"].items()}
    return _Change(Step(number, str(row["label"]), float(row["time"]), len(after)), before, after)


def _read_state(value: Sequence[Any]) -> State:
    verdict, reasons, by_user = value
    if verdict not in VERDICTS or not isinstance(reasons, list):
        raise ValueError("no state of a clip")
    return (verdict, tuple(str(reason) for reason in reasons), bool(by_user))


def undo(voice: "Voice") -> Step:
    """Take back the last change of verdicts of a voice. Raises Conflict (nothing to undo), BadInput, NoSpace."""
    return RecordedTable(voice).undo()


def redo(voice: "Voice") -> Step:
    """Make the change again that was last taken back. Raises Conflict (nothing to redo), BadInput, NoSpace."""
    return RecordedTable(voice).redo()
