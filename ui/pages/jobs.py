"""Jobs: what ran and runs, why something failed, its log, and trying again."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

import gradio as gr

from core.errors import NotFound
from ui.controls import (
    ACTIVE,
    Context,
    Part,
    Scene,
    act_of,
    clock,
    esc,
    heading,
    html_part,
    job_key,
    problem_html,
    state_badge,
    when,
)

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.studio import Studio
    from ui.texts import Texts

SHOWN = 50


def jobs_table(t: "Texts", jobs: "Sequence[Job]", shown: int | None) -> str:
    """Newest first: state, kind, voice, progress or what it said last, when, how long."""
    if not jobs:
        return f'<p class="ts-empty">{esc(t("jobs.none"))}</p>'
    head = "".join(f'<th scope="col">{esc(t(f"jobs.{k}"))}</th>' for k in (
        "state", "kind", "voice", "told", "started", "took"))
    rows = ""
    for job in jobs:
        took = (job.finished_at - job.started_at) if job.finished_at and job.started_at else None
        told = (job.error or {}).get("message") or job.message
        progress = f"{round(job.progress * 100)} % · " if job.state == "running" else ""
        buttons = (f'<button type="button" class="ts-btn" data-act="open" data-job="{job.id}">'
                   f'{esc(t("job.log"))}</button> ')
        if job.state in ACTIVE:
            buttons += (f'<button type="button" class="ts-btn" data-act="cancel" data-job="{job.id}">'
                        f'{esc(t("job.cancel"))}</button>')
        elif job.state != "completed":
            buttons += (f'<button type="button" class="ts-btn" data-act="retry" data-job="{job.id}">'
                        f'{esc(t("job.retry"))}</button>')
        rows += (f'<tr aria-selected="{"true" if job.id == shown else "false"}"><td>{state_badge(t, job.state)}</td>'
                 f'<td>{esc(t.of("job", job.kind))}</td><td class="ts-ell">{esc(job.voice or "")}</td>'
                 f'<td class="ts-ell" title="{esc(told)}">{progress}{esc(told)}</td><td>{when(t, job.started_at)}</td>'
                 f'<td>{clock(took)}</td><td class="ts-num">{buttons}</td></tr>')
    return (f'<div class="ts-table-box"><table class="ts-table ts-jobs"><thead><tr>{head}'
            f'<th scope="col"><span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def job_detail(t: "Texts", studio: "Studio", job: "Job | None") -> str:
    """The chosen job: its error with what to do, and the end of its log."""
    if job is None:
        return ""
    title = f'{t.of("job", job.kind)} {job.id}'
    try:
        log = "\n".join(studio.job_log(job.id).splitlines()[-40:])
    except NotFound:
        log = ""
    return (f'<div class="ts-detail"><div class="ts-detail-head"><b>{esc(title)}</b>{state_badge(t, job.state)}'
            f'<span class="ts-muted ts-ell">{esc(job.log)}</span></div>{problem_html(t, job.error)}'
            f'<div class="ts-log"><pre tabindex="0">{esc(log) or "–"}</pre></div></div>')


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t, studio = ctx.t, ctx.studio
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.jobs"))
    table = html_part(elem_id="jobs")
    detail = gr.HTML("", apply_default_css=False, elem_id="job-detail", js_on_load=None)
    shown = ctx.watch("job", gr.State(None))

    def act(now: int | None, event: gr.EventData) -> int | None:
        data = act_of(event)
        if data["act"] == "cancel":
            studio.cancel(int(data["job"]))
        elif data["act"] == "retry":
            studio.retry(int(data["job"]))
        return int(data["job"])

    ctx.on(table.act, act, [shown], [shown])

    def chosen(scene: Scene) -> "Job | None":
        return next((j for j in scene.jobs if j.id == scene.values["job"]), None)

    def table_key(scene: Scene) -> Hashable:
        return (scene.values["job"], tuple(job_key(j) for j in scene.jobs[:SHOWN]))

    def detail_key(scene: Scene) -> Hashable:
        job = chosen(scene)
        return job and (job.id, job.state, job.updated_at)

    ctx.parts += [
        Part([table], table_key, lambda s: [jobs_table(t, s.jobs[:SHOWN], s.values["job"])], page="jobs"),
        Part([detail], detail_key, lambda s: [job_detail(t, studio, chosen(s))], page="jobs"),
    ]
