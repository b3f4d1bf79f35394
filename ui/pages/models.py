"""Models: bring so-vits-svc models over, see what is here, what is inside a file, and change model files."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput
from ui.controls import Context, Part, Scene, esc, heading, html_part, job_actions, job_key, job_panel, section
from ui.models import catalogue, data, found, tools, voices

if TYPE_CHECKING:
    from core.jobs.model import Job

KIND = "import-models"


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.models"))
        look = gr.Button(t("models.look"), elem_id="models-look", scale=0, min_width=150)
        start = gr.Button(t("models.import"), variant="primary", elem_id="models-import", scale=0, min_width=150)
    job = html_part(elem_id="models-job")
    job_actions(ctx, job)
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            form = _build_form(ctx)
        with (gr.Column(scale=1, min_width=400, elem_classes="ts-main"),
              gr.Tabs(elem_id="models-tabs", elem_classes="ts-tabs")):
            with gr.Tab(t("models.tab_found"), id="found"):
                result = html_part(elem_id="models-found")
            with gr.Tab(t("models.tab_voices"), id="voices"):
                voices.build(ctx)
            with gr.Tab(t("models.tab_catalogue"), id="catalogue"):
                catalogue.build(ctx)
            with gr.Tab(t("models.tab_data"), id="data"):
                data.build(ctx)
            with gr.Tab(t("models.tab_file"), id="file"):
                tools.build(ctx)
    _wire(ctx, form, (look, start), job, result)


def _build_form(ctx: Context) -> list[Any]:
    """What to import: files, or a path on this computer; for which voice; what to do with what is here."""
    t = ctx.t
    gr.HTML(section(t("models.bring")) + f'<p class="ts-muted ts-about">{esc(t("models.bring_hint"))}</p>',
            apply_default_css=False, js_on_load=None)
    return [
        gr.File(label=t("models.files"), show_label=False, file_count="multiple", type="filepath", height=90,
                elem_id="models-files", elem_classes="ts-drop"),
        gr.Textbox(label=t("models.path"), info=t("models.path_info"), elem_id="models-path", max_lines=1),
        gr.Textbox(label=t("models.voice"), info=t("models.voice_info"), elem_id="models-voice", max_lines=1,
                   max_length=80),
        gr.Checkbox(False, label=t("models.every"), info=t("models.every_info"), elem_id="models-every"),
        gr.Checkbox(False, label=t("models.replace"), info=t("models.replace_info"), elem_id="models-replace"),
    ]


def _wire(ctx: Context, form: list[Any], buttons: tuple[gr.Button, gr.Button], job: gr.HTML, result: gr.HTML) -> None:
    t = ctx.t
    look, start = buttons

    def begin(only_look: bool, files: list[str] | None, path: str, voice: str, every: bool, replace: bool) -> None:
        paths = [Path(file) for file in files or []]
        if path.strip():
            paths.append(Path(path.strip().strip('"')).expanduser())
        if not paths:
            raise BadInput(t("models.no_file"), t("models.no_file_next"), where="files")
        ctx.studio.models.import_files(paths, voice=voice.strip() or None, every=every, look=only_look, replace=replace)

    ctx.on(look.click, lambda *values: begin(True, *values), form)
    ctx.on(start.click, lambda *values: begin(False, *values), form)

    def newest(scene: Scene) -> "Job | None":
        return scene.latest(KIND)

    def told(scene: Scene) -> "Job | None":
        return next((one for one in scene.jobs if one.kind == KIND and one.state == "completed"), None)

    def job_render(scene: Scene) -> list[Any]:
        one = newest(scene)
        busy = one is not None and one.active
        return [job_panel(t, one), gr.update(interactive=not busy), gr.update(interactive=not busy)]

    ctx.parts += [
        Part([job, look, start], lambda s: job_key(newest(s)), job_render, page="models"),
        Part([result], lambda s: (one := told(s)) and one.id, lambda s: [found.found_html(t, told(s))], page="models"),
    ]
