"""What the tab of a cleaning shows: original and cleaned cues side by side with what differs, to take or refuse."""

from typing import Any

from ui.controls import esc
from ui.pager import pager_html
from ui.texts import Texts

PER_PAGE = 25


def review_html(t: Texts, rows: list[dict[str, Any]], page: int) -> str:
    """One page of the review (rows of ``side_by_side``)."""
    if not rows:
        return (f'<div class="ts-empty ts-empty-box"><p>{esc(t("clean.none"))}</p>'
                f'<p class="ts-muted">{esc(t("clean.none_hint"))}</p></div>')
    page = max(0, min(page, (len(rows) - 1) // PER_PAGE))
    failed = sum(row["verdict"] == "failed" for row in rows)
    lost = sum(row["verdict"] == "lost" for row in rows)
    n_original = sum(len(row["original"]) for row in rows)
    told = t("clean.told", before=n_original, after=sum(row["answer"] is not None for row in rows))
    if failed:
        told += " " + t("clean.failed", n=failed)
    if lost:
        told += " " + t("clean.lost", n=lost)
    body = "".join(_row(t, row) for row in rows[page * PER_PAGE : (page + 1) * PER_PAGE])
    return (f'<div class="ts-table-head"><span class="ts-grow">{esc(told)}</span>'
            f'{pager_html(t, page, len(rows), PER_PAGE)}'
            f'<button type="button" class="ts-btn" data-act="drop">{esc(t("clean.drop"))}</button>'
            f'<button type="button" class="ts-btn ts-first" data-act="take">{esc(t("clean.take"))}</button></div>'
            f'<div class="ts-table-box"><table class="ts-table ts-review"><thead><tr>'
            f'<th scope="col">{esc(t("clean.use"))}</th><th scope="col">{esc(t("clean.original"))}</th>'
            f'<th scope="col">{esc(t("clean.cleaned"))}</th></tr></thead><tbody>{body}</tbody></table></div>')


def _row(t: Texts, row: dict[str, Any]) -> str:
    left = "".join(f'<p><span class="ts-muted">{_span(one)}</span> {esc(one["text"])}</p>' for one in row["original"])
    answer, box = row["answer"], ""
    right = ""
    if answer is not None:
        right = f'<p><span class="ts-muted">{_span(answer)}</span> {_diff(row["diff"])}</p>'
        checked = " checked" if row["verdict"] == "ok" else ""
        box = (f'<input type="checkbox" data-position="{row["position"]}"{checked} data-ok="{int(bool(checked))}" '
               f'aria-label="{esc(t("clean.use"))} {row["position"] + 1}">')
    kind = "" if row["verdict"] == "ok" else " ts-badword"
    notes = "".join(f'<p class="ts-about{kind}">{esc(one["message"])}</p>' for one in row["reasons"])
    notes += "".join(f'<p class="ts-about ts-muted">{esc(one["message"])}</p>' for one in row["warnings"])
    return f'<tr data-verdict="{esc(row["verdict"])}"><td>{box}</td><td>{left}</td><td>{right}{notes}</td></tr>'


def _diff(pieces: list[list[str]]) -> str:
    text = ""
    for kind, piece in pieces:
        if kind == "same" or (kind == "added" and not piece.strip()):
            text += esc(piece)
        elif piece.strip():
            text += f"<ins>{esc(piece)}</ins>" if kind == "added" else f"<del>{esc(piece)}</del>"
    return text


def _span(cue: dict[str, Any]) -> str:
    return f"{_clock(cue['start_ms'])} – {_clock(cue['end_ms'])}"


def _clock(ms: int) -> str:
    minutes, rest = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else str(minutes)
    return f"{head}:{rest // 1000:02d}.{rest % 1000:03d}"
