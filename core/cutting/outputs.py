"""A cutting into a folder: numbered clips, `train.jsonl`, a GPT-SoVITS `.list`, a so-vits layout, `report.json`.

Everything is written into a hidden folder first and takes its place together at the end, the manifest last. A run that
is killed, cancelled or out of space leaves what was there before.
"""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import atomic
from core.cutting import together
from core.cutting.cutter import Cut, padded
from core.cutting.dataset_folder import BROKEN, MANIFEST, broken_warning, existing, with_broken
from core.cutting.options import CutOptions
from core.errors import BadInput, Conflict, StudioError, is_no_space, no_space
from core.paths import safe_name, unique_path
from core.subtitles.cue import Cue

LIST = "gpt_sovits.list"
REPORT = "report.json"
SOVITS = "dataset_raw"
_RESERVE_BYTES = 32 << 20
_LONGEST_S = 1e6


class FolderTarget:
    """Where the clips of one run go. Use as a context manager; without `finish` nothing of it stays."""

    def __init__(self, folder: Path, source: str, options: CutOptions) -> None:
        self.folder = folder
        self._options = options
        self._source = source
        for name in (MANIFEST, LIST, *([f"{SOVITS}/speaker"] if options.sovits else [])):
            atomic.check_target(folder / name)
        try:
            together.recover(folder)
            self._there = existing(folder, append=options.append)
        except OSError as err:
            raise explained(err, folder) from err
        self._work = together.work_folder(folder)

    def __enter__(self) -> "FolderTarget":
        try:
            self._work.mkdir(parents=True)
        except OSError as err:
            raise explained(err, self.folder) from err
        atomic.sweep(self.folder)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._work, ignore_errors=True)

    def need(self, seconds: float) -> None:
        """Raises NoSpace if `seconds` of clips do not fit on the disk."""
        need = round(seconds * self._options.sample_rate * 2) + _RESERVE_BYTES
        if shutil.disk_usage(self._work).free < need:
            raise no_space(None, need, self.folder)

    def write(self, cut: Cut, cue: Cue) -> dict[str, Any]:
        """Put one clip into the hidden folder; several threads may. Raises NoSpace, BadInput."""
        from core.audio.encode import wav_bytes

        audio = padded(cut.audio, self._options.silence_ms, self._options.sample_rate)
        path = self._work / f"{cut.plan.position:06d}.wav"
        try:
            path.write_bytes(wav_bytes(audio, self._options.sample_rate))
        except OSError as err:
            raise explained(err, path) from err
        duration = round(audio.size / self._options.sample_rate, 4)
        return {"temp": path, "duration": duration, "cue": cue, "plan": cut.plan}

    def finish(self, made: Sequence[dict[str, Any]], report: dict[str, Any]) -> dict[str, Any]:
        """Give the clips their numbers, with lists, report and manifest. `report["cues"]` gets each `audio`.

        Returns `out`, `manifest`, `list`, `report` (paths) and what the whole `dataset` now holds. Raises NoSpace,
        Conflict (a number was taken meanwhile); then the folder is as it was before.
        """
        rows, lists, moves = [], [], []
        by_position = {entry["position"]: entry for entry in report["cues"]}
        for number, item in enumerate(made, start=self._there.last_number + 1):
            target = self.folder / f"{number:04d}.wav"
            if os.path.lexists(target):
                raise Conflict(f"{target} has appeared meanwhile.", "Run it again.", where=str(target))
            moves.append((item["temp"], target))
            rows.append(self._row(item, target))
            lists.append(list_line(rows[-1], self._speaker(item["cue"])))
            by_position[item["plan"].position]["audio"] = str(target.resolve())
        report["warnings"] += [warning] if (warning := broken_warning(self._there.broken)) else []
        try:
            if self._options.sovits:
                moves += self._lay_out(made, [target for _, target in moves])
            moves += self._texts(rows, lists, report)
            together.place(self.folder, self._work, moves)
        except OSError as err:
            raise explained(err, self.folder) from err
        old = self._there.rows
        lengths = [row.get("duration") for row in [*old, *rows]]  # lines of other tools may hold anything
        total = sum(length for length in lengths if isinstance(length, int | float) and 0 <= length < _LONGEST_S)
        return {
            "out": str(self.folder.resolve()),
            "manifest": str(self.folder.resolve() / MANIFEST),
            "list": str(self.folder.resolve() / LIST) if self._options.gpt_sovits else None,
            "report": str(self.folder.resolve() / REPORT),
            "dataset": {"count": len(old) + len(rows), "minutes": round(total / 60.0, 3)},
        }

    def _texts(self, rows: list[dict[str, Any]], lists: list[str], report: dict[str, Any]) -> list[tuple[Path, Path]]:
        """(written file, its place) of everything but the clips, the manifest last."""
        lines = [*self._there.lines, *(json.dumps(row, ensure_ascii=False) for row in rows)]
        texts = {
            BROKEN: with_broken(self.folder, self._there.broken),
            REPORT: json.dumps(report, ensure_ascii=False, indent=2, allow_nan=False).encode() + b"\n",
            LIST: _and_more(self.folder / LIST, lists) if self._options.gpt_sovits else b"",
            MANIFEST: "".join(line + "\n" for line in lines).encode(),
        }
        moves = []
        earlier = self.folder / REPORT
        if earlier.exists():  # an appended run has its own report; the earlier one stays
            moves.append((self._work / "earlier.json", unique_path(earlier.with_name("report before.json"))))
            shutil.copy2(earlier, moves[0][0])
        for name, data in texts.items():
            if data:
                (self._work / name).write_bytes(data)
                moves.append((self._work / name, self.folder / name))
        return moves

    def _row(self, item: dict[str, Any], target: Path) -> dict[str, Any]:
        """One line of the manifest. `audio` is absolute: VoxCPM's training resolves others against its own folder."""
        plan, cue = item["plan"], item["cue"]
        row = {
            "audio": str(target.resolve()),
            "text": cue.text,
            "duration": item["duration"],
            "speaker": self._options.speaker or cue.speaker,
            "language": self._options.language,
            "source": self._source,
            "start_s": round(plan.start_s, 4),
            "end_s": round(plan.end_s, 4),
        }
        return {key: value for key, value in row.items() if value != "" or key == "text"}

    def _speaker(self, cue: Cue) -> str:
        return self._options.speaker or cue.speaker or self.folder.resolve().name

    def _lay_out(self, made: Sequence[dict[str, Any]], placed: Sequence[Path]) -> list[tuple[Path, Path]]:
        """(file, its place) of `dataset_raw/<speaker>/0001.wav`: hard links, copies where the file system has none."""
        moves = []
        for item, path in zip(made, placed, strict=True):
            speaker = safe_name(self._speaker(item["cue"]), "speaker")
            there = self.folder / SOVITS / speaker / path.name
            # A file there is of a run that was killed: the number was free.
            moves.append((item["temp"].with_suffix(".link.wav"), there))
            link_or_copy(item["temp"], moves[-1][0])
        return moves


