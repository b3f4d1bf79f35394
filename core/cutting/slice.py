"""The job "slice": a recording and its subtitles become clips with text, in a folder or in a voice.

One pass over the audio: while it is decoded, threads take chapters of about a minute, find the speech of their cues and
write the clips. Only with `fix_timing` it is heard once more before, because a correction must be known first.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.cutting.options import CutOptions, parse_options
from core.cutting.plan import CuePlan, refusal
from core.cutting.summary import summary
from core.errors import BadInput
from core.subtitles.cue import Cue, Finding
from core.subtitles.recognition import is_sound, made_up, repeats

if TYPE_CHECKING:
    from core.cutting.chapters import Chapter
    from core.cutting.cutter import Heard
    from core.cutting.offset import Correction
    from core.cutting.outputs import FolderTarget
    from core.cutting.voice_target import VoiceTarget
    from core.jobs.context import JobContext

__all__ = ["CutOptions", "parse_options", "run_slice"]

_HEARING_SHARE = 0.4  # of the time, where the file is heard before it is cut
_MAX_THREADS = 4
_SHOWN = 3
Result = TypeVar("Result")


def run_slice(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Cut a recording by its subtitles.

    `params`: `audio`, `subs` (paths), `out` (a folder) or `voice` (a name), `options` (see `CutOptions`). Into a folder
    go `0001.wav` ..., `train.jsonl`, `gpt_sovits.list`, `report.json`; into a voice its table of clips, and the report
    beside its transcripts.

    Returns `clips`, `minutes`, `cues`, `not_cut`, `by_subtitle` (no speech found), `correction` (None, or `offset_s`,
    `drift`, `confidence`, `applied`: true time = drift * subtitle time + offset_s), `summary`, `findings` (of the
    parser, and of cues that could not be cut whole), `warnings`, `report`, `manifest` and `list` (paths), `seconds`;
    with a folder `out`, `dataset` (all that is in it now), with a voice `voice`, `table`, `sovits`, `accepted`,
    `review`, `rejected`.

    The report's `cues` hold for every cue: `index` (the file's number, or its place from 1), `cue_start_s`,
    `cue_end_s` (after a correction that was applied), `start_s`, `end_s` (of the cut in the recording, without the
    silence around it), `source` ("vad" or "subtitle"), `shift_start_ms`, `shift_end_ms`, `level_db` (RMS, dBFS; None
    where nothing was cut), `text`, `audio` (path; None where nothing was cut), `warnings`.

    Raises BadInput, NotFound (voice), Conflict (a dataset is there), NoSpace, Cancelled, Unavailable.
    """
    started = time.monotonic()
    options = parse_options(params.get("options"))
    audio, subs = _file(params, "audio"), _file(params, "subs")
    if bool(params.get("out")) == bool(params.get("voice")):
        raise BadInput("Cutting needs a folder or a voice, one of the two.", "Name where the clips go.", where="out")
    cues, findings = _cues(subs, options)
    times = np.array([(cue.start_ms / 1000.0, cue.end_ms / 1000.0) for cue in cues])
    make_target, sound, told = _place(params, audio, options, ctx)
    correction = None
    if options.fix_timing:
        correction = _hear(sound, times, ctx.sub(0.0, _HEARING_SHARE))
        times = correction.apply(times) if correction else times
        ctx = ctx.sub(_HEARING_SHARE, 1.0)
    with make_target() as target:
        target.need(float((times[:, 1] - times[:, 0]).clip(0.0, 60.0).sum()) + len(cues) * options.silence_ms / 500.0)
        run = _Run(sound, cues, times, options, target)
        run.recording.warnings += told
        run.go(ctx)
        if not options.fix_timing:
            correction = run.correction()
        report = _report(audio, subs, options, run, correction, findings)
        if not run.made:
            raise BadInput(
                f"None of the {len(cues)} cues could be cut. {_why(run)}",
                "Check that the subtitles belong to this recording.",
                where=str(subs),
            )
        places = target.finish(run.made, report)
    ctx.report(1.0, "")
    return {
        "clips": len(run.made),
        "minutes": report["summary"]["minutes"],
        "cues": len(cues),
        "not_cut": len(cues) - len(run.made),
        "by_subtitle": sum(item["plan"].source == "subtitle" for item in run.made),
        "correction": report["correction"],
        "summary": report["summary"],
        "findings": report["findings"],
        "warnings": report["warnings"],
        **places,
        "seconds": round(time.monotonic() - started, 2),
    }


def _file(params: dict[str, Any], name: str) -> Path:
    given = str(params.get(name) or "")
    if not given:
        raise BadInput(f"Cutting needs {name}.", "Choose a recording and its subtitles.", where=name)
    return Path(given)


