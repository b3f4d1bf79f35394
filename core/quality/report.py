"""The report: one HTML file that prints well, needs nothing from outside and runs nothing."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from core import atomic
from core.quality import svg
from core.quality.notes import note_name
from core.quality.texts import LANGUAGES, quantity, word

MOST_ROWS = 400
"""Clips with findings that are listed; the details file has all of them."""

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#1b1b1b;background:#fff;margin:2rem auto;max-width:60rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #bbb;break-after:avoid}
table{border-collapse:collapse;width:100%;font-size:12px}
td,th{text-align:left;padding:3px 6px;border-bottom:1px solid #ddd;vertical-align:top;overflow-wrap:anywhere}
th{white-space:nowrap}.limits td:first-child{width:1%;white-space:nowrap}
.plots{display:grid;grid-template-columns:1fr 1fr;gap:1rem}.plots svg{width:100%;height:auto;break-inside:avoid}
.finding{break-inside:avoid;border-left:4px solid #999;padding:2px 10px;margin:10px 0}
.review{border-color:#c77700}.reject{border-color:#b3261e}.finding p{margin:2px 0}
.muted{color:#555}tr{break-inside:avoid}
@media print{body{margin:0;max-width:none}}
@media(max-width:44rem){.plots{grid-template-columns:1fr}}
""".strip()


@dataclass(frozen=True)
class Report:
    """What is shown: the gate's result and a row for every clip, as in the details file."""

    title: str
    language: str
    result: dict[str, Any]
    rows: Sequence[dict[str, Any]]


def write_report(path: Path, report: Report) -> None:
    """Write the report atomically. Raises NoSpace, BadInput (write-protected)."""
    atomic.write_text(path, render(report))


