"""What is converted: recordings, or a folder of them, or a text that an engine says first."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from core.errors import StudioError
from core.text_to_voice.options import TextOptions
from ui.controls import Context, esc, section
from ui.players import Source, player_html
from ui.texts import Texts
from ui.uploads import keep

SOUND, TEXT = "sound", "text"


@dataclass
class Chosen:
    """The controls. `text`: those of a text by the names of TextOptions."""

    kind: gr.Radio
    paths: gr.State
    folder: gr.Textbox
    text: dict[str, Any] = field(default_factory=dict)

    def put_text(self, options: dict[str, Any]) -> list[Any]:
        """New values of kind and text controls for the params of a text's job."""
        return [TEXT, *(gr.update(value=options.get(name, TextOptions.model_fields[name].default))
                        for name in self.text)]


def build(ctx: Context) -> Chosen:
    """Draw and wire it."""
    t = ctx.t
    gr.HTML(section(t("convert.source")), apply_default_css=False, js_on_load=None)
    kind = gr.Radio([(t("convert.sound"), SOUND), (t("convert.text"), TEXT)], value=SOUND, show_label=False,
                    label=t("convert.source"), elem_id="source-kind", elem_classes="ts-inline", container=False)
    with gr.Column(scale=0) as sound:
        paths, folder = _recordings(ctx)
    with gr.Column(visible=False, scale=0) as written:
        text = _text(ctx)
    kind.change(lambda chosen: (gr.update(visible=chosen == SOUND), gr.update(visible=chosen == TEXT)), [kind],
                [sound, written], queue=False, show_progress="hidden", api_visibility="private")
    return Chosen(kind, paths, folder, text)


def _recordings(ctx: Context) -> tuple[gr.State, gr.Textbox]:
    """Drop zone and recorder; returns the state that holds the paths of the sources, and the field of a folder."""
    t, studio = ctx.t, ctx.studio
    drop = gr.File(file_count="multiple", height=76, elem_id="source", elem_classes="ts-drop", show_label=False,
                   label=t("convert.drop"))
    record = gr.Button(t("dataset.record"), size="sm", elem_id="source-record")
    microphone = gr.Audio(sources=["microphone"], type="filepath", format="wav", visible=False, editable=False,
                          label=t("dataset.microphone"), elem_classes="ts-mic")
    preview = gr.HTML("", apply_default_css=False, elem_id="source-player", js_on_load=None)
    with gr.Accordion(t("convert.group_folder"), open=False, elem_id="convert-folder"):
        folder = gr.Textbox("", label=t("convert.folder"), info=t("convert.folder_info"), lines=1, max_lines=1,
                            elem_id="folder")
    source = ctx.watch("sources", gr.State(None))
    shown = gr.State(False)
    record.click(lambda now: (not now, gr.update(visible=not now)), [shown], [shown, microphone], queue=False,
                 show_progress="hidden", api_visibility="private")

    def take(given: str | list[str] | None) -> tuple[Any, Any, Any]:
        """Keep the sources beside the outputs, so that before and after can be compared later too."""
        files = [given] if isinstance(given, str) else given or []
        if not files:
            return None, gr.skip(), gr.skip()
        kept = [keep(studio, file) for file in files]
        try:
            player = player_html(t, [Source(kept[0].name, kept[0])], height=40)
        except StudioError:
            if len(kept) == 1:
                kept[0].unlink(missing_ok=True)
                raise
            player = ""  # one of several that cannot be read: the batch says so at its turn
        return None, [str(path) for path in kept], sources_html(kept) + player

    for event, component in ((drop.upload, drop), (microphone.stop_recording, microphone)):
        ctx.on(event, take, [component], [component, source, preview], show_progress="minimal",
               failed=(None, gr.skip(), gr.skip()))
    return source, folder


def sources_html(paths: list[Path]) -> str:
    """The names of what was dropped."""
    if len(paths) == 1:
        return f'<div class="ts-ell ts-file" title="{esc(paths[0].name)}">{esc(paths[0].name)}</div>'
    rows = "".join(f'<li><span class="ts-ell" title="{esc(p.name)}">{esc(p.name)}</span></li>' for p in paths)
    return f'<ul class="ts-list ts-sources">{rows}</ul>'


def _text(ctx: Context) -> dict[str, Any]:
    """What is said, and by whom first; returns the controls by the names of TextOptions."""
    t, desk = ctx.t, ctx.studio.texts
    default = {name: info.default for name, info in TextOptions.model_fields.items()}
    text = gr.Textbox("", lines=4, max_lines=10, label=t("convert.text_said"), placeholder=t("convert.text_hint"),
                      elem_id="said-text")
    engines = [(t(f"convert.engine_{one.name}") + ("" if one.ready else t("convert.not_installed")), one.name)
               for one in desk.engines()]
    engine = gr.Dropdown(engines, value=default["engine"], label=t("convert.engine"), info=t("convert.about_builtin"),
                         elem_id="said-engine")
    with gr.Row(elem_classes="ts-tight"):
        language = gr.Dropdown(_languages(t), value="auto", label=t("language.label"), allow_custom_value=True,
                               elem_id="said-language", min_width=110)
        speaker = gr.Dropdown(_speakers(ctx, "builtin", "auto", ""), value=default["speaker"], allow_custom_value=True,
                              label=t("convert.said_by"), elem_id="said-by", min_width=110)
    seen = gr.HTML("", apply_default_css=False, elem_id="said-seen", js_on_load=None)
    rate = gr.Slider(0.5, 2, default["rate"], step=0.05, label=t("convert.rate"), info=t("convert.rate_info"),
                     elem_id="said-rate", buttons=["reset"])
    volume = gr.Slider(-20, 20, default["volume_db"], step=1, label=t("convert.volume"), info=t("convert.volume_info"),
                       elem_id="said-volume", buttons=["reset"])

    def look(words: str, code: str) -> str:
        if code != "auto" or not words.strip():
            return ""
        said = t("convert.seen", language=t.of("language", desk.language(words)))
        return f'<p class="ts-muted ts-about" role="status">{esc(said)}</p>'

    def ask(name: str, code: str, words: str) -> tuple[Any, Any]:
        choices = _speakers(ctx, name, code, words)
        return (gr.update(choices=choices, value=choices[0][1] if choices else ""),
                gr.update(info=t(f"convert.about_{name}")))

    for event in (text.blur, language.change):
        ctx.on(event, look, [text, language], [seen])
    ctx.on(engine.change, ask, [engine, language, text], [speaker, engine])
    ctx.on(language.change, lambda *values: ask(*values)[0], [engine, language, text], [speaker])
    return {"text": text, "engine": engine, "language": language, "speaker": speaker, "rate": rate,
            "volume_db": volume}


def _languages(t: Texts) -> list[tuple[str, str]]:
    """Those that the studio can tell apart; a code of another may be typed."""
    codes = ("en", "zh", "ja", "ko", "de", "fr", "es", "it", "pt", "nl", "ru")
    return [(t("convert.language_auto"), "auto"), *((t.of("language", code), code) for code in codes)]


def _speakers(ctx: Context, engine: str, language: str, words: str) -> list[tuple[str, str]]:
    """Choices of who says it; Piper has no automatic one."""
    desk = ctx.studio.texts
    found = desk.speakers(engine, desk.language(words) if language == "auto" else language)
    if engine == "piper":
        return [(Path(path).stem, path) for path in found]
    return [(ctx.t("convert.said_by_auto"), "auto"), *((ctx.t.of("convert.said_by", name), name) for name in found)]
