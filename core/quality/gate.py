"""The job "qa": measure every clip, judge it, look at the set, propose verdicts, write the report."""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import atomic
from core.dataset.clips import Clip
from core.dataset.history import RecordedTable
from core.dataset.voices import Voice, VoiceStore
from core.errors import BadInput
from core.paths import unique_path
from core.quality import phonemes
from core.quality.cache import FigureCache
from core.quality.figures import ClipFigures
from core.quality.findings import (
    CLIP_CODES,
    ClipFinding,
    Finding,
    Surroundings,
    clip_findings,
    gathered,
    verdict_of,
)
from core.quality.items import Item, folder_items, voice_items
from core.quality.measuring import measured
from core.quality.options import QaOptions, parse_qa_options
from core.quality.report import Report, write_report
from core.quality.set_figures import Member, SetFigures, set_figures, set_findings
from core.quality.speakers import Embedder, choose
from core.quality.surroundings import surroundings
from core.quality.text_match import language_of
from core.quality.texts import pick_language, said
from core.quality.thresholds import parse_thresholds

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_MEASURE_SHARE = 0.6  # recognising takes the rest, if it is asked for
_LISTEN_SHARE = (0.6, 0.98)


@dataclass(frozen=True)
class _Place:
    """Where a run keeps its things."""

    title: str
    cache: Path
    details: Path
    reports: Path
    voice: Voice | None


def run_qa(params: dict[str, Any], ctx: "JobContext") -> dict[str, Any]:
    """Judge the clips of a voice, or the audio files of a folder.

    `params`: `voice` (name) or `folder` (path); `preset` "svc" or "tts"; `thresholds` (changes to the preset); and
    the fields of `QaOptions`. With `apply`, the proposed verdicts go into the voice's table as one step that can be
    undone; a person's verdicts stay. Clips measured before are not measured again.

    Returns `clips`, `accepted`, `review`, `rejected` (as proposed; a person's own counts where there is one),
    `minutes` (accepted), `measured` (anew in this run), `changed` (verdicts changed by `apply`), `set`, `findings`
    (each with `title`, `why`, `advice`, `figures` in words), `thresholds`, `not_measured` (what and why),
    `report` (HTML), `details` (JSON: all this and every clip's figures and findings), `seconds`.

    Raises BadInput (options, no clips), NotFound (voice), NoSpace, Cancelled.
    """
    started = time.monotonic()
    options = parse_qa_options(
        {k: v for k, v in params.items() if k not in ("voice", "folder", "preset", "thresholds")}
    )
    embedder = choose(options.speaker, ctx.settings)  # a wrong name must not end as "cannot be read" at every clip
    limits = parse_thresholds(str(params.get("preset") or "svc"), params.get("thresholds"))
    if options.report:
        atomic.check_target(Path(options.report).expanduser())
    place, items = _find(params, options, ctx)
    figures, problems, n_new = _measure(place, items, embedder, options, ctx)
    heard = place.cache.with_name("heard.json")
    around, not_measured = surroundings(items, figures, embedder, limits, options, heard, ctx.sub(*_LISTEN_SHARE))
    by_clip = {
        item.id: clip_findings(figures[item.id], item.text, around[item.id], limits)
        if item.id in figures
        else [ClipFinding("unreadable", "reject", params={"problem": problems[item.id]})]
        for item in items
    }
    proposals = {item.id: _proposal(item, by_clip[item.id]) for item in items}
    whole, spoken = _whole(items, figures, proposals, around, options)
    if not whole.phonemes:
        not_measured["phonemes"] = "no texts in a known language (text_language)"
    remarks = set_findings(whole, limits, phonemes.missing(whole.phonemes, spoken))
    language = pick_language(options.language, ctx.settings.language)
    result: dict[str, Any] = {
        "voice": place.voice.name if place.voice else None,
        "title": place.title,
        "preset": str(params.get("preset") or "svc"),
        "clips": len(items),
        **_counts(proposals),
        "minutes": whole.accepted_minutes,
        "measured": n_new,
        "not_measured": not_measured,
        "set": asdict(whole),
        "findings": [_in_words(one, language) for one in remarks + gathered(by_clip)],
        "thresholds": limits.model_dump(),
    }
    rows = [_row(item, figures.get(item.id), by_clip[item.id], proposals[item.id], around) for item in items]
    ctx.progress(_LISTEN_SHARE[1], "Report")
    result["report"] = str(_report(place, options, result, rows, language))
    result["changed"] = _apply(place, by_clip) if options.apply and place.voice else 0
    result["details"] = str(place.details)
    result["seconds"] = round(time.monotonic() - started, 2)
    atomic.write_json(place.details, {**result, "rows": rows})
    ctx.report(1.0, "")
    return result


def _find(params: Mapping[str, Any], options: QaOptions, ctx: "JobContext") -> tuple[_Place, list[Item]]:
    if bool(params.get("voice")) == bool(params.get("folder")):
        raise BadInput("The quality gate wants a voice or a folder.", "Name one of the two.", where="voice")
    if params.get("voice"):
        voice = VoiceStore(ctx.settings.voices_dir).get(str(params["voice"]))
        home = voice.path / "reports"
        return _Place(voice.name, home / "figures.jsonl", home / "quality.json", home, voice), voice_items(voice)
    if options.apply:
        raise BadInput(
            "Verdicts are kept for the clips of a voice, not for a folder.", "Leave out apply.", where="apply"
        )
    folder = Path(str(params["folder"])).expanduser().resolve()
    items = folder_items(folder, ctx)
    home = ctx.settings.cache_dir / "quality" / _folder_key(folder)
    return _Place(folder.name, home / "figures.jsonl", home / "quality.json", home, None), items


