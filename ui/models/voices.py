"""The models of all voices, and what can be done with each: compress, export, behave as 4.1-latest, rename, mix."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput
from ui.controls import (
    Context,
    Part,
    Scene,
    act_of,
    esc,
    file_url,
    html_part,
    job_actions,
    job_key,
    job_panel,
    number,
    section,
    when,
)

if TYPE_CHECKING:
    from core.jobs.model import Job
    from core.summaries import ModelSummary
    from ui.texts import Texts

EXPORT = "export-onnx"


def all_models(ctx: Context) -> "list[ModelSummary]":
    """Of every voice, newest first."""
    found = [model for voice in ctx.studio.voices() for model in ctx.studio.voice_models(voice.name)]
    return sorted(found, key=lambda model: model.created, reverse=True)


def table_html(t: "Texts", models: "list[ModelSummary]", latest: set[str]) -> str:
    """One row a model."""
    if not models:
        return (f'<div class="ts-empty-box"><p>{esc(t("models.none"))}</p>'
                f'<p>{esc(t("models.none_next"))}</p></div>')
    heads = "".join(f'<th scope="col">{esc(t(f"models.col_{one}"))}</th>' for one in (
        "voice", "model", "preset", "encoder", "step", "made"))
    rows = ""
    for model in models:
        where = f'data-voice="{esc(model.voice)}" data-model="{esc(model.name)}"'
        newest = str(model.path) in latest
        acts = _button(where, "compress", t("models.compress"), t("models.compress_hint"))
        acts += _button(where, "half", t("models.half"), t("models.half_hint"))
        acts += _button(where, "onnx", t("models.onnx"), t("models.onnx_hint"))
        other = "stable" if newest else "latest"
        acts += _button(where, other, t(f"models.as_{other}"), t("models.behave_hint"))
        acts += (f'<button type="button" class="ts-btn ts-danger" data-act="delete" {where} '
                 f'data-confirm="{esc(t("models.delete_sure", model=model.name))}">{esc(t("models.delete"))}</button>')
        rows += (f'<tr><td class="ts-ell">{esc(model.voice)}</td><td class="ts-ell" title="{esc(model.path)}">'
                 f'{esc(model.name)}</td><td>{esc(model.preset)}</td><td>{esc(model.encoder)}</td>'
                 f'<td class="ts-num">{model.step:,}</td><td>{when(t, model.created)}</td>'
                 f'<td class="ts-num ts-wrap">{acts}</td></tr>')
    return (f'<div class="ts-table-box"><table class="ts-table ts-models"><thead><tr>{heads}<th scope="col">'
            f'<span class="ts-sr">{esc(t("run.actions"))}</span></th></tr></thead><tbody>{rows}</tbody></table></div>')


def exported_html(t: "Texts", job: "Job | None") -> str:
    """The newest ONNX export with its files to download; nothing before the first, or when the file is gone."""
    result = job.result if job is not None else None
    if not result or not Path(result["onnx"]).is_file():
        return ""
    links = "".join(f'<a class="ts-link" href="{esc(file_url(t.lang, result[key]))}" download>{esc(label)}</a> '
                    for key, label in (("onnx", t("models.onnx_get")), ("json", t("models.onnx_card"))))
    told = t("models.onnx_made", name=Path(result["onnx"]).name, megabytes=number(result["bytes"] / 1e6),
             difference=f'{result["largest_difference"]:.0e}')
    return f'<div class="ts-note-box" role="status"><p>{esc(told)}</p><p>{links}</p></div>'


def _button(where: str, act: str, label: str, hint: str) -> str:
    return f'<button type="button" class="ts-btn" data-act="{act}" {where} title="{esc(hint)}">{esc(label)}</button> '


def build(ctx: Context) -> None:
    """Draw the tab and wire it."""
    t = ctx.t
    job = html_part(elem_id="onnx-job")
    job_actions(ctx, job)
    exported = html_part(elem_id="onnx-made")
    _follow_export(ctx, job, exported)
    table = html_part(elem_id="voice-models")
    changed = ctx.watch("models_changed", gr.State(0))
    gr.HTML(section(t("models.mix"), t("models.mix_hint")), apply_default_css=False, js_on_load=None)
    with gr.Row(elem_classes="ts-tight"):
        parts = gr.Dropdown([], multiselect=True, label=t("models.mix_parts"), elem_id="mix-parts", min_width=190,
                            allow_custom_value=True)
        rates = gr.Textbox(label=t("models.mix_rates"), placeholder="50, 50", elem_id="mix-rates", min_width=80,
                           max_lines=1)
        mode = gr.Dropdown([(t("models.mix_convex"), "convex"), (t("models.mix_linear"), "linear")], value="convex",
                           label=t("models.mix_mode"), min_width=120)
        name = gr.Textbox(label=t("models.new_name"), elem_id="mix-name", min_width=90, max_lines=1)
        mix = gr.Button(t("models.mix_do"), size="sm", elem_id="mix", min_width=60)
    with gr.Row(elem_classes="ts-tight"):
        which = gr.Dropdown([], label=t("models.col_model"), elem_id="rename-which", min_width=220,
                            allow_custom_value=True)
        new = gr.Textbox(label=t("models.new_name"), elem_id="rename-new", min_width=160, max_lines=1)
        rename = gr.Button(t("models.rename"), size="sm", elem_id="rename", min_width=80)
    _wire(ctx, table, changed)

    def do_mix(chosen: list[str], text: str, how: str, called: str, count: int) -> tuple[int, Any, str]:
        values = _rates(text, chosen)
        voice = chosen[0].split("/")[0] if chosen else ""
        ctx.studio.models.mix(voice, dict(zip(chosen, values, strict=True)), "linear" if how == "linear" else "convex",
                              called)
        return count + 1, gr.update(value=[]), ""

    def do_rename(model: str | None, called: str, count: int) -> tuple[int, Any, str]:
        voice, _, own = (model or "").rpartition("/")
        ctx.studio.models.rename(voice, own, called)
        return count + 1, gr.update(value=None), ""

    ctx.on(mix.click, do_mix, [parts, rates, mode, name, changed], [changed, parts, name], show_progress="minimal")
    ctx.on(rename.click, do_rename, [which, new, changed], [changed, which, new])

    def names_render(_: Scene) -> list[Any]:
        names = [f"{model.voice}/{model.name}" for model in all_models(ctx)]
        return [gr.update(choices=names), gr.update(choices=names)]

    ctx.parts.append(Part([parts, which], lambda s: _key(ctx, s), names_render, page="models"))


def _follow_export(ctx: Context, job: gr.HTML, exported: gr.HTML) -> None:
    def made(scene: Scene) -> "Job | None":
        return next((one for one in scene.jobs if one.kind == EXPORT and one.state == "completed"), None)

    ctx.parts += [
        Part([job], lambda s: job_key(s.latest(EXPORT)), lambda s: [job_panel(ctx.t, s.latest(EXPORT))], page="models"),
        Part([exported], lambda s: (one := made(s)) and one.id, lambda s: [exported_html(ctx.t, made(s))],
             page="models"),
    ]


def _rates(text: str, chosen: list[str]) -> list[float]:
    """Percentages as typed; none typed means equal ones. Raises BadInput."""
    words = text.replace("%", " ").replace(",", " ").replace("，", " ").split()
    if not words:
        return [100.0 / max(1, len(chosen))] * len(chosen)
    try:
        values = [float(word) for word in words]
    except ValueError as err:
        raise BadInput(f"{text!r} are no percentages.", "Write for example 50, 50.", where="rates") from err
    if len(values) != len(chosen):
        raise BadInput(f"There are {len(chosen)} models and {len(values)} percentages.", "Write one for each model.")
    return values


def _key(ctx: Context, scene: Scene) -> Any:
    return (scene.values["models_changed"], max((j.id for j in scene.jobs if not j.active), default=0))


def _wire(ctx: Context, table: gr.HTML, changed: gr.State) -> None:
    studio = ctx.studio

    def act(count: int, event: gr.EventData) -> int:
        data = act_of(event)
        voice, model = data["voice"], data["model"]
        if data["act"] in ("compress", "half"):
            studio.models.compress(voice, model, half=data["act"] == "half")
        elif data["act"] == "onnx":
            studio.models.export_onnx(voice, model)
        elif data["act"] in ("latest", "stable"):
            studio.models.behave(voice, model, f"4.1-{data['act']}")
        elif data["act"] == "delete":
            studio.models.delete(voice, model)
        return count + 1

    ctx.on(table.act, act, [changed], [changed], show_progress="minimal")

    def render(_: Scene) -> list[Any]:
        models = all_models(ctx)
        return [table_html(ctx.t, models, {str(m.path) for m in models if studio.models.behaves_as_latest(m.path)})]

    ctx.parts.append(Part([table], lambda s: _key(ctx, s), render, page="models"))
