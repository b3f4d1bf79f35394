"""Tools on single files: what is inside one, a compressed copy, an old index or k-means file made safe."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput
from core.paths import safe_filename, unique_path
from ui.controls import Context, esc, html_part, section

if TYPE_CHECKING:
    from ui.texts import Texts

_FIRST = ("kind", "says", "problem", "fix")


def info_html(t: "Texts", told: dict[str, Any]) -> str:
    """What `ModelsDesk.info` tells, in two columns."""
    rows = ""
    for name in (*_FIRST, *(key for key in told if key not in _FIRST)):
        value = told.get(name)
        if value in (None, "", [], {}):
            continue
        if isinstance(value, dict):
            value = "; ".join(f"{key}: {item}" for key, item in value.items())
        elif isinstance(value, list):
            value = "; ".join(map(str, value))
        bad = ' class="ts-badword"' if name == "problem" else ""
        rows += f'<tr><th scope="row">{esc(t.of("models.info", name))}</th><td{bad}>{esc(value)}</td></tr>'
    return f'<div class="ts-table-box"><table class="ts-table ts-info"><tbody>{rows}</tbody></table></div>'


def build(ctx: Context) -> None:
    """Draw the tab and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            gr.HTML(section(t("models.one_file")), apply_default_css=False, js_on_load=None)
            file = gr.File(label=t("models.one_file"), show_label=False, file_count="single", type="filepath",
                           height=90, elem_id="tool-file", elem_classes="ts-drop")
            inspect = gr.Button(t("models.inspect"), elem_id="inspect", size="sm")
            half = gr.Checkbox(False, label=t("models.half_long"), elem_id="tool-half")
            compress = gr.Button(t("models.compress_file"), elem_id="compress-file", size="sm")
            convert = gr.Button(t("models.convert_index"), elem_id="convert-index", size="sm")
        with gr.Column(scale=1, elem_classes="ts-main"):
            told = html_part(f'<p class="ts-empty">{esc(t("models.tools_hint"))}</p>', elem_id="file-info")
            made = gr.File(label=t("models.made"), visible=False, interactive=False, elem_id="tool-made")

    def need(path: str | None) -> Path:
        if not path:
            raise BadInput(t("models.no_file"), t("models.no_file_next"), where="file")
        return Path(path)

    def target(path: Path, ending: str) -> Path:
        return unique_path(ctx.studio.settings.outputs / f"{Path(safe_filename(path.name)).stem}{ending}")

    def show(path: str | None) -> tuple[str, Any]:
        return info_html(t, ctx.studio.models.info(need(path))), gr.update(visible=False)

    def make_small(path: str | None, in_half: bool) -> tuple[str, Any]:
        source = need(path)
        ending = f"_release{'_half' if in_half else ''}.pth"
        result = ctx.studio.models.compress_file(source, target(source, ending), half=in_half)
        return info_html(t, ctx.studio.models.info(result)), gr.update(value=str(result), visible=True)

    def make_safe(path: str | None) -> tuple[str, Any]:
        source = need(path)
        result = ctx.studio.models.convert_index(source, target(source, ".safetensors"))
        note = f'<div class="ts-note-box" role="status"><p>{esc(t("models.safe_made", name=result.name))}</p></div>'
        return note, gr.update(value=str(result), visible=True)

    ctx.on(inspect.click, show, [file], [told, made], show_progress="minimal")
    ctx.on(compress.click, make_small, [file, half], [told, made], show_progress="minimal")
    ctx.on(convert.click, make_safe, [file], [told, made], show_progress="minimal")