def _folder_key(folder: Path) -> str:
    """A short name for a folder's cache."""
    return hashlib.sha256(str(folder).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _measure(
    place: _Place, items: list[Item], embedder: Embedder, options: QaOptions, ctx: "JobContext"
) -> tuple[dict[str, ClipFigures], dict[str, str], int]:
    """(figures by clip, why there are none by clip, how many contents were measured now)."""
    part = ctx.sub(0.0, _MEASURE_SHARE)
    problems: dict[str, str] = {}
    with FigureCache(place.cache, embedder.name) as cache:
        todo = {item.sha256: item.path for item in items if cache.get(item.sha256) is None}
        part.progress(0.0, f"Measuring {len(todo)} of {len(items)} clips")
        for n_done, (sha256, outcome) in enumerate(measured(todo, embedder, part, options.workers), start=1):
            if isinstance(outcome, str):
                problems[sha256] = outcome
            else:
                cache.put(sha256, outcome)
            part.progress(n_done / len(todo), f"Measured {n_done} of {len(todo)} clips")
        cache.tidy(item.sha256 for item in items)
        figures = {item.id: _merged(found, item.clip) for item in items if (found := cache.get(item.sha256))}
    return figures, {i.id: problems[i.sha256] for i in items if i.id not in figures}, len(todo) - len(problems)


def _merged(figures: ClipFigures, clip: Clip | None) -> ClipFigures:
    """A prepared clip's noise and clipping were measured in its recording, with the pauses around it and before its
    level was changed: those figures know more. Of the two that for clipping the worse counts."""
    if clip is None:
        return figures
    clipped = max(clip.clipped_fraction, figures.clipped_fraction)
    return replace(figures, snr_db=clip.snr_db, clipped_fraction=clipped)


def _proposal(item: Item, findings: list[ClipFinding]) -> Clip | str:
    """The verdict that the clip would have: its row as `apply` would write it, or just the word without a row."""
    return verdict_of(findings) if item.clip is None else _judged(item.clip, findings)


def _judged(clip: Clip, findings: list[ClipFinding]) -> Clip:
    """The row with the gate's verdict and reasons; another part's reasons stay, and keep it up for review."""
    if clip.by_user:
        return clip
    kept = [reason for reason in clip.reasons if reason not in CLIP_CODES]
    verdict = verdict_of(findings)
    if kept and verdict == "accepted":
        verdict = "review"
    return replace(clip, verdict=verdict, reasons=list(dict.fromkeys([*(one.code for one in findings), *kept])))


def _verdict(proposal: Clip | str) -> str:
    return proposal if isinstance(proposal, str) else proposal.verdict


def _counts(proposals: Mapping[str, Clip | str]) -> dict[str, int]:
    counts = Counter(_verdict(one) for one in proposals.values())
    return {verdict: counts[verdict] for verdict in ("accepted", "review", "rejected")}


def _whole(
    items: list[Item],
    figures: dict[str, ClipFigures],
    proposals: Mapping[str, Clip | str],
    around: Mapping[str, Surroundings],
    options: QaOptions,
) -> tuple[SetFigures, str]:
    """The set's figures, and the language that its sounds were counted in ("" for none)."""
    members = [
        Member(
            item.source,
            item.text,
            item.speaker,
            _verdict(proposals[item.id]) == "accepted",
            figures[item.id],
            around[item.id].language or language_of(item.text),
        )
        for item in items
        if item.id in figures
    ]
    texts = [one.text for one in members if one.accepted and one.text]
    heard = next((one.expected_language for one in around.values()), "")
    spoken = options.text_language or language_of(" ".join(texts)) or heard
    return set_figures(members, phonemes.count(texts, spoken)), spoken


def _apply(place: _Place, by_clip: Mapping[str, list[ClipFinding]]) -> int:
    """Write the proposals into the table as it is by now: clips that came meanwhile were not judged and stay."""
    assert place.voice is not None
    changed = 0

    def change(clips: list[Clip]) -> list[Clip]:
        nonlocal changed
        judged = [_judged(clip, by_clip[clip.id]) if clip.id in by_clip else clip for clip in clips]
        changed = sum(a.verdict != b.verdict for a, b in zip(clips, judged, strict=True))
        return judged

    RecordedTable(place.voice, "qa").update(change)
    return changed


def _in_words(finding: Finding, language: str) -> dict[str, Any]:
    return {**asdict(finding), **asdict(said(finding, language))}


def _row(
    item: Item,
    figures: ClipFigures | None,
    findings: list[ClipFinding],
    proposal: Clip | str,
    around: Mapping[str, Surroundings],
) -> dict[str, Any]:
    """One clip in the details file; the packed vectors are left out."""
    shown = asdict(figures) if figures else {}
    for hidden in ("fingerprint", "speaker"):
        shown.pop(hidden, None)
    return {
        "id": item.id,
        "name": item.name,
        "audio": str(item.path),
        "source": item.source,
        "text": item.text,
        "verdict": _verdict(proposal),
        "by_user": bool(item.clip and item.clip.by_user),
        "figures": shown,
        "around": asdict(around[item.id]),
        "findings": [asdict(one) for one in findings],
    }


def _report(
    place: _Place, options: QaOptions, result: dict[str, Any], rows: list[dict[str, Any]], language: str
) -> Path:
    if options.report:
        target = Path(options.report).expanduser()
    else:
        target = unique_path(place.reports / f"quality_{time.strftime('%Y-%m-%d_%H%M%S')}.html")
    write_report(target, Report(place.title, language, result, rows))
    return target
