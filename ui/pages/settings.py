"""Settings: what is set and where from, and a check of this machine."""

from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.controls import Context, esc, heading, section
from ui.run_view import preflight_html

if TYPE_CHECKING:
    from core.settings import Settings
    from ui.texts import Texts


def settings_html(t: "Texts", settings: "Settings") -> str:
    """Every setting, its value and its source. Changed by file, environment or command line."""
    rows = "".join(
        f'<tr><td><code>{esc(line.name)}</code></td><td class="ts-ell" title="{esc(line.value)}">{esc(line.value)}</td>'
        f'<td class="ts-muted">{esc(line.source)}</td></tr>' for line in settings.describe())
    head = "".join(f'<th scope="col">{esc(t(f"settings.{k}"))}</th>' for k in ("name", "value", "source"))
    return (f'<div class="ts-table-box"><table class="ts-table ts-settings"><thead><tr>{head}</tr></thead>'
            f'<tbody>{rows}</tbody></table></div><p class="ts-muted ts-about">{esc(t("settings.how"))} '
            f"<code>{esc(settings.workspace / 'settings.toml')}</code></p>")


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t, studio = ctx.t, ctx.studio
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.settings"))
        check = gr.Button(t("settings.check"), variant="primary", elem_id="doctor", scale=0, min_width=150)
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=1, elem_classes="ts-main"):
            gr.HTML(section(t("settings.now")) + settings_html(t, studio.settings), apply_default_css=False,
                    elem_id="settings-table", js_on_load=None)
        with gr.Column(scale=1, elem_classes="ts-main"):
            gr.HTML(section(t("settings.machine")), apply_default_css=False, js_on_load=None)
            result = gr.HTML(f'<p class="ts-empty">{esc(t("settings.check_hint"))}</p>', apply_default_css=False,
                             elem_id="doctor-result", js_on_load=None)

    def run() -> Any:
        return f'<div class="ts-panel">{preflight_html(t, studio.doctor())}</div>'

    ctx.on(check.click, run, [], [result], show_progress="minimal")