def _cues(subs: Path, options: CutOptions) -> tuple[list[Cue], list[dict[str, Any]]]:
    """The cues to cut and the parser's findings, whose `cue` is the place in that list."""
    from core.subtitles.merge import merge_with_spans
    from core.subtitles.options import MergeOptions
    from core.subtitles.parse import read

    parsed = read(subs)
    cues, findings = parsed.cues, parsed.findings
    if options.merge and cues:
        merged = merge_with_spans(cues, MergeOptions(glossary=options.glossary))
        place = {old: new for new, (low, high) in enumerate(merged.spans) for old in range(low, high + 1)}
        moved = [Finding(f.line, None if f.cue is None else place.get(f.cue), f.code, f.message) for f in findings]
        cues, findings = merged.cues, [*moved, *merged.findings]
    if not cues:
        shown = " ".join(finding.message for finding in findings[:_SHOWN])
        raise BadInput(f"There are no subtitles in {subs.name}. {shown}", "Choose another file.", where=str(subs))
    order = sorted(range(len(cues)), key=lambda at: cues[at].start_ms)
    rank = {old: new for new, old in enumerate(order)}
    told = [
        {"line": f.line, "cue": None if f.cue is None else rank.get(f.cue), "code": f.code, "message": f.message}
        for f in findings
    ]
    return [cues[at] for at in order], told


def _place(
    params: dict[str, Any], audio: Path, options: CutOptions, ctx: "JobContext"
) -> "tuple[Callable[[], FolderTarget | VoiceTarget], Path, list[str]]":
    """(what makes the place that clips go to, the file that is cut, what to tell of it)."""
    if params.get("out"):
        from core.cutting.outputs import FolderTarget

        return lambda: FolderTarget(Path(str(params["out"])), audio.name, options), audio, []
    from core.cutting.voice_target import VoiceTarget, recording_of, sound_of
    from core.dataset.voices import VoiceStore

    store = VoiceStore(ctx.settings.voices_dir)
    voice = store.get(str(params["voice"]))
    source = recording_of(store, voice, audio)
    sound, told = (audio, []) if options.use_original else sound_of(voice, source)
    return lambda: VoiceTarget(voice, source, options), sound, told


class _Run:
    """The pass over the recording: what was made, what was heard."""

    def __init__(
        self,
        audio: Path,
        cues: list[Cue],
        times: NDArray[np.float64],
        options: CutOptions,
        target: "FolderTarget | VoiceTarget",
    ) -> None:
        from core.cutting.chapters import Recording
        from core.cutting.offset import Activity

        self.cues, self.times, self.target, self._options = cues, times, target, options
        self.plans: dict[int, CuePlan] = {}
        self.levels: dict[int, float] = {}
        self.made: list[dict[str, Any]] = []
        self._activity = Activity()
        self._again = repeats([cue.text for cue in cues])
        reasons = [refusal(float(start), float(end), np.inf) for start, end in times]
        sounds = "Its text describes a sound that nobody speaks: not cut."
        reasons = [why or (sounds if is_sound(cue.text) else "") for why, cue in zip(reasons, cues, strict=True)]
        for position, reason in enumerate(reasons):
            if reason:
                start, end = (float(at) for at in times[position])
                self.plans[position] = CuePlan(position, start, max(start, end), "subtitle", [reason], cut=False)
        self._kept = [position for position, reason in enumerate(reasons) if not reason]
        self.recording = Recording(audio, times[self._kept], options.buffer_ms / 1000.0)

    def go(self, ctx: "JobContext") -> None:
        """Cut everything."""
        for done, heard in _in_threads(self._one, self.recording.chapters(ctx), ctx):
            for plan, level_db, made in done:
                self.plans[plan.position], self.levels[plan.position] = plan, level_db
                self.made += [made] if made else []
            for start_s, probabilities in heard:
                self._activity.add(start_s, probabilities)
        self.made.sort(key=lambda item: item["plan"].position)

    def _one(self, chapter: "Chapter") -> "tuple[list[tuple[CuePlan, float, dict[str, Any] | None]], Heard]":
        """Cut a chapter: (plan, level, what the target made) of each cue, and what was heard. No sound is kept."""
        from core.cutting.cutter import Cut, cut_chapter

        cuts, heard = cut_chapter(chapter, self.recording.times, self._options)
        done = []
        for cut in cuts:
            cut = Cut(replace(cut.plan, position=self._kept[cut.plan.position]), cut.audio)
            if self._nobody_said_it(cut.plan):
                why = "No speech is under it, and recognisers write such lines where nobody speaks: not cut."
                cut = Cut(replace(cut.plan, cut=False, warnings=[why]), cut.audio[:0])
            made = self.target.write(cut, self.cues[cut.plan.position]) if cut.audio.size else None
            done.append((cut.plan, cut.level_db, made))
        return done, heard

    def _nobody_said_it(self, plan: CuePlan) -> bool:
        again = plan.position in self._again
        return plan.cut and plan.source == "subtitle" and (again or made_up(self.cues[plan.position].text))

    def findings(self) -> list[dict[str, Any]]:
        """Of every cue that was not cut, or not to its end: why. The parser could not know where the audio ends."""
        told = []
        for position in range(len(self.cues)):
            plan, code = self.plans[position], ""
            if not plan.cut:
                code, why = "not_cut", plan.warnings[-1]
            elif self.times[position, 1] > self.recording.duration_s:
                code, why = "past_end", "It ends after the end of the audio: cut there."
            if code:
                message = f"Cue {self.name(position)}: {why}"
                told.append({"line": None, "cue": position, "code": code, "message": message})
        return told

    def name(self, position: int) -> int:
        """The number that the file gives a cue, or its place from 1."""
        index = self.cues[position].index
        return index if index is not None else position + 1

    def correction(self) -> "Correction | None":
        """What the timing of the subtitles lacks, by what was heard."""
        from core.cutting.offset import detect

        return detect(self.times, self._activity.values)


