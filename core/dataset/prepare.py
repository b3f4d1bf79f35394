"""The job "prep": a voice's recordings become clips with figures and verdicts, a table and a manifest.

Every recording is streamed twice, so memory does not grow with its length. Clips are files named by their content
beside the old ones, the table is replaced at the end in one step, and only then files that nobody lists any more go:
a cancelled, failed or killed preparation leaves the old table and all of its clips whole.
"""

import contextlib
import logging
import math
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.dataset.clips import Clip, ClipTable, Verdict
from core.dataset.manifest import manifest_path
from core.dataset.options import PrepareOptions, parse_options
from core.dataset.verdict import recording_is_narrow
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput, NotFound, StudioError, is_no_space, no_space

if TYPE_CHECKING:
    from core.dataset.survey import Survey
    from core.jobs.context import JobContext

__all__ = ["PrepareOptions", "parse_options", "recordings", "run_prepare"]

_log = logging.getLogger(__name__)
_SURVEY_SHARE = 0.3  # of the time that a recording takes
_RESERVE_BYTES = 64 << 20
_ORPHAN_AGE_S = 24 * 3600.0
_SHOWN_FAILURES = 3


@dataclass
class _Outcome:
    clips: list[Clip] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    new_files: list[Path] = field(default_factory=list)
    seconds: float = 0.0


def recordings(voice: Voice) -> list[str]:
    """The voice's recordings as paths relative to `raw_audio`, sorted; hidden files are none.

    Nor are names that are no Unicode, which no table could hold; importing gives files names that are.
    """
    return sorted(name for name in _present(voice) if _is_unicode(name))


def _present(voice: Voice) -> list[str]:
    if not voice.raw.is_dir():
        return []
    found = (p.relative_to(voice.raw) for p in voice.raw.rglob("*") if p.is_file())
    return [p.as_posix() for p in found if not any(part.startswith(".") for part in p.parts)]


def _is_unicode(name: str) -> bool:
    return name.encode("utf-8", "replace").decode("utf-8") == name


