"""The set in figures: which notes, sounds and letters it holds, and how evenly it is made up."""

from collections.abc import Mapping
from typing import Any

from core.quality.notes import note_name
from ui.controls import esc, number
from ui.texts import Texts

_SOURCES = 3
_CHART = 288  # as wide as the other charts, so that its words are as large


def set_html(t: Texts, whole: Mapping[str, Any]) -> str:
    """`whole`: `SetFigures` as a dictionary. Empty where nothing is accepted."""
    if not whole.get("accepted"):
        return ""
    rows = [(t(f"set.{name}"), told) for name, told in _told(t, whole) if told]
    lines = "".join(f"<li><b>{esc(head)}</b> {esc(told)}</li>" for head, told in rows)
    notes = {int(note): float(seconds) for note, seconds in (whole.get("notes") or {}).items()}
    chart = ""
    if notes:
        title = t("set.chart")
        chart = f"<figure><figcaption>{esc(title)}</figcaption>{notes_svg(notes, title)}</figure>"
    return f'<div class="ts-summary" data-set><ul class="ts-notes">{lines}</ul>{chart}</div>'


def _told(t: Texts, whole: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, figures in words) of every line; empty words for what is not known."""
    minutes = float(whole.get("accepted_minutes") or 0.0)
    sources = list((whole.get("by_source") or {}).items())
    shares = ", ".join(f"{name} {100 * part / max(minutes, 1e-9):.0f} %" for name, part in sources[:_SOURCES])
    lengths = whole.get("lengths") or {}
    loudness, snr, gaps = whole.get("loudness") or [], whole.get("snr") or [], whole.get("gaps") or []
    reach = ""
    if whole.get("low_note"):
        reach = t("set.reach", low=whole["low_note"], high=whole["high_note"], n=whole.get("semitones", 0))
        if gaps:
            reach += " " + t("set.gaps", notes=", ".join(gaps[:12]) + (" …" if len(gaps) > 12 else ""))
    characters = ", ".join(f"{script} {n}" for script, n in (whole.get("characters") or {}).items())
    return [
        ("notes", reach),
        ("characters", characters),
        ("sounds", str(len(whole["phonemes"])) if whole.get("phonemes") else ""),
        ("languages", ", ".join(f"{name} {n}" for name, n in (whole.get("languages") or {}).items())),
        ("sources", shares + (f" … ({len(sources)})" if len(sources) > _SOURCES else "")),
        ("lengths", t("set.lengths_told", **lengths) if lengths else ""),
        ("loudness", f"{number(loudness[0])} … {number(loudness[2])} LUFS" if loudness else ""),
        ("noise", t("set.noise_told", low=number(snr[0], 0), middle=number(snr[1], 0)) if snr else ""),
    ]  # fmt: skip


def notes_svg(notes: Mapping[int, float], label: str) -> str:
    """Seconds of voiced sound by MIDI note, a bar each, the lowest and the highest written below."""
    low, high = min(notes), max(notes)
    most = max(notes.values()) or 1.0
    width, step = _CHART, _CHART / (high - low + 1)
    bars = "".join(
        f'<rect x="{(note - low + 0.1) * step:.1f}" y="{40 - 38 * seconds / most:.1f}" width="{0.8 * step:.1f}" '
        f'height="{38 * seconds / most:.1f}"><title>{note_name(note)}: {seconds:.1f} s</title></rect>'
        for note, seconds in sorted(notes.items()))
    return (f'<svg class="ts-hist" viewBox="0 0 {width} 54" role="img" aria-label="{esc(label)}">{bars}'
            f'<line x1="0" y1="40.5" x2="{width}" y2="40.5"/><text x="1" y="51">{note_name(low)}</text>'
            f'<text x="{width - 1}" y="51" text-anchor="end">{note_name(high)}</text></svg>')
