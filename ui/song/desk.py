"""The mixing desk: one strip for the voice, one for the accompaniment, the room, the whole."""

from typing import Any

import gradio as gr

from core.song.options import MixOptions, TrackOptions
from ui.controls import Context, section

Place = tuple[str, ...]


def build_desk(ctx: Context) -> dict[Place, Any]:
    """Draw the desk. Returns the controls by where their values lie in MixOptions."""
    t = ctx.t
    default = MixOptions()
    controls: dict[Place, Any] = {}
    gr.HTML(section(t("song.mix"), t("song.mix_hint")), apply_default_css=False, js_on_load=None)
    with gr.Row(elem_classes="ts-tight"):
        controls["vocals", "level_db"] = _slider(
            -24, 12, 0.0, 0.5, t("song.vocals_level"), t("song.vocals_level_info"), "vocals-level"
        )
        controls["accompaniment", "level_db"] = _slider(
            -24, 12, 0.0, 0.5, t("song.rest_level"), t("song.rest_level_info"), "rest-level"
        )
        controls["reverb",] = _slider(0, 1, default.reverb, 0.01, t("song.reverb"), t("song.reverb_info"), "reverb")
    folded = gr.Accordion(t("song.more"), open=False, elem_id="song-more")
    with folded, gr.Row(elem_classes="ts-cols", equal_height=False):
        for track, title in (("vocals", t("song.vocals")), ("accompaniment", t("song.rest"))):
            with gr.Column(min_width=180):
                controls |= _strip(ctx, track, title)
        with gr.Column(min_width=180):
            controls |= _whole(ctx, default)
    return controls


def mix_of(controls: dict[Place, Any], values: tuple[Any, ...]) -> dict[str, Any]:
    """Values of the controls as MixOptions takes them; an empty field means its default."""
    mix: dict[str, Any] = {}
    for place, value in zip(controls, values, strict=True):
        if value is None:
            continue
        at = mix
        for name in place[:-1]:
            at = at.setdefault(name, {})
        at[place[-1]] = value
    return mix


def _strip(ctx: Context, track: str, title: str) -> dict[Place, Any]:
    t = ctx.t
    gr.HTML(section(title), apply_default_css=False, js_on_load=None)
    default = TrackOptions()
    return {
        (track, "pan"): _slider(-1, 1, default.pan, 0.05, t("song.pan"), t("song.pan_info"), f"{track}-pan"),
        (track, "low_cut_hz"): _slider(
            0, 300, default.low_cut_hz, 10, t("song.low_cut"), t("song.low_cut_info"), f"{track}-low-cut"
        ),
        (track, "low_db"): _slider(-12, 12, default.low_db, 0.5, t("song.low"), t("song.low_info"), f"{track}-low"),
        (track, "mid_db"): _slider(-12, 12, default.mid_db, 0.5, t("song.mid"), t("song.mid_info"), f"{track}-mid"),
        (track, "high_db"): _slider(
            -12, 12, default.high_db, 0.5, t("song.high"), t("song.high_info"), f"{track}-high"
        ),
    }


def _whole(ctx: Context, default: MixOptions) -> dict[Place, Any]:
    t = ctx.t
    gr.HTML(section(t("song.whole_mix")), apply_default_css=False, js_on_load=None)
    controls: dict[Place, Any] = {
        ("room_s",): _slider(0.2, 6, default.room_s, 0.1, t("song.room"), t("song.room_info"), "room"),
        ("pre_delay_ms",): _slider(
            0, 200, default.pre_delay_ms, 5, t("song.pre_delay"), t("song.pre_delay_info"), "pre-delay"
        ),
        ("offset_ms",): _slider(-500, 500, default.offset_ms, 1, t("song.offset"), t("song.offset_info"), "offset"),
    }
    controls["loudness_lufs",] = gr.Number(
        None,
        minimum=-40,
        maximum=-5,
        step=1,
        label=t("song.loudness"),
        info=t("song.loudness_info"),
        placeholder=t("song.loudness_none"),
        elem_id="song-loudness",
    )
    controls["match_vocals",] = gr.Checkbox(default.match_vocals, label=t("song.match"), elem_id="song-match")
    return controls


def _slider(low: float, high: float, value: float, step: float, label: str, info: str, name: str) -> gr.Slider:
    return gr.Slider(
        low, high, value, step=step, label=label, info=info, elem_id=f"song-{name}", min_width=150, buttons=["reset"]
    )
