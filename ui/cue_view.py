"""What the page Cutting draws for its script to fill: waveform, the strip that edits a cue, list, findings."""

from typing import TYPE_CHECKING, Any

from ui.controls import esc
from ui.texts import Texts

if TYPE_CHECKING:
    from core.cutting.sheet import Sheet

MOST_FINDINGS = 200

# (action, label, key that does the same)
_ACTS = (
    ("play", "cue.play", "Space"), ("split", "cue.split", "S"), ("merge", "cue.merge", "M"),
    ("delete", "cue.delete", "Del"), ("accept", "cue.accept", "A"), ("reject", "cue.reject", "R"),
    ("undo", "cue.undo", "Ctrl+Z"), ("redo", "cue.redo", "Ctrl+Y"),
)  # fmt: skip
_ZOOMS = (("out", "cue.zoom_out", "−"), ("in", "cue.zoom_in", "+"), ("whole", "cue.zoom_whole", "⤢"))


def desk_html(t: Texts) -> str:
    """The desk without content; ``TS.openDesk`` brings it to life."""
    acts = "".join(
        f'<button type="button" class="ts-btn" data-do="{name}" title="{esc(t(key))} ({esc(hotkey)})" disabled>'
        f"{esc(t(key))}</button>"
        for name, key, hotkey in _ACTS
    )
    zooms = "".join(
        f'<button type="button" class="ts-btn" data-do="{name}" aria-label="{esc(t(key))}" title="{esc(t(key))}">'
        f"{sign}</button>"
        for name, key, sign in _ZOOMS
    )
    heads = "".join(
        f'<span role="columnheader"{cls}>{esc(t(key))}</span>'
        for key, cls in (
            ("cue.number", ' class="ts-num"'), ("cue.start", ' class="ts-num"'), ("cue.end", ' class="ts-num"'),
            ("cue.length", ' class="ts-num"'), ("cue.text", ""), ("cue.notes", ""), ("cue.state", ""),
        )
    )  # fmt: skip
    return (
        '<div class="ts-desk ts-none">'
        f'<canvas class="ts-overview" data-desk="overview" role="img" aria-label="{esc(t("cue.overview"))}"></canvas>'
        f'<div class="ts-view"><canvas data-desk="view" role="img" aria-label="{esc(t("cue.view"))}"></canvas>'
        '<div class="ts-regions" data-desk="regions"></div><i class="ts-cursor" data-desk="cursor" hidden></i></div>'
        f'<div class="ts-desk-line">{acts}<span class="ts-grow ts-muted ts-ell" data-desk="state" role="status"></span>'
        f"{zooms}</div>"
        '<audio data-desk="audio" preload="none"></audio>'
        '<div class="ts-strip">'
        f'<label>{esc(t("cue.start"))}<input type="text" data-desk="start" inputmode="decimal" disabled></label>'
        f'<label>{esc(t("cue.end"))}<input type="text" data-desk="end" inputmode="decimal" disabled></label>'
        f'<span class="ts-num ts-strip-length" data-desk="length"></span>'
        f'<label class="ts-grow">{esc(t("cue.text"))}<textarea rows="2" data-desk="text" disabled></textarea></label>'
        '<ul class="ts-strip-notes" data-desk="notes"></ul></div>'
        f'<div class="ts-cues-head" aria-hidden="true">{heads}</div>'
        f'<div class="ts-cues" data-desk="list" tabindex="0" role="grid" aria-label="{esc(t("cue.list"))}">'
        f'<div data-desk="rows" role="rowgroup"></div>'
        f'<p class="ts-empty" data-desk="empty">{esc(t("cue.empty"))}</p></div>'
        f'<p class="ts-muted ts-about">{esc(t("cue.keys"))} <span data-desk="count" class="ts-sr"></span></p></div>'
    )


def feed_html(voice: str | None, recording: str | None, origin: int, cutting: int = 0) -> str:
    """Tells the desk what to show; it asks for the cues when any of this changed. ``cutting``: the newest job."""
    place = f'data-voice="{esc(voice or "")}" data-recording="{esc(recording or "")}"'
    return f'<i hidden {place} data-origin="{origin}" data-cutting="{cutting}"></i>'


def findings_html(t: Texts, sheet: "Sheet | None") -> str:
    """Everything that was odd about the file that the cues came from, folded; nothing where it was plain."""
    if sheet is None or not sheet.findings:
        return ""
    shown: list[dict[str, Any]] = sheet.findings[:MOST_FINDINGS]
    lines = ""
    for one in shown:
        line = f"<b>{esc(t('cue.line', n=one['line']))}</b> " if one.get("line") else ""
        lines += f"<li>{line}{esc(one['message'])}</li>"
    more = len(sheet.findings) - len(shown)
    lines += f"<li>{esc(t('dataset.more_skipped', n=more))}</li>" if more else ""
    title = t("cue.findings", n=len(sheet.findings), file=sheet.source)
    is_open = "" if sheet.cues else " open"
    return f'<details class="ts-findings"{is_open}><summary>{esc(title)}</summary><ul>{lines}</ul></details>'
