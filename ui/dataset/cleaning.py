"""The tab of cleaning: steps for recordings, each heard before and after, each taken back or done again."""

from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.cleaning.options import STEPS
from core.errors import StudioError
from ui.controls import Context, Part, Scene, act_of, badge, clock, esc, html_part, need_voice, number, problem_html
from ui.players import Source, player_html
from ui.texts import Texts

if TYPE_CHECKING:
    from core.studio import Studio

_USUAL = ("highpass", "denoise", "loudness")


def build(ctx: Context) -> None:
    """Draw the tab and wire it."""
    t, studio = ctx.t, ctx.studio
    with gr.Column(elem_classes="ts-panel"):
        with gr.Row(elem_classes="ts-tight"):
            steps = gr.CheckboxGroup([(t(f"cleaning.{step}"), step) for step in STEPS], value=list(_USUAL),
                                     label=t("cleaning.steps"), elem_id="clean-steps", scale=1,
                                     elem_classes="ts-inline")
            go = gr.Button(t("cleaning.start"), variant="primary", elem_id="cleaning-start", scale=0, min_width=130)
        with gr.Accordion(t("cleaning.options"), open=False):
            fields = _build_options(ctx)
    table = html_part(elem_id="cleaned")
    player = gr.HTML("", apply_default_css=False, elem_id="cleaned-player", js_on_load=None)
    heard = ctx.watch("cleaned", gr.State(None))

    def start(voice: str | None, chosen: list[str], *values: Any) -> None:
        options = {name: value for name, value in zip(fields, values, strict=True) if value is not None}
        options["steps"] = [step for step in STEPS if step in chosen]
        studio.dataset.clean(need_voice(t, voice), options, [])

    def act(voice: str | None, event: gr.EventData) -> str:
        data, name = act_of(event), need_voice(t, voice)
        if data["act"] == "undo":
            studio.dataset.undo_cleaning(name, data["recording"])
        elif data["act"] == "redo":
            studio.dataset.redo_cleaning(name, data["recording"])
        ctx.bump(name)
        return data["recording"]

    ctx.on(go.click, start, [ctx.voice, steps, *fields.values()])
    ctx.on(table.act, act, [ctx.voice], [heard])

    def key(scene: Scene) -> Hashable:
        return (scene.finished("clean"), scene.revision)

    def table_render(scene: Scene) -> list[Any]:
        return [table_html(t, studio, scene.voice, scene.values["cleaned"])]

    def player_render(scene: Scene) -> list[Any]:
        return [before_after_html(t, studio, scene.voice, scene.values["cleaned"])]

    ctx.parts += [
        Part([table], lambda s: (key(s), s.values["cleaned"]), table_render, page="dataset"),
        Part([player], lambda s: (scene_key(s), s.finished("clean")), player_render, page="dataset"),
    ]


def scene_key(scene: Scene) -> Hashable:
    """What is listened to."""
    return (scene.voice, scene.values["cleaned"])


def _build_options(ctx: Context) -> dict[str, Any]:
    """Names are those of CleanOptions."""
    t = ctx.t
    fields: dict[str, Any] = {}
    with gr.Row():
        fields["highpass_hz"] = gr.Number(70, minimum=10, maximum=500, label=t("cleaning.highpass_hz"),
                                          info=t("cleaning.highpass_hz_info"), min_width=100)
        fields["denoiser"] = gr.Dropdown([(t("cleaning.auto"), "auto"), "deepfilter", "rnnoise", "gate"], value="auto",
                                         label=t("cleaning.denoiser"), info=t("cleaning.denoiser_info"), min_width=120)
        fields["denoise_db"] = gr.Number(100, minimum=3, maximum=100, label=t("cleaning.denoise_db"),
                                         info=t("cleaning.denoise_db_info"), min_width=100)
        fields["gate_db"] = gr.Number(18, minimum=3, maximum=60, label=t("cleaning.gate_db"),
                                      info=t("cleaning.gate_db_info"), min_width=100)
    with gr.Row():
        fields["separator"] = gr.Dropdown(
            [(t("cleaning.auto"), "auto"), *ctx.studio.dataset.separators()], value="auto",
            label=t("cleaning.separator"), info=t("cleaning.separator_info"), min_width=120)
        fields["dereverb_rounds"] = gr.Number(3, precision=0, minimum=1, maximum=10, min_width=100,
                                              label=t("cleaning.dereverb_rounds"),
                                              info=t("cleaning.dereverb_rounds_info"))
        fields["trim_pad_s"] = gr.Number(0.3, minimum=0, maximum=5, label=t("cleaning.trim_pad_s"),
                                         info=t("cleaning.trim_pad_s_info"), min_width=100)
        fields["target_lufs"] = gr.Number(-20, minimum=-40, maximum=-8, label=t("cleaning.target_lufs"),
                                          info=t("cleaning.target_lufs_info"), min_width=100)
    return fields