def _hear(audio: Path, times: NDArray[np.float64], ctx: "JobContext") -> "Correction | None":
    """The correction that the subtitles need, from a pass over the whole recording."""
    from core.cutting.chapters import Recording
    from core.cutting.cutter import listen
    from core.cutting.offset import Activity, detect

    activity = Activity()
    recording = Recording(audio, np.zeros((0, 2)), 0.0)
    for _, heard in _in_threads(lambda chapter: listen(chapter, []), recording.chapters(ctx), ctx):
        for start_s, probabilities in heard:
            activity.add(start_s, probabilities)
    return detect(times, activity.values)


def _in_threads(
    work: "Callable[[Chapter], Result]", chapters: "Iterable[Chapter]", ctx: "JobContext"
) -> Iterator[Result]:
    """The results of `work` in order. A few chapters are under way at once, so memory stays flat."""
    from core.cutting.speech import one_thread_each

    n = ctx.settings.threads or min(_MAX_THREADS, os.cpu_count() or 1)
    waiting: deque[Future[Result]] = deque()
    with one_thread_each(), ThreadPoolExecutor(n) as pool:
        try:
            for chapter in chapters:
                waiting.append(pool.submit(work, chapter))
                while len(waiting) > n + 1 or (waiting and waiting[0].done()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
                ctx.check()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _why(run: _Run) -> str:
    return " ".join([plan.warnings[0] for plan in run.plans.values() if plan.warnings][:1])


def _report(
    audio: Path,
    subs: Path,
    options: CutOptions,
    run: _Run,
    correction: "Correction | None",
    findings: list[dict[str, Any]],
) -> dict[str, Any]:
    warnings = list(run.recording.warnings)
    told = None
    if correction is not None:
        applied = options.fix_timing
        told = {**vars(correction), "applied": applied}
        drift = f" and drift by {(correction.drift - 1) * 3600:+.1f} s an hour" if correction.drift != 1 else ""
        warnings.append(
            f"The subtitles are off by {correction.offset_s:+.2f} s{drift}. "
            + ("This was corrected." if applied else "Cut again with the timing fixed (--fix-timing).")
        )
    return {
        "audio": str(audio.resolve()),
        "cut_from": str(run.recording.path.resolve()),
        "subtitles": str(subs.resolve()),
        "duration_s": round(run.recording.duration_s, 3),
        "options": options.model_dump(),
        "correction": told,
        "summary": summary([item["duration"] for item in run.made]),
        "warnings": warnings,
        "findings": [*findings, *run.findings()],
        "cues": [_entry(run, position, findings) for position in range(len(run.cues))],
    }


def _entry(run: _Run, position: int, findings: list[dict[str, Any]]) -> dict[str, Any]:
    cue, plan = run.cues[position], run.plans[position]
    start, end = (float(at) for at in run.times[position])
    found = [finding["message"] for finding in findings if finding["cue"] == position]
    return {
        "position": position,
        "index": run.name(position),
        "cue_start_s": round(start, 4),
        "cue_end_s": round(end, 4),
        "start_s": round(plan.start_s, 4),
        "end_s": round(plan.end_s, 4),
        "source": plan.source,
        "shift_start_ms": round((plan.start_s - start) * 1000),
        "shift_end_ms": round((plan.end_s - end) * 1000),
        "level_db": round(run.levels[position], 1) if plan.cut else None,
        "text": cue.text,
        "audio": None,
        "warnings": [*plan.warnings, *found],
    }
