"""Presets on the page: chosen, kept under a name, shared as a file."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import gradio as gr

from core.engines.sovits.preset_store import KEPT
from core.errors import BadInput
from ui.controls import Context, Part, Scene, esc, file_url
from ui.convert.form import Form


def build(ctx: Context, form: Form) -> gr.Dropdown:
    """The choice of a preset, and a folded group that keeps, shares and deletes them."""
    t = ctx.t
    with gr.Accordion(t("convert.group_presets"), open=False, elem_id="convert-presets"):
        choice = gr.Dropdown([], value=None, label=t("convert.preset"), info=t("convert.preset_info"), elem_id="preset")
        with gr.Row(elem_classes="ts-tight"):
            name = gr.Textbox("", label=t("convert.preset_name"), lines=1, max_lines=1, elem_id="preset-name",
                              min_width=120)
            save = gr.Button(t("convert.preset_save"), size="sm", elem_id="preset-save", scale=0, min_width=70)
        with gr.Row(elem_classes="ts-tight"):
            taken = gr.UploadButton(t("convert.preset_import"), file_types=[".json"], size="sm", min_width=70,
                                    elem_id="preset-import")
            remove = gr.Button(t("convert.preset_delete"), size="sm", elem_id="preset-delete", min_width=70)
            shared = gr.HTML("", apply_default_css=False, elem_id="preset-shared", js_on_load=None)
    made = ctx.watch("presets_changed", gr.State(0))
    presets = ctx.studio.conversion.presets
    kept = tuple(field for field in form.fields if field not in KEPT and field != "auto")

    def use(preset: str | None) -> list[Any]:
        if not preset:
            return [gr.skip()] * (len(form.fields) + 1)
        target = presets.export(preset, ctx.studio.settings.outputs / "presets" / f"{preset}.json")
        link = (f'<a class="ts-btn" href="{esc(file_url(t.lang, target))}" download="{esc(target.name)}">'
                f'{esc(t("convert.preset_export"))}</a>')
        return [*form.put(presets.get(preset).options, kept), link]

    def keep(wanted: str, count: int, *values: Any) -> tuple[Any, Any, int]:
        saved = presets.save(wanted, form.read(values))
        return gr.update(choices=names(), value=saved.name), "", count + 1

    def take(file: str | None, count: int) -> tuple[Any, int]:
        if not file:
            return gr.skip(), count
        try:
            return gr.update(choices=names(), value=presets.import_file(Path(file)).name), count + 1
        finally:
            Path(file).unlink(missing_ok=True)

    def drop(preset: str | None, count: int) -> tuple[Any, str, int]:
        if not preset:
            raise BadInput(t("convert.preset_none"), t("convert.preset_info"))
        presets.delete(preset)
        return gr.update(choices=names(), value=None), "", count + 1

    def names() -> list[tuple[str, str]]:
        return [(t("convert.preset_built_in", name=one.name) if one.built_in else one.name, one.name)
                for one in presets.list()]

    # "change": also for a choice made by the keyboard, and for one that was just saved or imported.
    ctx.on(choice.change, use, [choice], [*form.inputs, shared])
    ctx.on(save.click, keep, [name, made, *form.inputs], [choice, name, made])
    ctx.on(taken.upload, take, [taken, made], [choice, made])
    ctx.on(remove.click, drop, [choice, made], [choice, shared, made])

    def key(scene: Scene) -> Hashable:
        return tuple(one.name for one in presets.list())

    ctx.parts.append(Part([choice], key, lambda scene: [gr.update(choices=names())], page="convert"))
    return choice
