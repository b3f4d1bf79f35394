"""A cutting into a voice: clips with text in its table, measured and judged, so that training takes them."""

import contextlib
import hashlib
import itertools
import json
import math
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import atomic
from core.cutting import together
from core.cutting.cutter import Cut, padded
from core.cutting.options import CutOptions
from core.cutting.outputs import explained
from core.cutting.voice_lists import lists_with
from core.dataset.clips import SILENCE_DB, SILENCE_LUFS, Clip, ClipTable, Verdict
from core.dataset.importing import file_sha256
from core.dataset.manifest import manifest_path
from core.dataset.options import parse_options
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput, is_no_space, no_space
from core.paths import safe_name
from core.subtitles.cue import Cue

_ID_CHARS = 16
_STEM_CHARS = 40
_RESERVE_BYTES = 64 << 20


def recording_of(store: VoiceStore, voice: Voice, audio: Path) -> str:
    """The name of `audio` among the voice's recordings, where it is imported if it is not there.

    A clip whose recording is not there would be lost when the voice is prepared again. Raises BadInput, NoSpace.
    """
    raw = voice.raw.resolve()
    if audio.resolve().is_relative_to(raw):
        return audio.resolve().relative_to(raw).as_posix()
    report = store.import_recordings(voice, [audio])
    if report.added:
        return report.added[0].resolve().relative_to(raw).as_posix()
    size, digest = audio.stat().st_size, file_sha256(audio)
    for path in sorted(voice.raw.rglob("*")):
        if path.is_file() and path.stat().st_size == size and file_sha256(path) == digest:
            return path.relative_to(voice.raw).as_posix()
    raise BadInput(f"{audio.name} cannot be taken into the voice. {report.skipped[0][1]}", where=str(audio))


def sound_of(voice: Voice, source: str) -> tuple[Path, list[str]]:
    """(the file to cut, what to tell): the recording's cleaned copy, as far as its times are the recording's."""
    from core.cleaning import record

    cleaned = record.read(voice, source)
    used = cleaned.steps[: cleaned.active] if cleaned else []
    same_times = list(itertools.takewhile(lambda step: step.name != "trim", used))
    told = []
    if len(same_times) < len(used):
        left_out = ", ".join(step.name for step in used[len(same_times) :])
        told.append(f"Trimming moves all times, so these steps of the cleaning were not used here: {left_out}.")
    path = record.folder_of(voice, source) / same_times[-1].file if same_times else voice.raw / source
    return path, told


