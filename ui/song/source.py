"""What a song is made from: the whole song, or its two stems. Kept under the outputs, so that it can be heard later."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui.controls import Context, esc, section
from ui.players import Source, player_html
from ui.uploads import kept_if_good

WHOLE, STEMS = "whole", "stems"


def build_source(ctx: Context) -> tuple[gr.Radio, dict[str, gr.State]]:
    """The choice and its drop zones. Returns the choice and the paths by the names of SongOptions."""
    t = ctx.t
    gr.HTML(section(t("song.source")), apply_default_css=False, js_on_load=None)
    kind = gr.Radio([(t("song.whole"), WHOLE), (t("song.stems"), STEMS)], value=WHOLE, show_label=False,
                    label=t("song.source"), elem_id="song-kind", elem_classes="ts-inline", container=False)
    paths: dict[str, gr.State] = {}
    with gr.Column(scale=0) as whole:
        paths["source"] = _drop(ctx, "source", t("song.drop_song"))
        if not ctx.studio.songs.separators():
            gr.HTML(f'<p class="ts-muted ts-about">{esc(t("song.no_separator"))}</p>', apply_default_css=False,
                    js_on_load=None)
    with gr.Column(visible=False, scale=0) as stems:
        paths["vocals"] = _drop(ctx, "vocals", t("song.drop_vocals"))
        paths["accompaniment"] = _drop(ctx, "accompaniment", t("song.drop_rest"))
    kind.change(lambda chosen: (gr.update(visible=chosen == WHOLE), gr.update(visible=chosen == STEMS)), [kind],
                [whole, stems], queue=False, show_progress="hidden", api_visibility="private")
    return kind, paths


def _drop(ctx: Context, name: str, label: str) -> gr.State:
    drop = gr.File(file_count="single", height=64, elem_id=f"song-{name}", elem_classes="ts-drop", show_label=False,
                   label=label)
    gr.HTML(f'<p class="ts-muted ts-about">{esc(label)}</p>', apply_default_css=False, js_on_load=None)
    preview = gr.HTML("", apply_default_css=False, elem_id=f"song-{name}-player", js_on_load=None)
    path = gr.State(None)
    ctx.on(drop.upload, _keeper(ctx), [drop], [drop, path, preview], show_progress="minimal",
           failed=(None, gr.skip(), gr.skip()))
    return path


def _keeper(ctx: Context) -> Callable[[str | None], tuple[Any, Any, str]]:
    def take(file: str | None) -> tuple[Any, Any, str]:
        if not file:
            return None, gr.skip(), ""
        with kept_if_good(ctx.studio, file) as kept:
            player = player_html(ctx.t, [Source(kept.name, kept)], height=32)
        return None, str(kept), f'<div class="ts-ell ts-file" title="{esc(kept.name)}">{esc(kept.name)}</div>{player}'

    return take
