"""The tab Several: how each recording of the newest batch stands, with its result to be heard."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ui.controls import Context, Part, Scene, clock, esc, file_url, html_part, state_badge
from ui.texts import Texts

if TYPE_CHECKING:
    from core.jobs.model import Job

KIND = "convert-batch"
MOST_ROWS = 500


def build(ctx: Context) -> None:
    """Draw the tab."""
    t = ctx.t
    table = html_part(elem_id="batch")

    def newest(scene: Scene) -> "Job | None":
        return scene.latest(KIND, scene.voice) if scene.voice else None

    def key(scene: Scene) -> Hashable:
        job = newest(scene)
        return job and (job.id, job.state, stamp(job))

    def render(scene: Scene) -> list[Any]:
        return [batch_html(t, newest(scene))]

    ctx.parts.append(Part([table], key, render, page="convert"))


def stamp(job: "Job") -> int:
    """When the report of a batch was last written; 0 before its first recording."""
    try:
        return Path(str(job.params["report"])).stat().st_mtime_ns
    except (KeyError, OSError):
        return 0


def rows_of(job: "Job") -> list[dict[str, Any]]:
    """Its recordings as the report has them; all queued before there is one."""
    try:
        data = json.loads(Path(str(job.params["report"])).read_text(encoding="utf-8"))
        return list(data["files"])
    except (KeyError, OSError, ValueError):
        items = job.params.get("items") or []
        state = "queued" if job.active else "cancelled"
        return [{"source": str(item.get("source", "")), "state": state} for item in items]


def batch_html(t: Texts, job: "Job | None") -> str:
    """A row a recording: state, length, what went wrong; each result can be heard and taken."""
    if job is None:
        return (f'<div class="ts-empty-box"><p>{esc(t("batch.empty"))}</p>'
                f'<p class="ts-muted">{esc(t("batch.empty_hint"))}</p></div>')
    rows = rows_of(job)
    done = sum(row["state"] == "completed" for row in rows)
    failed = sum(row["state"] == "failed" for row in rows)
    told = t("batch.told", done=done, total=len(rows), failed=failed)
    body = "".join(_row(t, row) for row in rows[:MOST_ROWS])
    head = "".join(f'<th scope="col"{cls}>{esc(t(key))}</th>' for key, cls in (
        ("convert.file", ""), ("batch.state", ""), ("convert.length", ' class="ts-num"'), ("batch.note", "")))
    return (f'<div class="ts-table-head"><span role="status">{esc(told)}</span>'
            f'<span class="ts-muted ts-ell" title="{esc(job.params.get("folder", ""))}">'
            f'{esc(job.params.get("folder", ""))}</span>'
            f'<audio class="ts-hear" controls preload="none" aria-label="{esc(t("convert.after"))}"></audio></div>'
            f'<div class="ts-table-box"><table class="ts-table ts-batch"><thead><tr>{head}<th scope="col">'
            f'<span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead><tbody>{body}</tbody></table></div>')


def _row(t: Texts, row: dict[str, Any]) -> str:
    name = Path(str(row["source"])).name
    problem = row.get("error") or {}
    note = f'{problem.get("message", "")} {problem.get("hint", "")}'.strip() or " ".join(row.get("warnings") or [])
    output = Path(str(row.get("output") or ""))
    acts = ""
    if row["state"] == "completed" and output.is_file():
        url = esc(file_url(t.lang, output))
        acts = (f'<button type="button" class="ts-btn" data-hear="{url}" aria-label="{esc(t("cue.play"))} {esc(name)}">'
                f'{esc(t("cue.play"))}</button> <a class="ts-btn" href="{url}" download="{esc(output.name)}">'
                f'{esc(t("convert.download"))}</a>')
    return (f'<tr><td class="ts-ell" title="{esc(name)}">{esc(name)}</td><td>{state_badge(t, row["state"])}</td>'
            f'<td class="ts-num">{clock(row.get("duration_s"))}</td>'
            f'<td class="ts-ell" title="{esc(note)}">{esc(note)}</td><td class="ts-num">{acts}</td></tr>')
