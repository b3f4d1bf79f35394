"""Live: microphone in, another voice out, in the page itself; what it costs in time is always in sight."""

from typing import Any

import gradio as gr

from core.realtime.options import RealtimeOptions
from ui.controls import Context, esc, heading, section
from ui.convert.form import PITCHES
from ui.model_choice import follow_models

# Reads the controls in the page, so that starting needs no way to the server before the socket's own.
_START = """(voice, model, transpose, block, gate, crossfade, lookahead, context, pitch) => {
  const options = { voice: voice || "", model: model || null, transpose: transpose || 0, pitch };
  const times = { crossfade_s: crossfade / 1000, lookahead_s: lookahead / 1000, context_s: context };
  TS.liveStart({ ...options, ...times, block_s: block / 1000, gate_db: gate });
}"""


def build(ctx: Context) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    default = RealtimeOptions(voice="-")
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.live"))
        stop = gr.Button(t("live.stop"), elem_id="live-stop", scale=0, min_width=90)
        start = gr.Button(t("live.start"), variant="primary", elem_id="live-start", scale=0, min_width=150)
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            gr.HTML(section(t("live.settings")), apply_default_css=False, js_on_load=None)
            model = gr.Dropdown([(t("convert.newest"), "")], value="", label=t("convert.model"), elem_id="live-model")
            transpose = gr.Slider(-24, 24, 0, step=1, label=t("convert.key"), info=t("convert.key_info"),
                                  elem_id="live-key", buttons=["reset"])
            block = gr.Slider(60, 1000, 1000 * default.block_s, step=10, label=t("live.block"),
                              info=t("live.block_info"), elem_id="live-block", buttons=["reset"])
            gate = gr.Slider(-90, -20, default.gate_db, step=1, label=t("live.gate"), info=t("live.gate_info"),
                             elem_id="live-gate", buttons=["reset"])
            more = _expert(ctx, default)
        with gr.Column(scale=1, min_width=400, elem_classes="ts-main"):
            gr.HTML(f'<div class="ts-detail"><p id="live-told" role="status" data-state="">{esc(t("live.idle"))}</p>'
                    f'<p class="ts-muted">{esc(t("live.headphones"))}</p></div>', apply_default_css=False,
                    js_on_load=None, elem_id="live-box")
    start.click(None, [ctx.voice, model, transpose, block, gate, *more], None, js=_START, api_visibility="private")
    stop.click(None, js="() => TS.liveStop()", api_visibility="private")

    follow_models(ctx, model)


def _expert(ctx: Context, default: RealtimeOptions) -> list[Any]:
    """Folded: crossfade, lookahead (ms), context (s), pitch predictor."""
    t = ctx.t
    with gr.Accordion(t("live.expert"), open=False, elem_id="live-expert"):
        return [
            gr.Slider(5, 300, 1000 * default.crossfade_s, step=5, label=t("live.crossfade"),
                      info=t("live.crossfade_info"), elem_id="live-crossfade", buttons=["reset"]),
            gr.Slider(0, 500, 1000 * default.lookahead_s, step=10, label=t("live.lookahead"),
                      info=t("live.lookahead_info"), elem_id="live-lookahead", buttons=["reset"]),
            gr.Slider(0.1, 5, default.context_s, step=0.1, label=t("live.context"), info=t("live.context_info"),
                      elem_id="live-context", buttons=["reset"]),
            gr.Dropdown(list(PITCHES), value=default.pitch, label=t("convert.predictor"), elem_id="live-pitch"),
        ]
