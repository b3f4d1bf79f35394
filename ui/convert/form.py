"""The settings of a conversion: what most people need in sight, the rest in folded groups."""

from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from ui.controls import Context, section
from ui.texts import Texts

PITCHES = ("fcpe", "rmvpe", "crepe", "harvest", "dio", "pm")
SAMPLERS = ("ddim", "pndm", "dpm-solver", "dpm-solver++", "unipc", "naive")
_ZERO_IS_NONE = ("f0_threshold", "speedup")  # an empty number comes from the browser as 0


@dataclass
class Form:
    """Controls by the names of the options that they set. `auto` (key) and `drawn` (pitch) are switches of the page."""

    fields: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    suggest: gr.Button | None = None
    told: gr.HTML | None = None
    lacking: gr.HTML | None = None

    def add(self, name: str, component: Any) -> Any:
        """A control; the value it was built with is the default that it goes back to."""
        self.fields[name] = component
        self.defaults[name] = component.value
        return component

    @property
    def inputs(self) -> list[Any]:
        """The controls in order."""
        return list(self.fields.values())

    def read(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """Options of the controls' values; what is empty keeps its default."""
        options = {name: value for name, value in zip(self.fields, values, strict=True) if value not in (None, "")}
        for name in _ZERO_IS_NONE:
            if not options.get(name):
                options.pop(name, None)
        if options.pop("auto", False):
            options["transpose"] = "auto"
        options.pop("drawn", None)
        if options.get("diffusion") != "shallow":
            options.pop("second_encoding", None)
        return options

    def drawn(self, values: tuple[Any, ...]) -> bool:
        """Whether a drawn pitch is to be used."""
        return bool(dict(zip(self.fields, values, strict=True))["drawn"])

    def put(self, options: dict[str, Any], keep: tuple[str, ...] = ()) -> list[Any]:
        """New values of all controls for these options; others go back to their defaults, but for `keep`."""
        auto = options.get("transpose") == "auto"
        wanted = {**options, "auto": auto}
        if auto:
            wanted.pop("transpose")
        updates: list[Any] = []
        for name in self.fields:
            if name in wanted and wanted[name] is not None:
                updates.append(gr.update(value=wanted[name]))
            elif name in keep:
                updates.append(gr.skip())
            else:
                updates.append(gr.update(value=self.defaults[name]))
        return updates


def build_form(ctx: Context) -> Form:
    """Draw the controls."""
    t, form = ctx.t, Form()
    gr.HTML(section(t("convert.settings")), apply_default_css=False, js_on_load=None)
    with gr.Row(elem_classes="ts-tight"):
        form.add("model", gr.Dropdown([(t("convert.newest"), "")], value="", label=t("convert.model"), elem_id="model",
                                      min_width=120))
        form.add("speaker", gr.Dropdown([], value=None, label=t("convert.speaker"), elem_id="speaker", visible=False,
                                        allow_custom_value=True, min_width=90))
    key = form.add("transpose", gr.Slider(-24, 24, 0, step=1, label=t("convert.key"), info=t("convert.key_info"),
                                          elem_id="key", buttons=["reset"]))
    with gr.Row(elem_classes="ts-tight"):
        auto = form.add("auto", gr.Checkbox(False, label=t("convert.auto"), elem_id="key-auto", min_width=90,
                                            container=False))
        form.suggest = gr.Button(t("convert.suggest"), size="sm", elem_id="key-suggest", min_width=100)
    form.told = gr.HTML("", apply_default_css=False, elem_id="key-told", js_on_load=None)
    auto.change(lambda on: gr.update(interactive=not on), [auto], [key], queue=False, show_progress="hidden",
                api_visibility="private")
    form.add("format", gr.Radio(["wav", "flac", "mp3"], value="wav", label=t("convert.format"),
                                elem_classes="ts-inline"))
    _pitch(t, form)
    _likeness(t, form)
    _diffusion(t, form)
    _cutting(t, form)
    return form


def _pitch(t: Texts, form: Form) -> None:
    with gr.Accordion(t("convert.group_pitch"), open=False, elem_id="convert-pitch"):
        with gr.Row():
            form.add("pitch", gr.Dropdown(list(PITCHES), value="fcpe", label=t("convert.predictor"), min_width=110,
                                          info=t("convert.predictor_info"), elem_id="predictor"))
            form.add("f0_threshold", gr.Number(0, minimum=0, maximum=1, step=0.01, label=t("convert.threshold"),
                                               info=t("convert.threshold_info"), min_width=110, elem_id="threshold"))
        form.add("drawn", gr.Checkbox(True, label=t("convert.drawn"), info=t("convert.drawn_info"), elem_id="drawn"))
        form.add("predict_f0", gr.Checkbox(False, label=t("convert.predict_f0"), info=t("convert.predict_f0_info")))


def _likeness(t: Texts, form: Form) -> None:
    with gr.Accordion(t("convert.group_likeness"), open=False, elem_id="convert-likeness"):
        form.add("blend", gr.Slider(0, 1, 0, step=0.05, label=t("convert.blend"), info=t("convert.blend_info"),
                                    elem_id="blend", buttons=["reset"]))
        form.add("blend_by", gr.Radio([(t("convert.by_kmeans"), "kmeans"), (t("convert.by_retrieval"), "retrieval")],
                                      value="kmeans", label=t("convert.blend_by"), info=t("convert.blend_by_info"),
                                      elem_classes="ts-inline"))
        form.add("blend_file", gr.Textbox("", label=t("convert.blend_file"), info=t("convert.beside_info"), lines=1,
                                          max_lines=1))


def _diffusion(t: Texts, form: Form) -> None:
    with gr.Accordion(t("convert.group_diffusion"), open=False, elem_id="convert-diffusion"):
        form.add("diffusion", gr.Radio(
            [(t("convert.diffusion_off"), "off"), (t("convert.diffusion_shallow"), "shallow"),
             (t("convert.diffusion_only"), "only")], value="off", label=t("convert.diffusion"),
            info=t("convert.diffusion_info"), elem_classes="ts-inline", elem_id="diffusion"))
        form.lacking = gr.HTML("", apply_default_css=False, elem_id="convert-lacking", js_on_load=None)
        form.add("k_step", gr.Slider(1, 1000, 100, step=1, label=t("convert.k_step"), info=t("convert.k_step_info"),
                                     elem_id="k-step", buttons=["reset"]))
        with gr.Row():
            form.add("sampler", gr.Dropdown([(t("convert.from_model"), ""), *SAMPLERS], value="", min_width=110,
                                            label=t("convert.sampler"), info=t("convert.sampler_info")))
            form.add("speedup", gr.Number(0, precision=0, minimum=0, maximum=1000, label=t("convert.speedup"),
                                          info=t("convert.speedup_info"), min_width=110))
        form.add("second_encoding", gr.Checkbox(False, label=t("convert.second"), info=t("convert.second_info")))
        form.add("diffusion_model", gr.Textbox("", label=t("convert.diffusion_model"), info=t("convert.beside_info"),
                                               lines=1, max_lines=1))
        form.add("enhance", gr.Checkbox(False, label=t("convert.enhance"), info=t("convert.enhance_info"),
                                        elem_id="enhance"))
        form.add("enhancer_key", gr.Slider(-12, 12, 0, step=1, label=t("convert.enhancer_key"), buttons=["reset"],
                                           info=t("convert.enhancer_key_info")))
        form.add("vocoder", gr.Textbox("", label=t("convert.vocoder"), info=t("convert.vocoder_info"), lines=1,
                                       max_lines=1))


def _cutting(t: Texts, form: Form) -> None:
    with gr.Accordion(t("convert.group_cutting"), open=False, elem_id="convert-options"):
        form.add("noise_scale", gr.Slider(0, 1, 0.4, step=0.05, label=t("convert.noise"), info=t("convert.noise_info"),
                                          buttons=["reset"]))
        form.add("loudness_envelope", gr.Slider(0, 1, 1, step=0.05, label=t("convert.envelope"), buttons=["reset"],
                                                info=t("convert.envelope_info")))
        form.add("slice_db", gr.Slider(-60, -20, -40, step=1, label=t("convert.slice"), info=t("convert.slice_info"),
                                       buttons=["reset"]))
        with gr.Row():
            form.add("pad_s", gr.Number(0.5, minimum=0, maximum=5, step=0.1, label=t("convert.pad"),
                                        info=t("convert.pad_info"), min_width=110))
            form.add("clip_s", gr.Number(0, minimum=0, maximum=120, step=1, label=t("convert.clip"),
                                         info=t("convert.clip_info"), min_width=110))
        with gr.Row():
            form.add("crossfade_s", gr.Number(0, minimum=0, maximum=30, step=0.1, label=t("convert.crossfade"),
                                              info=t("convert.crossfade_info"), min_width=110))
            form.add("crossfade_keep", gr.Number(0.75, minimum=0.05, maximum=1, step=0.05, label=t("convert.keep"),
                                                 info=t("convert.keep_info"), min_width=110))
        form.add("seed", gr.Number(52468, precision=0, minimum=0, label=t("convert.seed"), info=t("convert.seed_info"),
                                   min_width=80))
