"""Which code does which kind of job. Targets are named, not imported: the page stays light, workers import one."""

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import BadInput

if TYPE_CHECKING:
    from core.jobs.context import JobContext

HandlerFunction = Callable[[dict[str, Any], "JobContext"], dict[str, Any]]
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Handler:
    """One kind of job.

    Attributes:
        target: "package.module:function" with the signature (params, ctx) -> result, both JSON.
        lane: jobs of one lane run one after another.
        grace_s: how long a cancelled job may take to save before its processes are ended.
    """

    target: str
    lane: str
    grace_s: float = 10.0


HANDLERS: dict[str, Handler] = {
    "prep": Handler("core.dataset.prepare:run_prepare", lane="work"),
    "slice": Handler("core.cutting.slice:run_slice", lane="work"),
    "train": Handler(
        "core.training.engines:run_train", lane="train", grace_s=120.0
    ),  # a step and a save, on a slow disk
    "trial": Handler("core.training.engines:run_trial", lane="train"),
    "export": Handler("core.training.exporting:run_export", lane="work"),
    "qa": Handler("core.quality.gate:run_qa", lane="work"),
    "transcribe": Handler("core.transcribe.job:run_transcribe", lane="work"),
    "clean-subs": Handler("core.subtitles.clean:run_clean_subs", lane="work"),
    "clean": Handler("core.cleaning.clean:run_clean", lane="work"),
    "convert": Handler("core.engines.sovits.convert:run_convert", lane="work"),
    "convert-batch": Handler("core.engines.sovits.convert_batch:run_batch", lane="work"),
    "pitch": Handler("core.engines.sovits.pitch_job:run_pitch", lane="pitch"),
    "character-audio": Handler("core.service.process:run_process", lane="work"),
    "character-speech": Handler("core.service.speaking:run_speech", lane="speech"),
    "export-sovits-data": Handler("core.engines.sovits.layout_write:run_export", lane="work"),
    "import-sovits-data": Handler("core.engines.sovits.layout_read:run_import", lane="work"),
    "import-models": Handler("core.engines.sovits.import_job:run_import", lane="work"),
    "say": Handler("core.speech.say:run_say", lane="work"),
    "say-batch": Handler("core.speech.batch:run_say_batch", lane="work"),
    "text-to-voice": Handler("core.text_to_voice.job:run_text_to_voice", lane="work"),
    "song": Handler("core.song.job:run_song", lane="work"),
    "export-onnx": Handler("core.engines.sovits.onnx_export:run_export_onnx", lane="work"),
}


def find(handlers: Mapping[str, Handler], kind: str) -> Handler:
    """The handler of a kind. Raises BadInput."""
    if kind not in handlers:
        raise BadInput(f"There is no kind of job {kind!r}.", f"The kinds are: {', '.join(handlers)}.", where="kind")
    return handlers[kind]


def resolve(target: str) -> HandlerFunction:
    """Import a target. Raises BadInput if it is not a "module:function"; ImportError, AttributeError as they come."""
    if not _TARGET.fullmatch(target):
        raise BadInput(f"{target!r} is not a handler.", where="target")
    module, _, name = target.partition(":")
    function: HandlerFunction = getattr(importlib.import_module(module), name)
    return function