class VoiceTarget:
    """Where the clips of one run go. Use as a context manager; without `finish` nothing of it stays."""

    def __init__(self, voice: Voice, source: str, options: CutOptions) -> None:
        self._voice = voice
        self._source = source
        self._options = options
        self._rules = parse_options({"rate_hz": options.sample_rate})
        self._table = ClipTable(voice)
        self._new: list[Path] = []

    def __enter__(self) -> "VoiceTarget":
        self._table.load()  # a damaged table is told before the work
        self._voice.sliced.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for path in self._new:
            path.unlink(missing_ok=True)

    def need(self, seconds: float) -> None:
        """Raises NoSpace if `seconds` of clips do not fit on the disk."""
        need = round(seconds * self._options.sample_rate * 2) + _RESERVE_BYTES
        if shutil.disk_usage(self._voice.sliced).free < need:
            raise no_space(None, need, self._voice.sliced)

    def write(self, cut: Cut, cue: Cue) -> dict[str, Any]:
        """Measure, level (as a preparation does) and write one clip, named by its content. Raises NoSpace."""
        from core.audio.encode import wav_bytes
        from core.audio.loudness import normalize
        from core.audio.quality import measure
        from core.dataset.verdict import judge

        rate = self._options.sample_rate
        quality = measure(cut.audio, rate)
        audio = cut.audio
        if quality.peak_db > -80.0:
            known = quality.lufs if math.isfinite(quality.lufs) else None
            audio = normalize(audio, rate, self._rules.target_lufs, self._rules.true_peak_dbtp, loudness=known)
        audio = padded(audio, self._options.silence_ms, rate)
        data = wav_bytes(audio, rate)
        digest = hashlib.sha256(data).hexdigest()
        stem = safe_name(Path(self._source).stem[:_STEM_CHARS], "clip")
        target = self._voice.sliced / f"{stem}_{digest[:_ID_CHARS]}.wav"
        if not (target.is_file() and file_sha256(target) == digest):
            self._new.append(target)
            _put(target, data)
        verdict, reasons = judge(quality, self._rules)
        duration = round(audio.size / rate, 4)
        clip = Clip(
            id=digest[:_ID_CHARS],
            audio=target.relative_to(self._voice.path).as_posix(),
            source=self._source,
            start_s=round(cut.plan.start_s, 4),
            end_s=round(cut.plan.end_s, 4),
            duration_s=duration,
            lufs=round(max(SILENCE_LUFS, quality.lufs), 2),
            peak_db=round(max(SILENCE_DB, quality.peak_db), 2),
            snr_db=round(quality.snr_db, 1),
            clipped_fraction=round(quality.clipped_fraction, 6),
            sha256=digest,
            text=cue.text,
            speaker=self._options.speaker or cue.speaker,
            language=self._options.language,
            verdict=verdict,
            reasons=reasons,
        )
        return {"clip": clip, "bandwidth_hz": quality.bandwidth_hz, "duration": duration, "plan": cut.plan}

    def finish(self, made: Sequence[dict[str, Any]], report: dict[str, Any]) -> dict[str, Any]:
        """Put the clips into the table. They replace those of the same recording, unless the options say append; a
        person's verdicts stay with clips whose audio is the same. Raises NoSpace, Conflict."""
        from core.dataset.verdict import recording_is_narrow

        clips = list({item["clip"].id: item["clip"] for item in made}.values())
        if recording_is_narrow([item["bandwidth_hz"] for item in made]):
            clips = [_narrow(clip) for clip in clips]
        by_position = {entry["position"]: entry for entry in report["cues"]}
        for item in made:
            by_position[item["plan"].position]["audio"] = str(self._voice.path.resolve() / item["clip"].audio)
        path = self._voice.transcripts / f"{safe_name(Path(self._source).stem, 'recording')}.cuts.json"
        before, listed, lists = self._listed(clips, path, report)
        here = [clip for clip in listed if clip.id in {made.id for made in clips}]
        kept = {clip.audio for clip in listed}
        for clip in before:
            if clip.audio not in kept:
                (self._voice.path / clip.audio).unlink(missing_ok=True)
        counts = {v: sum(clip.verdict == v for clip in here) for v in ("accepted", "review", "rejected")}
        return {
            "voice": self._voice.name,
            "table": str(self._table.path),
            "manifest": str(manifest_path(self._voice)),
            "report": str(path),
            **lists,
            **counts,
        }

    def _listed(
        self, clips: list[Clip], path: Path, report: dict[str, Any]
    ) -> tuple[list[Clip], list[Clip], dict[str, str | None]]:
        """Change the table, with the report and what other studios read: (the clips before, after, what was made).

        All that needs space is on the disk before the table changes, and takes its place after it by renames.
        """
        before: list[Clip] = []
        lists: dict[str, str | None] = {}
        try:
            with contextlib.ExitStack() as places:
                together.sync(self._new)
                temp = places.enter_context(atomic.file(path))
                temp.write_text(json.dumps(report, ensure_ascii=False, allow_nan=False), "utf-8")
                atomic.fsync_file(temp)

                def change(current: list[Clip]) -> list[Clip]:
                    before.extend(current)
                    merged = self._merged(clips, current)
                    lists.update(places.enter_context(lists_with(self._voice, merged, self._options)))
                    return merged

                listed = self._table.update(change)
                self._new = []
        except OSError as err:
            raise explained(err, self._voice.path) from err
        return before, listed, lists

    def _merged(self, clips: list[Clip], current: list[Clip]) -> list[Clip]:
        same = {clip.sha256: clip for clip in current}
        mine = []
        for clip in clips:
            was = same.get(clip.sha256)
            kept = was is not None and was.by_user
            mine.append(replace(clip, verdict=was.verdict, by_user=True) if was is not None and kept else clip)
        ids = {clip.id for clip in mine}
        others = [
            clip for clip in current if clip.id not in ids and (clip.source != self._source or self._options.append)
        ]
        return sorted([*mine, *others], key=lambda clip: (clip.source, clip.start_s))


def _put(target: Path, data: bytes) -> None:
    """Put a clip at its place whole; thousands of them are forced to the disk together later."""
    # The thread is in the name: two cues may sound the same, and two threads write them.
    mark = f"{os.getpid()}-{threading.get_native_id()}"
    temp = target.with_name(f".tmp-{mark}-{target.stem[-_ID_CHARS:]}{target.suffix}")
    try:
        temp.write_bytes(data)
        temp.replace(target)
    except OSError as err:
        temp.unlink(missing_ok=True)
        if is_no_space(err):
            raise no_space(err, None, target) from err
        raise


def _narrow(clip: Clip) -> Clip:
    verdict: Verdict = "rejected" if clip.verdict == "rejected" else "review"
    return replace(clip, verdict=verdict, reasons=[*clip.reasons, "narrow_band"])
