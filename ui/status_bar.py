"""The bar that is always in sight: device, running work with its Stop button, disk."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from ui.controls import Context, Part, Scene, bar, esc, eta_text, gigabytes, html_part, job_actions
from ui.texts import Texts

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.studio import SystemStatus


def device_html(t: Texts, status: "SystemStatus") -> str:
    """Device, its load and its memory."""
    device = status.device
    used = device.total_bytes - device.free_bytes
    load = "" if device.utilisation is None else f" {round(device.utilisation * 100)} %"
    kind = "GPU" if device.kind == "cuda" else "CPU"
    memory = f"{gigabytes(used).removesuffix(' GB')} / {gigabytes(device.total_bytes)}"
    label = t("status.vram") if device.kind == "cuda" else t("status.ram")
    return (f'<span class="ts-cell" title="{esc(device.name)}">{kind}{load}</span>'
            f'<span class="ts-cell">{esc(label)} {memory}</span>')


def work_html(t: Texts, job: "Job") -> str:
    """One running job: what, how far, how long still, and Stop."""
    name = t.of("job", job.kind)
    what = f"{name} {job.voice}" if job.voice else name
    parts = [job.message, f"{round(job.progress * 100)} %", eta_text(t, job.eta_now_s())]
    told = " · ".join(esc(p) for p in parts if p)
    return (f'<span class="ts-cell ts-work-cell"><b>{esc(what)}</b>{bar(job.progress, what)}<span>{told}</span>'
            f'<button type="button" class="ts-btn" data-act="cancel" data-job="{job.id}" '
            f'aria-label="{esc(t("status.stop_label", job=what))}">{esc(t("status.stop"))}</button></span>')


def status_html(t: Texts, status: "SystemStatus") -> str:
    """The whole bar."""
    work = "".join(work_html(t, job) for job in status.running)
    if not work:
        work = f'<span class="ts-cell ts-muted">{esc(t("status.idle"))}</span>'
    if status.queued:
        work += f'<a class="ts-cell ts-link" href="#jobs">{esc(t("status.queued", n=status.queued))}</a>'
    disk = t("status.disk", free=gigabytes(status.disk_free_bytes))
    return (f'<div class="ts-status" role="status" aria-live="off" aria-label="{esc(t("status.label"))}">'
            f'{device_html(t, status)}<span class="ts-grow ts-work-cells">{work}</span>'
            f'<span class="ts-cell">{esc(disk)}</span></div>')


def build(ctx: Context) -> None:
    """Draw the bar; must be called inside the shell."""
    t = ctx.t
    part = html_part(elem_id="status-bar")
    job_actions(ctx, part)

    def key(scene: Scene) -> Hashable:
        return status_html(t, scene.status)

    def render(scene: Scene) -> list[Any]:
        return [status_html(t, scene.status)]

    ctx.parts.append(Part([part], key, render, restless=True))
