"""The tab of a transcription: which recogniser, and what to do where there is none on this machine."""

from typing import Any

import gradio as gr

from core.errors import BadInput
from ui.controls import Context, Part, Scene, esc, need_voice
from ui.texts import Texts

LANGUAGES = ("en", "zh", "ja", "ko", "yue", "de", "fr", "es", "it", "pt", "ru")
Models = dict[str, list[tuple[str, bool, str]]]


def build(ctx: Context, recording: gr.Dropdown, saved: str) -> None:
    """Draw the tab and wire it. ``saved``: the script that saves the cues before an event."""
    t, studio = ctx.t, ctx.studio
    with gr.Column(elem_classes="ts-panel ts-narrow"):
        with gr.Row():
            engine = gr.Dropdown([(t("transcribe.whisper"), "whisper"), (t("transcribe.parakeet"), "parakeet")],
                                 value="whisper", label=t("transcribe.engine"), elem_id="asr-engine", min_width=150)
            model = gr.Dropdown([(t("transcribe.best"), "")], value="", label=t("transcribe.model"),
                                elem_id="asr-model", min_width=150)
            language = gr.Dropdown([(t("transcribe.detect"), ""), *((t(f"language.{one}"), one) for one in LANGUAGES)],
                                   value="", label=t("transcribe.language"), min_width=150)
        hint = gr.Textbox("", label=t("transcribe.hint"), info=t("transcribe.hint_info"), max_length=1000, lines=2)
        with gr.Row():
            pause = gr.Number(500, precision=0, minimum=50, maximum=5000, label=t("transcribe.pause"),
                              info=t("transcribe.pause_info"), min_width=90)
            limit = gr.Number(15, minimum=2, maximum=30, label=t("transcribe.limit"), info=t("transcribe.limit_info"),
                              min_width=90)
        told = gr.HTML("", apply_default_css=False, elem_id="asr-told", js_on_load=None)
        go = gr.Button(t("transcribe.start"), variant="primary", elem_id="asr-start")
    ctx.watch("asr_engine", engine)

    def start(voice: str | None, name: str | None, *values: Any) -> None:
        chosen_engine, chosen_model, spoken, words, pause_ms, limit_s = values
        if not name:
            raise BadInput(t("cut.no_recording"), t("cut.no_recording_hint"))
        studio.cutting.transcribe(need_voice(t, voice), name, {
            "engine": chosen_engine, "model": chosen_model or None, "language": spoken or None,
            "hint": words.strip() or None, "pause_ms": pause_ms, "limit_s": limit_s,
        })  # fmt: skip

    ctx.on(go.click, start, [ctx.voice, recording, engine, model, language, hint, pause, limit], [], js=saved)

    def models_key(scene: Scene) -> tuple[Any, ...]:
        here = [name for name, ready, _ in studio.cutting.recognisers()[scene.values["asr_engine"]] if ready]
        return (scene.values["asr_engine"], *here)

    def models_render(scene: Scene) -> list[Any]:
        known = studio.cutting.recognisers()
        chosen = scene.values["asr_engine"]
        ready = [name for name, is_here, _ in known[chosen] if is_here]
        names = [(t("transcribe.best") if ready else t("transcribe.none"), ""), *((name, name) for name in ready)]
        return [gr.update(choices=names, value=""), models_html(t, known, chosen), gr.update(interactive=bool(ready))]

    ctx.parts.append(Part([model, told, go], models_key, models_render, page="cutting"))


def models_html(t: Texts, known: Models, engine: str) -> str:
    """Where an engine has no model here: that, and how to import one by hand; nothing where it has."""
    models = known[engine]
    if any(ready for _, ready, _ in models):
        return f'<p class="ts-muted ts-about">{esc(t("transcribe.replaces"))}</p>'
    lines = "".join(f"<dt>{esc(name)}</dt><dd>{esc(by_hand)}</dd>" for name, _, by_hand in models)
    return (f'<div class="ts-note-box" role="status"><p><b>{esc(t("transcribe.no_model"))}</b> '
            f'{esc(t("transcribe.no_model_hint"))}</p><details><summary>{esc(t("transcribe.by_hand"))}</summary>'
            f'<dl class="ts-by-hand">{lines}</dl></details></div>')
