"""The tab of a cleaning: three ways to whole sentences, and a review in which each of them is taken or refused."""

import json
from collections.abc import Hashable
from typing import Any

import gradio as gr

from core.errors import BadInput
from ui.controls import Context, Part, Scene, act_of, need_voice
from ui.cutting.place import place
from ui.cutting.review import review_html

WAYS = ("rules", "endpoint", "answer")
REVIEW_JS = "TS.review(element, trigger, watch); /* 'act' */"


def build(ctx: Context, recording: gr.Dropdown, saved: str) -> None:
    """Draw the tab and wire it. ``saved``: the script that saves the cues before an event."""
    t, studio = ctx.t, ctx.studio
    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=300, elem_classes="ts-left"):
            way = gr.Radio([(t(f"clean.way_{one}"), one) for one in WAYS], value="rules", label=t("clean.way"),
                           elem_id="clean-way", elem_classes="ts-radio")
            endpoint = _build_endpoint(ctx)
            prompt, texts, answer = _build_prompt(ctx)
            go = gr.Button(t("clean.start"), variant="primary", elem_id="clean-start")
            glossary = gr.Textbox("", label=t("clean.glossary"), info=t("clean.glossary_info"), lines=2, max_lines=2,
                                  elem_id="clean-glossary")
            with gr.Accordion(t("clean.options"), open=False):
                merge = _build_merge(ctx)
        with gr.Column(scale=1, min_width=400, elem_classes="ts-main"):
            review = gr.HTML("", js_on_load=REVIEW_JS, apply_default_css=False, elem_id="review")
    page = ctx.watch("review_page", gr.State(0))

    def shown(now: str) -> list[Any]:
        return [gr.update(visible=now == "endpoint"), gr.update(visible=now == "answer"),
                gr.update(value=t("clean.check" if now == "answer" else "clean.start"))]

    way.change(shown, [way], [endpoint, prompt, go], queue=False, show_progress="hidden", api_visibility="private")

    def recording_of(voice: str | None, name: str | None) -> tuple[str, str]:
        if not name:
            raise BadInput(t("cut.no_recording"), t("cut.no_recording_hint"))
        return need_voice(t, voice), name

    def start(voice: str | None, name: str | None, how: str, pasted: str, terms: str, *values: Any) -> int:
        at = recording_of(voice, name)
        studio.cutting.set_glossary(at[0], terms)
        if how == "answer" and not pasted.strip():
            raise BadInput(t("clean.no_answer"), t("clean.no_answer_hint"))
        options = {key: value for key, value in zip(merge, values, strict=True) if value is not None}
        studio.cutting.clean(*at, how, options, pasted)
        return 0

    def ask(voice: str | None, name: str | None, terms: str) -> str:
        at = recording_of(voice, name)
        studio.cutting.set_glossary(at[0], terms)
        return "\n\n\n".join(studio.cutting.prompts(*at))

    def act(voice: str | None, name: str | None, event: gr.EventData) -> Any:
        data, at = act_of(event), recording_of(voice, name)
        if data.get("act") == "page":
            return int(data["pageTo"])
        if data.get("act") == "drop":
            studio.cutting.drop_review(*at)
        if data.get("act") == "take":
            flipped = set(json.loads(data.get("flipped") or "[]"))
            rows = [row for row in studio.cutting.review(*at) if row["position"] is not None]
            take = {row["position"] for row in rows if (row["verdict"] == "ok") != (row["position"] in flipped)}
            studio.cutting.take_review(*at, take)
            ctx.bump(at[0])
        return 0

    ctx.on(go.click, start, [ctx.voice, recording, way, answer, glossary, *merge.values()], [page], js=saved,
           show_progress="minimal")
    ctx.on(texts[0].click, ask, [ctx.voice, recording, glossary], [texts[1]], js=saved)
    ctx.on(review.act, act, [ctx.voice, recording], [page])

    def key(scene: Scene) -> Hashable:
        at = place(studio, scene)
        return (at, scene.values["review_page"], studio.cutting.review_stamp(*at) if at else 0)

    def render(scene: Scene) -> list[Any]:
        at = place(studio, scene)
        return [review_html(t, studio.cutting.review(*at) if at else [], scene.values["review_page"])]

    ctx.parts.append(Part([review], key, render, page="cutting"))
    ctx.parts.append(Part([glossary], lambda scene: scene.voice,
                          lambda scene: [studio.cutting.glossary(scene.voice) if scene.voice else ""], page="cutting"))


def _build_merge(ctx: Context) -> dict[str, Any]:
    """Lengths; names are those of MergeOptions."""
    t = ctx.t
    fields: dict[str, Any] = {}
    for name, value, low, high in (("target_min_s", 5, 0, 60), ("target_max_s", 12, 1, 60), ("limit_s", 15, 1, 60)):
        fields[name] = gr.Number(value, minimum=low, maximum=high, label=t(f"clean.{name}"),
                                 info=t(f"clean.{name}_info"))
    fields["pause_ms"] = gr.Number(500, precision=0, minimum=50, maximum=5000, label=t("transcribe.pause"),
                                   info=t("transcribe.pause_info"))
    fields["fix_text"] = gr.Checkbox(True, label=t("clean.fix_text"), info=t("clean.fix_text_info"))
    return fields


def _build_endpoint(ctx: Context) -> gr.Column:
    """The address of a language model; its key is written to the user's own folder and never comes back."""
    t, studio = ctx.t, ctx.studio
    with gr.Column(visible=False, elem_classes="ts-group") as box:
        url = gr.Textbox(label=t("clean.url"), info=t("clean.url_info"), placeholder="http://127.0.0.1:11434/v1",
                         max_lines=1, elem_id="llm-url")
        model = gr.Textbox(label=t("clean.model"), max_lines=1, elem_id="llm-model")
        tokens = gr.Number(8192, precision=0, minimum=1024, label=t("clean.tokens"), info=t("clean.tokens_info"))
        key = gr.Textbox(label=t("clean.key"), info=t("clean.key_info"), type="password", max_lines=1)
        keep = gr.Button(t("clean.keep"), size="sm", elem_id="llm-keep")

    def save(address: str, name: str, n_tokens: float | None, secret: str) -> str:
        values = {"base_url": address.strip(), "model": name.strip(), "context_tokens": int(n_tokens or 8192)}
        studio.cutting.set_endpoint(values, secret if secret else None)
        gr.Info(t("clean.kept"))
        return ""

    def known(_: Scene) -> list[Any]:
        found = studio.cutting.endpoint()
        if found is None:
            return [gr.skip()] * 4
        config, has_key = found
        return [config.base_url, config.model, config.context_tokens,
                gr.update(placeholder=t("clean.key_there") if has_key else "")]

    ctx.on(keep.click, save, [url, model, tokens, key], [key])
    ctx.parts.append(Part([url, model, tokens, key], lambda _: "once", known, page="cutting"))
    return box


def _build_prompt(ctx: Context) -> tuple[gr.Column, tuple[gr.Button, gr.Textbox], gr.Textbox]:
    t = ctx.t
    with gr.Column(visible=False, elem_classes="ts-group") as box:
        make = gr.Button(t("clean.make_prompt"), size="sm", elem_id="clean-prompt")
        text = gr.Textbox(label=t("clean.prompt"), lines=4, max_lines=4, buttons=["copy"], interactive=False,
                          elem_id="clean-prompt-text")
        answer = gr.Textbox(label=t("clean.answer"), lines=5, max_lines=5, elem_id="clean-answer",
                            placeholder=t("clean.answer_here"))
    return box, (make, text), answer