def table_html(t: Texts, studio: "Studio", voice: str | None, heard: str | None) -> str:
    """The recordings with the steps that were done to each, and how many of them are in use."""
    names = studio.cutting.recordings(voice) if voice else []
    if not voice or not names:
        return f'<p class="ts-empty">{esc(t("dataset.no_recordings"))}</p>'
    lengths = {one.path.name: one.duration_s for one in studio.recordings(voice)}
    rows = ""
    for name in names:
        found = studio.dataset.cleaned(voice, name)
        steps, acts = f'<span class="ts-muted">{esc(t("cleaning.as_recorded"))}</span>', ""
        if found is not None:
            record, files = found
            steps = " ".join(
                badge(t(f"cleaning.{step}"), "ok" if at < record.active else "off")
                for at, (step, _) in enumerate(files))
            acts = "".join(
                f'<button type="button" class="ts-btn" data-act="{act}" data-recording="{esc(name)}"'
                f'{"" if on else " disabled"}>{esc(t(key))}</button> '
                for act, key, on in (
                    ("hear", "cleaning.hear", True), ("undo", "cleaning.undo", record.active > 0),
                    ("redo", "cleaning.redo", record.active < len(files))))  # fmt: skip
        rows += (f'<tr aria-selected="{"true" if name == heard else "false"}"><td class="ts-ell" title="{esc(name)}">'
                 f'{esc(name)}</td><td class="ts-num">{clock(lengths.get(Path(name).name))}</td><td>{steps}</td>'
                 f'<td class="ts-num">{acts}</td></tr>')
    head = "".join(f'<th scope="col"{cls}>{esc(t(key))}</th>' for key, cls in (
        ("cut.recording", ""), ("clip.length", ' class="ts-num"'), ("cleaning.steps", "")))
    return (f'<div class="ts-table-box"><table class="ts-table ts-cleaned"><thead><tr>{head}<th scope="col">'
            f'<span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead><tbody>{rows}</tbody></table></div>')


def before_after_html(t: Texts, studio: "Studio", voice: str | None, name: str | None) -> str:
    """The recording and the sound after each step with one switch, and what each step changed."""
    if not voice or not name or name not in studio.cutting.recordings(voice):
        return ""
    found = studio.dataset.cleaned(voice, name)
    if found is None:
        return ""
    record, files = found
    sources = [Source(t("cleaning.before"), studio.cutting.audio(voice, name)),
               *(Source(t(f"cleaning.{step}"), path) for step, path in files)]
    try:
        player = player_html(t, sources)
    except StudioError as error:
        return problem_html(t, error.to_dict())
    lines = ""
    for step in record.steps:
        told = t("cleaning.told", lufs_before=number(step.before.get("lufs")), lufs=number(step.after.get("lufs")),
                 snr_before=number(step.before.get("snr_db"), 0), snr=number(step.after.get("snr_db"), 0))
        notes = "; ".join(step.notes)
        lines += f"<li><b>{esc(t(f'cleaning.{step.name}'))}</b> {esc(told)} {esc(notes)}</li>"
    return (f'<div class="ts-detail"><div class="ts-detail-head"><b class="ts-ell">{esc(name)}</b></div>{player}'
            f'<ul class="ts-notes">{lines}</ul></div>')
