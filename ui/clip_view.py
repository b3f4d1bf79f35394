"""What the Dataset page shows of clips: summary, table, and one clip in detail."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import StudioError
from ui.controls import clock, esc, number, problem_html, state_badge
from ui.pager import pager_html
from ui.players import Source, player_html
from ui.plots import histogram_svg
from ui.texts import Texts

if TYPE_CHECKING:
    from core.dataset.clips import Clip
    from core.studio import Studio

PER_PAGE = 100
VERDICTS = ("accepted", "review", "rejected")


@dataclass(frozen=True)
class View:
    """Which clips a session looks at: a choice (see ``filtered``) with its title, a page, how much can be undone."""

    choice: str = "all"
    page: int = 0
    marked: frozenset[str] = frozenset()
    title: str = ""
    undo: int = 0
    redo: int = 0


def summary_html(t: Texts, clips: "Sequence[Clip]") -> str:
    """Minutes accepted, counts by verdict, histogram of lengths, and what the figures mean for training."""
    if not clips:
        return ""
    accepted = [c for c in clips if c.verdict == "accepted"]
    total_s = sum(c.duration_s for c in accepted)
    counts = Counter(c.verdict for c in clips)
    figures = "".join(
        f'<div><b>{value}</b><span>{esc(label)}</span></div>' for value, label in (
            (number(total_s / 60), t("dataset.minutes")),
            (counts["accepted"], t("state.accepted")),
            (counts["review"], t("state.review")),
            (counts["rejected"], t("state.rejected")),
        ))
    longest = max(12.0, max(c.duration_s for c in clips))
    chart = histogram_svg([c.duration_s for c in accepted], 0, longest, 24, t("dataset.lengths"), "s")
    advice = t("dataset.advice_little") if total_s < 300 else t("dataset.advice_enough")
    return (f'<div class="ts-summary"><div class="ts-figures">{figures}</div>'
            f'<figure><figcaption>{esc(t("dataset.lengths"))}</figcaption>{chart}</figure>'
            f'<p class="ts-muted">{esc(advice)}</p></div>')


def filtered(clips: "Sequence[Clip]", choice: str, marked: "Collection[str]") -> "list[Clip]":
    """The clips of a choice: "all", a verdict, or (any other word) those in ``marked``."""
    if choice == "all":
        return list(clips)
    if choice in VERDICTS:
        return [clip for clip in clips if clip.verdict == choice]
    return [clip for clip in clips if clip.id in marked]


def clip_table(t: Texts, clips: "Sequence[Clip]", view: View) -> str:
    """One page of clips, with what chooses which of them are shown, and what judges all of these at once."""
    if not clips:
        return (f'<div class="ts-empty ts-empty-box"><p>{esc(t("dataset.no_clips"))}</p>'
                f'<p class="ts-muted">{esc(t("dataset.no_clips_hint"))}</p></div>')
    counts: Counter[str] = Counter(c.verdict for c in clips)
    chosen = filtered(clips, view.choice, view.marked)
    page = max(0, min(view.page, (len(chosen) - 1) // PER_PAGE))
    switches = [("all", t("dataset.filter_all"), len(clips)), *((v, t(f"state.{v}"), counts[v]) for v in VERDICTS)]
    if view.choice not in ("all", *VERDICTS):
        switches.append((view.choice, view.title, len(chosen)))
    filters = "".join(
        f'<button type="button" class="ts-seg" data-act="filter" data-choice="{esc(name)}" '
        f'aria-pressed="{"true" if name == view.choice else "false"}">{esc(label)} {n}</button>'
        for name, label, n in switches)
    head = "".join(f'<th scope="col"{cls}>{esc(t(f"clip.{name}"))}</th>' for name, cls in (
        ("name", ""), ("text", ""), ("length", ' class="ts-num"'), ("lufs", ' class="ts-num"'),
        ("snr", ' class="ts-num"'), ("peak", ' class="ts-num"'), ("verdict", ""), ("reason", "")))
    rows = "".join(_row(t, clip) for clip in chosen[page * PER_PAGE : (page + 1) * PER_PAGE])
    return (f'<div class="ts-table-head"><div class="ts-segs" role="group" aria-label="{esc(t("dataset.filter"))}">'
            f'{filters}</div>{pager_html(t, page, len(chosen), PER_PAGE)}</div>'
            f'<div class="ts-table-head"><span>{_bulk(t, len(chosen), view)}</span>'
            f'<span class="ts-muted">{esc(t("dataset.keys"))}</span></div>'
            f'<div class="ts-table-box"><table class="ts-table" aria-label="{esc(t("dataset.clips"))}" '
            f'role="grid" aria-multiselectable="true"><thead><tr>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def _bulk(t: Texts, n: int, view: View) -> str:
    acts = (
        ("accepted", t("dataset.keep_all", n=n), n > 0), ("rejected", t("dataset.reject_all", n=n), n > 0),
    )  # fmt: skip
    buttons = "".join(
        f'<button type="button" class="ts-btn" data-act="all" data-verdict="{verdict}"{"" if on else " disabled"}>'
        f"{esc(label)}</button> "
        for verdict, label, on in acts)
    for name, n_steps in (("undo", view.undo), ("redo", view.redo)):
        buttons += (f'<button type="button" class="ts-btn" data-act="{name}"{"" if n_steps else " disabled"}>'
                    f'{esc(t(f"clip.{name}"))}</button> ')
    return buttons


def _row(t: Texts, clip: "Clip") -> str:
    name = clip_name(clip)
    reasons = ", ".join(t.of("reason", r) for r in clip.reasons)
    if clip.by_user:
        reasons = t("clip.by_you") + (f" ({reasons})" if reasons else "")
    return (
        f'<tr data-id="{esc(clip.id)}" data-verdict="{esc(clip.verdict)}" tabindex="-1" aria-selected="false">'
        f'<td class="ts-ell" title="{esc(clip.audio)}">{esc(name)}</td>'
        f'<td class="ts-ell" title="{esc(clip.text)}">{esc(clip.text)}</td>'
        f'<td class="ts-num">{number(clip.duration_s)} s</td>'
        f'<td class="ts-num">{number(clip.lufs)}</td><td class="ts-num">{number(clip.snr_db, 0)}</td>'
        f'<td class="ts-num">{number(clip.peak_db)}</td><td>{state_badge(t, clip.verdict)}</td>'
        f'<td class="ts-ell ts-muted" title="{esc(reasons)}">{esc(reasons)}</td></tr>')


def clip_detail(t: Texts, studio: "Studio", voice: str, clip: "Clip | None") -> str:
    """One clip: waveform, player, figures, and the buttons that judge it."""
    if clip is None:
        return f'<div class="ts-detail ts-empty">{esc(t("clip.choose"))}</div>'
    try:
        player = player_html(t, [Source(clip_name(clip), clip_path(studio, voice, clip))])
    except StudioError as error:
        return problem_html(t, error.to_dict())
    name = clip_name(clip)
    place = t("clip.place", start=clock(clip.start_s), end=clock(clip.end_s))
    buttons = (
        f'<button type="button" class="ts-btn" data-clip-verdict="accepted">{esc(t("clip.keep"))}</button>'
        f'<button type="button" class="ts-btn" data-clip-verdict="rejected">{esc(t("clip.reject"))}</button>'
        f'<button type="button" class="ts-btn" data-clip-step="-1">{esc(t("clip.previous"))}</button>'
        f'<button type="button" class="ts-btn" data-clip-step="1">{esc(t("clip.next"))}</button>')
    text = f'<p class="ts-about">{esc(clip.text)}</p>' if clip.text else ""
    return (f'<div class="ts-detail"><div class="ts-detail-head"><b class="ts-ell">{esc(name)}</b>'
            f'<span class="ts-muted ts-ell ts-grow">{esc(place)}</span>{buttons}</div>'
            f"{player}{text}{_clip_findings(t, studio, voice, clip)}</div>")


def _clip_findings(t: Texts, studio: "Studio", voice: str, clip: "Clip") -> str:
    """What the quality check found in this clip: why it matters, what to do."""
    lines = "".join(
        f'<li><b>{esc(one["title"])}</b> {esc(one["figures"])} <span class="ts-muted">{esc(one["why"])} '
        f'{esc(one["advice"])}</span></li>'
        for one in studio.dataset.clip_findings(voice, clip.id, t.lang))
    return f'<ul class="ts-clip-findings">{lines}</ul>' if lines else ""


def clip_name(clip: "Clip") -> str:
    """What a person knows the clip by: its recording and where in it the clip begins."""
    if not clip.source:
        return Path(clip.audio).name
    return f"{Path(clip.source).name} {clock(clip.start_s)}"


def clip_path(studio: "Studio", voice: str, clip: "Clip") -> Path:
    """Where the clip's audio lies."""
    return studio.settings.voices_dir / voice / clip.audio