def render(report: Report) -> str:
    """The report as HTML; whatever came from a person or a file is escaped."""
    language, result = report.language, report.result

    def w(key: str) -> str:
        return escape(word(key, language))

    title = f"{w('title')}: {escape(report.title)}"
    parts = [
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">',
        # Even if an escape were forgotten somewhere, nothing would run and nothing would be fetched.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
        f'<p class="muted">{w("made")} {time.strftime("%Y-%m-%d %H:%M")} · {escape(str(result["preset"]).upper())}</p>',
        f"<h2>{w('summary')}</h2>{_summary(result, w, language)}",
        f'<div class="plots">{"".join(_plots(report))}</div>',
        f"<h2>{w('findings')}</h2>",
        "".join(_finding(one, w) for one in result["findings"]) or f"<p>{w('nothing')}</p>",
        _table(report, w),
        f"<h2>{w('thresholds')}</h2>{_thresholds(result['thresholds'])}</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _summary(result: dict[str, Any], w: Any, language: str) -> str:
    whole = result["set"]
    rows = [
        (
            w("clips"),
            f"{result['clips']}: {result['accepted']} {w('accepted')}, {result['review']} {w('review')}, "
            f"{result['rejected']} {w('rejected')}",
        ),
        (w("minutes"), f"{whole['accepted_minutes']:.1f} / {whole['minutes']:.1f}"),
    ]
    if whole["low_note"]:
        rows.append((w("range"), f"{whole['low_note']} – {whole['high_note']} ({whole['semitones']} st)"))
    if whole["with_text"]:
        letters = ", ".join(f"{script}: {n}" for script, n in whole["characters"].items())
        rows.append((w("texts"), f"{whole['with_text']} / {whole['accepted']}"))
        rows.append((w("characters"), f"{escape(letters)} {w('different')}"))
    if whole["phonemes"]:
        rows.append((w("sounds"), escape(" ".join(whole["phonemes"]))))
    sources = list(whole["by_source"].items())
    shown = ", ".join(f"{escape(name)} {minutes:.1f}" for name, minutes in sources[:8])
    rows.append((w("sources"), shown + (f" … ({len(sources)})" if len(sources) > 8 else "")))
    if result["not_measured"]:
        told = "; ".join(f"{_title(code, language)}: {why}" for code, why in result["not_measured"].items())
        rows.append((w("not_measured"), escape(told)))
    return "<table>" + "".join(f"<tr><th>{head}</th><td>{text}</td></tr>" for head, text in rows) + "</table>"


def _plots(report: Report) -> list[str]:
    figures = [row["figures"] for row in report.rows if row["figures"]]
    limits, language = report.result["thresholds"], report.language
    lengths = [one["duration_s"] for one in figures]
    longest = max([limits["max_duration_s"] + 1.0, *(min(60.0, length) for length in lengths)])
    notes: dict[int, float] = {int(note): seconds for note, seconds in report.result["set"]["notes"].items()}
    plots = [
        svg.histogram(
            word("lengths", language), lengths, 0.0, longest, 24, [limits["min_duration_s"], limits["max_duration_s"]]
        )
    ]
    if notes:
        span = range(min(notes), max(notes) + 1)
        plots.append(svg.bars(word("pitch", language), [notes.get(n, 0.0) for n in span], [note_name(n) for n in span]))
    loudness_limits = [limits[key] for key in ("min_lufs", "max_lufs") if limits[key] is not None]
    plots.append(
        svg.histogram(word("loudness", language), [o["lufs"] for o in figures], -45.0, 0.0, 30, loudness_limits)
    )
    snr_limits = [limits["snr_reject_db"], limits["snr_review_db"]]
    plots.append(svg.histogram(word("snr", language), [o["snr_db"] for o in figures], 0.0, 80.0, 32, snr_limits))
    return plots


def _finding(one: dict[str, Any], w: Any) -> str:
    count = f" · {len(one['clips'])} {w('clips')}" if one["clips"] else ""
    figures = f" · {escape(one['figures'])}" if one["figures"] else ""
    return (
        f'<div class="finding {escape(one["severity"])}"><p><b>{escape(one["title"])}</b> '
        f'<span class="muted">{w(one["severity"])}{count}{figures}</span></p>'
        f"<p>{w('why')}: {escape(one['why'])}</p><p>{w('do')}: {escape(one['advice'])}</p></div>"
    )


def _table(report: Report, w: Any) -> str:
    flagged = [row for row in report.rows if row["findings"]]
    if not flagged:
        return ""
    heads = "".join(
        f"<th>{w(key)}</th>" for key in ("clip", "length", "snr", "loudness", "median", "verdict", "reasons")
    )
    lines = "".join(_line(row, report.language, w) for row in flagged[:MOST_ROWS])
    more = ""
    if len(flagged) > MOST_ROWS:
        more = (
            word("more", report.language)
            .replace("{n}", str(len(flagged) - MOST_ROWS))
            .replace("{file}", "quality.json")
        )
    return f"<h2>{w('flagged')}</h2><table><thead><tr>{heads}</tr></thead>{lines}</table><p>{escape(more)}</p>"


def _line(row: dict[str, Any], language: str, w: Any) -> str:
    figures = row["figures"]

    def number(key: str, digits: int) -> str:
        value = figures.get(key)
        return "" if value is None else f"{value:.{digits}f}"

    reasons = "; ".join(
        _title(one["code"], language)
        + (f" ({quantity(one['code'], one['figure'])})" if one["figure"] is not None else "")
        + "".join(f": {one['params'][key]}" for key in ("problem", "heard") if key in one["params"])
        for one in row["findings"]
    )
    verdict = w(row["verdict"]) + (f" ({w('by_user')})" if row["by_user"] else "")
    cells = [
        escape(row["name"]), number("duration_s", 1), number("snr_db", 0), number("lufs", 1),
        number("f0_median_hz", 0), verdict, escape(reasons),
    ]  # fmt: skip
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _title(code: str, language: str) -> str:
    return LANGUAGES[language].get(code, (code,))[0]


def _thresholds(limits: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(json.dumps(value, ensure_ascii=False))}</td></tr>"
        for name, value in limits.items()
    )
    return f'<table class="limits">{rows}</table>'
