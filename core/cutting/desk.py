"""What the page Cutting does, behind `Studio.cutting`: the cues of a recording come in, are cleaned, and are cut.

Light to import. All methods take a voice and one of its recordings by name (the path below `raw_audio`) and raise
NotFound where there is none.
"""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.cutting.options import parse_options as parse_cut_options
from core.cutting.sheet import Sheet, SheetFile
from core.errors import BadInput, Conflict, NotFound, StudioError
from core.jobs.context import ForegroundContext
from core.jobs.model import Job
from core.paths import inside
from core.subtitles.options import MergeOptions, parse_options
from core.subtitles.recognition import read_glossary

if TYPE_CHECKING:
    from core.dataset.voices import VoiceStore
    from core.jobs.queue import JobQueue
    from core.settings import Settings
    from core.subtitles.endpoint_config import EndpointConfig

SUBTITLES = (".srt", ".vtt", ".ass", ".ssa", ".txt")
_REMEMBERED = 500  # jobs that are looked through
_ASR = ".asr.srt"
_GLOSSARY = "glossary.txt"


class CuttingDesk:
    """`refuse_while_busy(voice, kind)` raises Conflict while a job of that kind works on the voice."""

    def __init__(
        self, settings: "Settings", voices: "VoiceStore", jobs: "JobQueue", refuse_while_busy: Callable[..., None]
    ) -> None:
        self.settings = settings
        self._voices, self._jobs, self._refuse_while_busy = voices, jobs, refuse_while_busy

    # -- recordings and their cues

    def recordings(self, voice: str) -> list[str]:
        """Names of the voice's recordings."""
        raw = self._voices.get(voice).raw
        found = (path.relative_to(raw) for path in raw.rglob("*") if path.is_file()) if raw.is_dir() else ()
        return sorted(name.as_posix() for name in found if not any(part.startswith(".") for part in name.parts))

    def audio(self, voice: str, recording: str) -> Path:
        """The recording's file. Raises BadInput (a name that leads elsewhere)."""
        raw = self._voices.get(voice).raw
        path = inside(raw, raw / recording)
        if not recording or not path.is_file():
            raise NotFound(f"There is no recording {recording!r} in {voice!r}.", "Choose another.", where=recording)
        return path

    def sound(self, voice: str, recording: str) -> Path:
        """The file that a cutting hears: the recording's cleaned copy where there is one."""
        from core.cutting.voice_target import sound_of

        self.audio(voice, recording)
        return sound_of(self._voices.get(voice), recording)[0]

    def sheet(self, voice: str, recording: str) -> Sheet:
        """The cues of a recording. What a transcription made since they were last looked at takes their place.

        Raises BadInput (damaged).
        """
        file = self._file(voice, recording)
        sheet = file.load()
        job = self._newest("transcribe", voice, recording)
        if job is None or job.id <= sheet.job or not job.result:
            return sheet
        from core.subtitles.parse import read

        try:
            parsed = read(file.file(_ASR))
        except StudioError:  # the file was removed since
            return file.seen_job(job.id)
        return file.replace(parsed.cues, str(job.result.get("model", "")), parsed.findings, job=job.id)

    def save(self, voice: str, recording: str, version: int, cues: list[dict[str, Any]]) -> Sheet:
        """Keep edited cues. Raises BadInput, Conflict (changed in another window), NoSpace."""
        return self._file(voice, recording).save(version, cues)

    def import_subtitles(self, voice: str, recording: str, path: Path) -> Sheet:
        """Put the cues of a file of subtitles in the place of all. Content raises nothing: it becomes findings.

        Raises BadInput (no file, too large, empty), NoSpace.
        """
        from core.audio.decode import probe
        from core.subtitles.parse import read

        duration_s = probe(self.audio(voice, recording)).duration_s
        parsed = read(path, duration_ms=None if duration_s is None else round(duration_s * 1000))
        return self._file(voice, recording).replace(parsed.cues, path.name, parsed.findings)

    def correct(self, voice: str, recording: str, offset_s: float, drift: float) -> Sheet:
        """Move all cues: true time = `drift` * time + `offset_s`."""
        return self._file(voice, recording).shift(offset_s, drift)

    # -- transcription

    def transcribe(self, voice: str, recording: str, options: Mapping[str, Any]) -> Job:
        """Queue a transcription; its cues take the place of all. `options`: see TranscribeOptions.

        Raises BadInput, Unavailable (no model here; the hint says how to import it by hand), Conflict (one is running).
        """
        from core.transcribe.models import find
        from core.transcribe.options import TranscribeOptions

        audio = self.audio(voice, recording)
        out = self._file(voice, recording).file(_ASR)
        params = {**options, "audio": str(audio), "out": str(out)}
        parsed = parse_options(TranscribeOptions, params)
        find(self.settings, parsed.engine, parsed.model, parsed.language)
        self._refuse_while_busy(voice, "transcribe")
        return self._jobs.submit("transcribe", params, voice)

    def recognisers(self) -> dict[str, list[tuple[str, bool, str]]]:
        """By engine: (model, whether it is here, how to import it by hand), best first."""
        from core.models import catalogue
        from core.transcribe.models import names
        from core.transcribe.options import ENGINES

        return {
            engine: [
                (name, catalogue.locate(self.settings, name).state == "present", catalogue.entry(name).by_hand)
                for name in names(engine)
            ]
            for engine in ENGINES
        }

    # -- cleaning

    def clean(self, voice: str, recording: str, way: str, merge: Mapping[str, Any], answer: str = "") -> Job | None:
        """Make a review of cleaned cues: "rules" and "answer" (a chat's, as text) here and now, "endpoint" as a job.

        Raises BadInput (options, no cues, nothing in the answer), Unavailable (no endpoint), NoSpace.
        """
        file = self._file(voice, recording)
        params: dict[str, Any] = {
            "subs": str(file.export(".clean.vtt")), "out": str(file.file(".clean.srt")), "way": way,
            "merge": {"glossary": self.glossary(voice).splitlines(), **merge},
        }  # fmt: skip
        if way == "endpoint":
            if self.endpoint() is None:
                raise BadInput(
                    "No language model has been set up.", "Enter its address and its name.", where="endpoint"
                )
            self._refuse_while_busy(voice, "clean-subs")
            return self._jobs.submit("clean-subs", params, voice)
        if way == "answer":
            params["answer"] = str(file.file(".answer.txt"))
            atomic.write_text(params["answer"], answer)
        from core.subtitles.clean import run_clean_subs

        run_clean_subs(params, ForegroundContext(self.settings))
        return None

    def prompts(self, voice: str, recording: str) -> list[str]:
        """The texts to paste into a chat, one after the other. Raises BadInput (no cues)."""
        from core.subtitles.parse import read
        from core.subtitles.prompt import build_prompts

        options = parse_options(MergeOptions, {"glossary": self.glossary(voice).splitlines()})
        return build_prompts(read(self._file(voice, recording).export(".clean.vtt")).cues, options)

    def glossary(self, voice: str) -> str:
        """The voice's names and terms, one a line; empty where there are none."""
        path = self._voices.get(voice).transcripts / _GLOSSARY
        return "\n".join(read_glossary(path)) if path.is_file() else ""

    def set_glossary(self, voice: str, text: str) -> None:
        """Keep names and terms, one a line or `wrong = right`. Raises BadInput (too many), NoSpace."""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        parse_options(MergeOptions, {"glossary": lines})
        atomic.write_text(self._voices.get(voice).transcripts / _GLOSSARY, "".join(line + "\n" for line in lines))

    def review(self, voice: str, recording: str) -> list[dict[str, Any]]:
        """Rows of the review that waits for a decision (see `side_by_side`); none where there is no review."""
        try:
            rows: list[dict[str, Any]] = json.loads(self._review(voice, recording).read_text("utf-8"))["rows"]
        except (OSError, ValueError, LookupError):
            return []
        return rows

    def review_stamp(self, voice: str, recording: str) -> int:
        """Changes when there is another review; 0 where there is none."""
        path = self._review(voice, recording)
        return path.stat().st_mtime_ns if path.is_file() else 0

    def take_review(self, voice: str, recording: str, take: Collection[int]) -> Sheet:
        """Put the reviewed cues in the place of all: those taken (positions in the answer), the rules' own elsewhere.

        Raises NotFound (no review), Conflict (the cues were changed since), BadInput, NoSpace.
        """
        from core.subtitles.check import resolve
        from core.subtitles.clean import load_review

        path = self._review(voice, recording)
        if not path.is_file():
            raise NotFound("There is no cleaning to take over.", "Clean the cues first.", where="review")
        checked = load_review(path)
        file = self._file(voice, recording)
        now = [(cue.start_ms, cue.end_ms) for cue in file.load().cues if not cue.rejected and cue.text.strip()]
        if sorted(now) != sorted((cue.start_ms, cue.end_ms) for cue in checked.source):
            raise Conflict("The cues were changed since they were cleaned.", "Clean them again.", where="review")
        sheet = file.replace(resolve(checked, take), "", keep_rejected=True)
        path.unlink(missing_ok=True)
        return sheet

    def drop_review(self, voice: str, recording: str) -> None:
        """Forget the review; the cues stay as they are."""
        self._review(voice, recording).unlink(missing_ok=True)

    def endpoint(self) -> "tuple[EndpointConfig, bool] | None":
        """The language model that was set up, and whether a key is kept; None if there is none."""
        from core.subtitles.endpoint_config import load_config, load_key

        config = load_config()
        return None if config is None else (config, load_key() is not None)

    def set_endpoint(self, values: Mapping[str, Any], key: str | None = None) -> None:
        """Keep an endpoint, and its key where one is given (an empty one removes it). Raises BadInput, NoSpace."""
        from core.subtitles.endpoint_config import EndpointConfig, save_config, save_key

        save_config(parse_options(EndpointConfig, dict(values)))
        if key is not None:
            save_key(key)

    # -- cutting

    def cut(self, voice: str, recording: str, options: Mapping[str, Any]) -> Job:
        """Queue the cutting of all cues that are not rejected into the voice's clips. `options`: see CutOptions.

        Raises BadInput (options, no cues), Conflict (a training reads the clips, or a cutting is under way), NoSpace.
        """
        if options.get("merge"):
            options = {"glossary": self.glossary(voice).splitlines(), **options}
        parse_cut_options(dict(options))
        for kind in ("train", "slice"):
            self._refuse_while_busy(voice, kind)
        audio = self.audio(voice, recording)
        subs = self._file(voice, recording).export(".cut.vtt")
        params = {"voice": voice, "audio": str(audio), "subs": str(subs), "options": dict(options)}
        return self._jobs.submit("slice", params, voice)

    def report(self, voice: str, recording: str) -> dict[str, Any] | None:
        """What the last cutting of the recording did (see `run_slice`): its report, with `result`, the job's own."""
        owner, job = self._voices.get(voice), self._newest("slice", voice, recording)
        if job is None or not job.result:
            return None
        try:
            path = owner.transcripts / Path(str(job.result["report"])).name
            report: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        for cue in report["cues"]:
            # The voice may have been renamed since, or a clip removed.
            clip = owner.sliced / Path(cue["audio"]).name if cue["audio"] else None
            cue["audio"] = str(clip) if clip is not None and clip.is_file() else None
        return {**report, "result": job.result}

    def _newest(self, kind: str, voice: str, recording: str) -> Job | None:
        self.audio(voice, recording)
        done = self._jobs.store.list(limit=_REMEMBERED, states=("completed",), voice=voice)
        # By the end of the path: a voice may have been renamed since.
        wanted = (self._voices.get(voice).raw.name, *Path(recording).parts)
        mine = (job for job in done if job.kind == kind)
        return next((job for job in mine if Path(str(job.params.get("audio"))).parts[-len(wanted) :] == wanted), None)

    def _file(self, voice: str, recording: str) -> SheetFile:
        self.audio(voice, recording)
        return SheetFile(self._voices.get(voice), recording)

    def _review(self, voice: str, recording: str) -> Path:
        return self._file(voice, recording).file(".clean.review.json")