def run_prepare(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Make the clips of a voice.

    `params`: `voice`, `options` (see `PrepareOptions`), `files` (names of recordings to prepare again; the clips of the
    others stay). A recording that cannot be used becomes a line in `warnings`, and its earlier clips stay; the others
    go on. A person's verdicts and texts stay with clips whose audio is the same.

    Returns `voice`, `clips`, `accepted`, `review`, `rejected`, `minutes` (accepted), `minutes_in` (recordings),
    `recordings`, `failed` ({name: why}), `reasons` ({code: number of clips}), `warnings`, `table`, `manifest`,
    `seconds`.

    Raises NotFound (voice, files), BadInput (options; no recording can be used), NoSpace, Cancelled, Unavailable.
    """
    started = time.monotonic()
    options = parse_options(params.get("options"))
    voice = VoiceStore(ctx.settings.voices_dir).get(str(params.get("voice") or ""))
    sources = _chosen(voice, params.get("files"))
    table = ClipTable(voice)
    outcome = _Outcome()
    odd = [name for name in _present(voice) if not _is_unicode(name)]
    if odd:
        outcome.warnings.append(f"{len(odd)} files were left out: their names are no Unicode. Import them instead.")
    old = _old_clips(table, outcome)
    try:
        _make_clips(voice, sources, options, ctx, outcome)
        if len(outcome.failed) == len(sources):
            reasons = " ".join(list(outcome.failed.values())[:_SHOWN_FAILURES])
            many = f"None of the {len(sources)} recordings can be used. " if len(sources) > 1 else ""
            raise BadInput(many + reasons, where=str(voice.raw))
        _sync(voice, outcome.new_files)
        kept = {name for name in recordings(voice) if name not in sources or name in outcome.failed}
        clips = table.update(lambda current: _merged(outcome.clips, current, kept))
    except BaseException:
        _discard(table, outcome.new_files)  # whatever ended it, cancel included
        raise
    _remove_unlisted(voice, old, clips)
    ctx.report(1.0, "")
    return _result(voice, table, clips, sources, outcome, time.monotonic() - started)


def _chosen(voice: Voice, files: list[str] | None) -> list[str]:
    present = recordings(voice)
    if not present:
        raise BadInput(f"The voice {voice.name!r} has no recordings.", "Add some first.", where=str(voice.raw))
    if files is None:
        return present
    missing = [name for name in files if name not in present]
    if missing:
        raise NotFound(
            f"There is no recording {missing[0]!r} in the voice {voice.name!r}.",
            f"The recordings are: {', '.join(present[:10])}.",
            where=missing[0],
        )
    if not files:
        raise BadInput("No recordings were chosen.", "Choose at least one, or leave the choice out for all.")
    return sorted(set(files))


def _old_clips(table: ClipTable, outcome: _Outcome) -> list[Clip]:
    """The clips of before. A damaged table is put aside, since preparing again is how it is mended."""
    try:
        return table.load()
    except BadInput as err:
        aside = table.path.with_name("clips.damaged.jsonl")
        table.path.replace(aside)
        outcome.warnings.append(f"{err.message} It was put aside as {aside.name}; verdicts given by hand are lost.")
        return []


def _make_clips(
    voice: Voice, sources: list[str], options: PrepareOptions, ctx: "JobContext", outcome: _Outcome
) -> None:
    sizes = [max(1, _size(voice.raw / name)) for name in sources]
    total, done = sum(sizes), 0
    for number, (name, size) in enumerate(zip(sources, sizes, strict=True), start=1):
        part = ctx.sub(done / total, (done + size) / total)
        part.progress(0.0, f"{name} ({number}/{len(sources)})")
        n_files = len(outcome.new_files)
        try:
            _one_recording(voice, name, options, part, outcome)
        except (BadInput, OSError) as err:
            # One bad file never stops the others; a full disk would stop them all.
            if isinstance(err, OSError) and is_no_space(err):
                raise no_space(err, None, voice.sliced) from err
            text = str(err) if isinstance(err, StudioError) else f"{name} cannot be read: {err}."
            _log.warning("recording left out: %s", text)
            outcome.failed[name] = text
            outcome.warnings.append(text)
            _discard(ClipTable(voice), outcome.new_files[n_files:])
        done += size


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _one_recording(voice: Voice, name: str, options: PrepareOptions, ctx: "JobContext", outcome: _Outcome) -> None:
    from core.cleaning import record
    from core.dataset.cutting import cut_clips
    from core.dataset.survey import survey

    path = record.current(voice, name)  # as it was cleaned, if it was
    plan = survey(path, options, ctx.sub(0.0, _SURVEY_SHARE))
    outcome.seconds += plan.duration_s
    outcome.warnings += plan.warnings
    if not plan.cuts:
        raise _nothing(name, plan, options)
    voice.sliced.mkdir(parents=True, exist_ok=True)
    need = sum(end - start for start, end in plan.cuts) * 2 + _RESERVE_BYTES
    if shutil.disk_usage(voice.sliced).free < need:
        raise no_space(None, need, voice.sliced / "clips")
    known = {clip.id for clip in outcome.clips}
    bandwidths: list[float] = []
    clips: list[Clip] = []
    for made in cut_clips(voice, path, name, plan, options, ctx.sub(_SURVEY_SHARE, 1.0)):
        if made.is_new:
            outcome.new_files.append(voice.path / made.clip.audio)
        if made.clip.id in known:
            continue  # the very same sound twice would count twice in training
        known.add(made.clip.id)
        bandwidths.append(made.bandwidth_hz)
        clips.append(made.clip)
    if recording_is_narrow(bandwidths):
        clips = [_with_reason(clip, "narrow_band") for clip in clips]
        outcome.warnings.append(
            f"{name} holds nothing above {max(bandwidths) / 1000:.1f} kHz, like a telephone; its clips are put up "
            "for review. A voice that learns from them sounds dull: record again with a better microphone or format."
        )
    outcome.warnings += _advice(name, clips)
    outcome.clips += clips


def _with_reason(clip: Clip, reason: str) -> Clip:
    verdict: Verdict = "rejected" if clip.verdict == "rejected" else "review"
    return replace(clip, verdict=verdict, reasons=[*clip.reasons, reason])


def _nothing(name: str, plan: "Survey", options: PrepareOptions) -> BadInput:
    loudest = float(plan.envelope.rms.max())
    if loudest < 1e-3:
        return BadInput(f"{name} is silent.", "Check the microphone and its level, and record it again.", where=name)
    if options.slicer == "none":
        return BadInput(
            f"{name} is {plan.duration_s:.0f} s long, too long for one clip.", "Let it be cut at silences.", where=name
        )
    if options.slicer == "vad":
        return BadInput(f"{name}: no speech was found.", "Cut it at silences instead (singing needs that).", where=name)
    return BadInput(
        f"{name}: nothing is louder than the silence threshold ({20 * math.log10(loudest):.0f} dB at most).",
        "Lower the threshold.",
        where=name,
    )


def _advice(name: str, clips: list[Clip]) -> list[str]:
    """A sentence for what spoils many clips of a recording, with what to do about it."""
    counts = Counter(reason for clip in clips for reason in clip.reasons)
    few = max(1, len(clips) // 4)
    lines = []
    if counts["clipped"] > few or (clips and counts["clipped"] == len(clips)):
        lines.append(
            f"{name}: {counts['clipped']} of {len(clips)} clips are clipped. Record again with the level turned down."
        )
    if counts["noisy"] > few or (clips and counts["noisy"] == len(clips)):
        lines.append(
            f"{name}: {counts['noisy']} of {len(clips)} clips are noisy. Record in a quieter room, closer to the "
            "microphone, or lower the limit."
        )
    if clips and counts["too_short"] == len(clips):
        lines.append(f"{name} is shorter than the shortest clip. Add longer recordings, or allow shorter clips.")
    return lines


def _merged(made: list[Clip], current: list[Clip], kept_sources: set[str]) -> list[Clip]:
    """The new table: `made`, and the current clips of recordings that were not prepared now; a person's work stays."""
    before = {clip.sha256: clip for clip in current}
    clips = []
    for clip in made:
        was = before.get(clip.sha256)
        if was is not None:
            clip = replace(clip, text=clip.text or was.text, speaker=was.speaker, language=was.language)
            if was.by_user:
                clip = replace(clip, verdict=was.verdict, by_user=True)
        clips.append(clip)
    ids = {clip.id for clip in clips}
    clips += [clip for clip in current if clip.source in kept_sources and clip.id not in ids]
    return sorted(clips, key=lambda clip: (clip.source, clip.start_s))


def _discard(table: ClipTable, files: list[Path]) -> None:
    """Remove files that this preparation wrote, but none that the table on the disk lists."""
    listed = {clip.audio for clip in table.load()} if files else set()
    for path in files:
        if path.relative_to(table.voice.path).as_posix() not in listed:
            _unlink(path)


def _sync(voice: Voice, files: list[Path]) -> None:
    """Force new clips to the disk before the table names them."""
    for path in files:
        atomic.fsync_file(path)
    if files:
        atomic.fsync_folder(voice.sliced)


def _unlink(path: Path) -> None:
    # Windows refuses to remove what another program plays at the moment; the next preparation tries again.
    with contextlib.suppress(FileNotFoundError, PermissionError):
        path.unlink()


def _remove_unlisted(voice: Voice, old: list[Clip], clips: list[Clip]) -> None:
    """Files that the old table listed and the new one does not; and what a killed preparation left, after a day."""
    listed = {clip.audio for clip in clips}
    for clip in old:
        if clip.audio not in listed:
            _unlink(voice.path / clip.audio)
    for path in voice.sliced.glob("*_" + "[0-9a-f]" * 16 + ".wav"):
        if path.relative_to(voice.path).as_posix() not in listed and time.time() - path.stat().st_mtime > _ORPHAN_AGE_S:
            _unlink(path)


def _result(
    voice: Voice, table: ClipTable, clips: list[Clip], sources: list[str], outcome: _Outcome, seconds: float
) -> dict[str, Any]:
    counts = Counter(clip.verdict for clip in clips)
    if clips and not counts["accepted"]:
        outcome.warnings.append("No clip was accepted. Look at the reasons in the table, and keep those that are good.")
    return {
        "voice": voice.name,
        "clips": len(clips),
        "accepted": counts["accepted"],
        "review": counts["review"],
        "rejected": counts["rejected"],
        "minutes": round(sum(clip.duration_s for clip in clips if clip.verdict == "accepted") / 60.0, 3),
        "minutes_in": round(outcome.seconds / 60.0, 3),
        "recordings": len(sources),
        "failed": outcome.failed,
        "reasons": dict(Counter(reason for clip in clips for reason in clip.reasons)),
        "warnings": outcome.warnings,
        "table": str(table.path),
        "manifest": str(manifest_path(voice)),
        "seconds": round(seconds, 2),
    }
