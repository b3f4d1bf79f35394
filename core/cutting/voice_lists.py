"""What other studios read of a voice: GPT-SoVITS's list, and the folder that so-vits wants."""

import contextlib
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from core import atomic
from core.cutting import together
from core.cutting.options import CutOptions
from core.cutting.outputs import LIST, SOVITS, link_or_copy, list_line
from core.dataset.clips import Clip
from core.dataset.voices import Voice
from core.paths import safe_name

_OURS = re.compile(r".+_[0-9a-f]{16}\.wav")


@contextlib.contextmanager
def lists_with(voice: Voice, clips: Sequence[Clip], options: CutOptions) -> Iterator[dict[str, str | None]]:
    """`list` and `sovits` (paths; None where the options do not want them) of the accepted among `clips`.

    They are on the disk before the block and take their places after it, by renames, which need no space; if the block
    fails, the old ones stay. Raises OSError, NoSpace.
    """
    root, speaker = voice.path.resolve(), options.speaker or voice.name
    accepted = [clip for clip in clips if clip.verdict == "accepted"]
    made: dict[str, str | None] = {"list": None, "sovits": None}
    with contextlib.ExitStack() as places:
        if options.gpt_sovits:
            temp = places.enter_context(atomic.file(root / LIST))
            lines = [_line(root, clip, speaker) for clip in accepted]
            temp.write_text("".join(line + "\n" for line in lines), "utf-8", newline="\n")
            atomic.fsync_file(temp)
            made["list"] = str(root / LIST)
        if options.sovits:
            folder = root / SOVITS / safe_name(speaker, "speaker")
            places.enter_context(_laid_out(folder, [root / clip.audio for clip in accepted]))
            made["sovits"] = str(folder)
        yield made


def _line(root: Path, clip: Clip, speaker: str) -> str:
    row = {"audio": str(root / clip.audio), "text": clip.text, "language": clip.language}
    return list_line(row, clip.speaker or speaker)


@contextlib.contextmanager
def _laid_out(folder: Path, clips: Sequence[Path]) -> Iterator[None]:
    """`folder` holds these clips after the block, and those of no earlier cutting; other files there are not ours."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic.sweep(folder)
    wanted, there = {path.name: path for path in clips}, {path.name for path in folder.iterdir()}
    new = sorted(set(wanted) - there)
    work = together.work_folder(folder)
    try:
        work.mkdir()
        for name in new:
            link_or_copy(wanted[name], work / name)
        together.sync([work / name for name in new])
        yield
        for name in new:
            (work / name).replace(folder / name)
        for name in there - set(wanted):
            if _OURS.fullmatch(name):
                (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