def link_or_copy(source: Path, target: Path) -> None:
    """Another name for a file: a hard link, a copy where the file system has none. Raises OSError."""
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def explained(err: OSError, path: Path) -> StudioError:
    """What to tell of a file or folder that cannot be written."""
    if is_no_space(err):
        return no_space(err, None, path)
    return BadInput(f"{path} cannot be written: {err.strerror or err}.", "Choose another folder.", where=str(path))


def _and_more(path: Path, lines: list[str]) -> bytes:
    """What a file of lines holds, with more lines after it."""
    before = path.read_bytes().removeprefix(b"\xef\xbb\xbf") if path.is_file() else b""
    end = b"\n" if before and not before.endswith(b"\n") else b""
    return before + end + "".join(line + "\n" for line in lines).encode()


def list_line(row: dict[str, Any], speaker: str) -> str:
    """`path|speaker|LANGUAGE|text` as GPT-SoVITS reads it; a bar inside a field would break the line."""
    language = (row.get("language") or guess_language(row["text"])).upper()
    fields = (row["audio"], speaker, language, row["text"])
    return "|".join(" ".join(str(part).replace("|", " ").split()) for part in fields)


def guess_language(text: str) -> str:
    """zh, ja, ko or en, by the script: kana means Japanese, Hangul Korean, Han without them Chinese."""
    if any("\u3040" <= char <= "\u30ff" for char in text):
        return "ja"
    if any("\uac00" <= char <= "\ud7af" for char in text):
        return "ko"
    return "zh" if any("\u4e00" <= char <= "\u9fff" for char in text) else "en"
