"""Files that are spoken as a job: a text, subtitles at their times, or a table with a sound for each row."""

import shutil
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput
from core.paths import safe_name, unique_path
from ui.controls import Context, Part, Scene, esc, file_url, html_part, job_actions, job_key, job_panel, number
from ui.sentences import said as in_words

if TYPE_CHECKING:
    from core.jobs.model import Job

KINDS = {".srt": "srt", ".vtt": "srt", ".ass": "srt", ".txt": "file", ".csv": "csv", ".tsv": "csv"}
_SHOWN = 200


def build(ctx: Context, inputs: list[Any], chosen: Callable[..., dict[str, Any]]) -> None:
    """Draw it. ``chosen(*inputs)`` gives what the page's controls say, as params of the job "say"."""
    t = ctx.t
    with gr.Accordion(t("speech.files"), open=False, elem_id="speech-files"):
        gr.HTML(f'<p class="ts-muted">{esc(t("speech.drop_file"))}</p>', apply_default_css=False, js_on_load=None)
        with gr.Row(elem_classes="ts-tight"):
            drop = gr.File(file_count="single", height=76, elem_id="speech-file", elem_classes="ts-drop",
                           show_label=False, label=t("speech.drop_file"), file_types=list(KINDS))
            fmt = gr.Radio(["wav", "flac", "mp3"], value="wav", label=t("convert.format"), elem_classes="ts-inline")
        start = gr.Button(t("speech.make_files"), size="sm", elem_id="speech-make", min_width=140)
        panel = html_part(elem_id="speech-job")
        job_actions(ctx, panel)
        made = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="speech-made")

    def go(file: str | None, ending: str, *values: Any) -> None:
        if not file:
            raise BadInput(t("speech.no_file"), t("speech.no_file_hint"))
        kind = KINDS.get(Path(file).suffix.lower())
        if kind is None:
            raise BadInput(t("speech.wrong_file", name=Path(file).name), t("speech.no_file_hint"))
        outputs = ctx.studio.settings.outputs / "speech-files"
        outputs.mkdir(parents=True, exist_ok=True)
        stem = f"{safe_name(Path(file).stem, fallback='speech')}-{time.strftime('%Y%m%d-%H%M%S')}"
        kept = unique_path(outputs / f"{stem}{Path(file).suffix.lower()}")
        shutil.copyfile(file, kept)
        place = {"out": str(outputs / stem), "format": ending} if kind == "csv" else {
            "out": str(unique_path(outputs / f"{stem}.{ending}"))}
        ctx.studio.say({**chosen(*values), kind: str(kept), **place})

    ctx.on(start.click, go, [drop, fmt, *inputs])

    def latest(scene: Scene) -> "Job | None":
        return next((job for job in scene.jobs if job.kind in ("say", "say-batch")), None)  # newest first

    def key(scene: Scene) -> Hashable:
        return job_key(latest(scene))

    def render(scene: Scene) -> list[Any]:
        job = latest(scene)
        return [job_panel(t, job), _made(ctx, job), gr.update(interactive=job is None or not job.active)]

    ctx.parts.append(Part([panel, made, start], key, render, page="speech"))


def _made(ctx: Context, job: "Job | None") -> str:
    """The files of a finished job, each with a player; what failed, with why."""
    if job is None or not job.result:
        return ""
    rows = job.result.get("rows") or [job.result]
    lines = []
    for row in rows[:_SHOWN]:
        name = Path(str(row.get("out", ""))).name
        if "error" in row:
            problem = row["error"]
            lines.append(f"<li><b>{row['row']}</b> {esc(problem['message'])} "
                         f'<span class="ts-muted">{esc(problem["hint"])}</span></li>')
            continue
        url = esc(file_url(ctx.t.lang, row["out"]))
        lines.append(f'<li class="ts-take"><audio controls preload="none" src="{url}" aria-label="{esc(name)}"></audio>'
                     f'<span class="ts-grow ts-ell">{esc(row.get("text") or name)}</span>'
                     f'<span class="ts-muted">{number(row.get("seconds"))} s</span>'
                     f'<a class="ts-link" href="{url}" download>{esc(ctx.t("speech.download"))}</a></li>')
        lines += [f'<li class="ts-muted">{esc(in_words(ctx.t, words))}</li>' for words in row.get("warnings", ())]
    return f'<ul class="ts-takes">{"".join(lines)}</ul>'
