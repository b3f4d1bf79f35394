"""Data sets between the studio and so-vits-svc 4.1: a prepared dataset/44k taken over, voices written as one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput
from ui.controls import Context, Part, Scene, esc, html_part, job_actions, job_key, job_panel, section

if TYPE_CHECKING:
    from core.jobs.model import Job
    from ui.texts import Texts

OWN = "builtin"  # so-vits-svc does not know it
IMPORT, EXPORT = "import-sovits-data", "export-sovits-data"


def told_html(t: "Texts", job: "Job | None") -> str:
    """What the newest finished job of either kind did; before the first one what this is for."""
    result = job.result if job is not None and job.state == "completed" else None
    if job is None or not result:
        return (f'<div class="ts-empty-box"><p>{esc(t("models.data_none"))}</p>'
                f'<p class="ts-muted">{esc(t("models.data_none_next"))}</p></div>')
    if job.kind == EXPORT:
        said = t("models.data_written", clips=result["clips"], speakers=", ".join(result["speakers"]))
        notes = "".join(f"<li>{esc(note)}</li>" for note in result.get("notes") or [])
        notes = f'<ul class="ts-list ts-muted">{notes}</ul>' if notes else ""
        return (f'<div class="ts-note-box" role="status"><p>{esc(said)}</p><p><code>{esc(result["out"])}</code></p>'
                f'<p class="ts-muted">{esc(t("models.data_written_next"))}</p>{notes}</div>')
    heads = "".join(f'<th scope="col"{cls}>{esc(t(f"models.col_{one}"))}</th>' for one, cls in (
        ("voice", ""), ("clips", ' class="ts-num"'), ("features", ' class="ts-num"'), ("says", "")))
    rows = ""
    for voice in result["voices"]:
        skipped = "".join(f'<div>{esc(one["name"])}: {esc(one["reason"])}</div>' for one in voice["skipped"])
        rows += (f'<tr><td class="ts-ell">{esc(voice["voice"])}</td><td class="ts-num">{voice["clips"]:,}</td>'
                 f'<td class="ts-num">{voice["features"]:,}</td><td class="ts-wrap">{skipped or "–"}</td></tr>')
    return (f'<div class="ts-table-box"><table class="ts-table ts-info"><thead><tr>{heads}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>")


def build(ctx: Context) -> None:
    """Draw the tab and wire it."""
    from core.features.encoders import available
    from core.features.pitch import PITCHES

    t, models = ctx.t, ctx.studio.models
    job = html_part(elem_id="data-job")
    job_actions(ctx, job)
    gr.HTML(section(t("models.data_write"), t("models.data_write_hint")), apply_default_css=False, js_on_load=None)
    with gr.Row(elem_classes="ts-tight"):
        voices = gr.Dropdown([], multiselect=True, label=t("models.data_voices"), elem_id="data-voices", min_width=190)
        encoders = [(one.name if one.ready else t("models.data_not_here", name=one.name), one.name)
                    for one in available(ctx.studio.settings) if one.name != OWN]
        encoders.append((t("models.data_own", name=OWN), OWN))
        encoder = gr.Dropdown(encoders, value="vec768l12", label=t("models.col_encoder"), elem_id="data-encoder",
                              min_width=150)
        pitch = gr.Dropdown(list(PITCHES), value="fcpe", label=t("convert.predictor"), elem_id="data-pitch",
                            min_width=90)
    with gr.Row(elem_classes="ts-tight"):
        out = gr.Textbox("", label=t("models.data_out"), placeholder=t("models.data_out_info"), max_lines=1,
                         elem_id="data-out", min_width=260)
        loud = gr.Checkbox(False, label=t("training.opt_vol_embedding"), elem_id="data-loud", min_width=130,
                           container=False)
        write = gr.Button(t("models.data_do_write"), size="sm", elem_id="data-write", scale=0, min_width=110)
    gr.HTML(section(t("models.data_read"), t("models.data_read_hint")), apply_default_css=False, js_on_load=None)
    with gr.Row(elem_classes="ts-tight"):
        folder = gr.Textbox("", label=t("models.data_folder"), placeholder=t("models.path_info"), max_lines=1,
                            elem_id="data-folder", min_width=260)
        found_by = gr.Dropdown(list(PITCHES), value="rmvpe", label=t("models.data_found_by"), elem_id="data-found-by",
                               min_width=120)
        read = gr.Button(t("models.data_do_read"), size="sm", elem_id="data-read", scale=0, min_width=110)
    told = html_part(elem_id="data-told")

    def do_write(names: list[str], kind: str, predictor: str, place: str, with_loudness: bool) -> None:
        models.export_data(names, _path(place), encoder=kind, pitch=predictor, vol_embedding=with_loudness)

    def do_read(place: str, predictor: str) -> None:
        path = _path(place)
        if path is None:
            raise BadInput(t("models.no_file"), t("models.path_info"), where="folder")
        models.import_data(path, predictor)

    ctx.on(write.click, do_write, [voices, encoder, pitch, out, loud])
    ctx.on(read.click, do_read, [folder, found_by])
    _follow(ctx, job, told, (voices, write, read))


def _path(text: str) -> Path | None:
    text = text.strip().strip('"')
    return Path(text).expanduser() if text else None


def _follow(ctx: Context, job: gr.HTML, told: gr.HTML, controls: tuple[gr.Dropdown, gr.Button, gr.Button]) -> None:
    voices, write, read = controls

    def newest(scene: Scene, done: bool = False) -> "Job | None":
        return next((one for one in scene.jobs if one.kind in (IMPORT, EXPORT)
                     and (one.state == "completed" or not done)), None)

    def job_render(scene: Scene) -> list[Any]:
        one = newest(scene)
        idle = one is None or not one.active
        return [job_panel(ctx.t, one), gr.update(interactive=idle), gr.update(interactive=idle)]

    def voices_render(scene: Scene) -> list[Any]:
        names = [voice.name for voice in scene.voices if voice.accepted]
        return [gr.update(choices=names, value=[scene.voice] if scene.voice in names else [])]

    ctx.parts += [
        Part([job, write, read], lambda s: job_key(newest(s)), job_render, page="models"),
        Part([told], lambda s: (one := newest(s, True)) and one.id, lambda s: [told_html(ctx.t, newest(s, True))],
             page="models"),
        Part([voices], lambda s: (s.voice, tuple(v.name for v in s.voices if v.accepted)), voices_render,
             page="models"),
    ]
