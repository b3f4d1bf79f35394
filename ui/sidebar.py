"""The navigation at the left: the voice on top, the pages, the language and theme switches at the foot."""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui.controls import ACTIVE, Context, Part, Scene, esc
from ui.texts import LANGUAGES, Texts

if TYPE_CHECKING:
    from core.studio import Studio


def voice_names(studio: "Studio") -> list[str]:
    """Names of all voices, in the order of the studio."""
    return [v.name for v in studio.voices()]


def nav_html(t: Texts, pages: tuple[str, ...], notes: dict[str, str]) -> str:
    """Links to the pages, each with a short note at the right (a count, a percentage)."""
    links = ""
    for place, name in enumerate(pages, start=1):
        note = f'<span class="ts-note">{esc(notes[name])}</span>' if notes.get(name) else ""
        gap = ' class="ts-gap"' if name == "models" else ""
        links += (f'<a{gap} href="#{name}" title="Alt+{place}"><span>{esc(t(f"nav.{name}"))}</span>{note}</a>')
    return f'<nav class="ts-nav" aria-label="{esc(t("nav.label"))}">{links}</nav>'


def foot_html(t: Texts) -> str:
    """Language and theme switches."""
    languages = "".join(
        f'<button type="button" class="ts-seg" data-lang-choice="{code}" lang="{code}" '
        f'aria-pressed="{"true" if code == t.lang else "false"}">{esc(name)}</button>'
        for code, name in LANGUAGES.items())
    themes = "".join(
        f'<button type="button" class="ts-seg" data-theme-choice="{name}" aria-pressed="false">'
        f'{esc(t(f"theme.{name}"))}</button>' for name in ("system", "light", "dark"))
    return (f'<div class="ts-foot"><div class="ts-segs" role="group" aria-label="{esc(t("language.label"))}">'
            f'{languages}</div><div class="ts-segs" role="group" aria-label="{esc(t("theme.label"))}">{themes}</div>'
            "</div>")


def build_sidebar(studio: "Studio", t: Texts, pages: tuple[str, ...]) -> tuple[gr.Dropdown, Callable[[Context], None]]:
    """Draw the sidebar. Returns the voice selector and what wires it once the context exists."""
    gr.HTML('<div class="ts-brand">Timbre</div>', apply_default_css=False, js_on_load=None)
    # Any text is let through: a voice may have been renamed or deleted a moment ago, here or in another window. What is
    # no voice is put right at the next tick (names_render).
    voice = gr.Dropdown([], value=None, label=t("voice.label"), elem_id="voice", interactive=True,
                        allow_custom_value=True)
    add = gr.Button(t("voice.new"), size="sm", elem_id="voice-new")
    with gr.Row(visible=False, elem_classes="ts-tight") as form:
        name = gr.Textbox(label=t("voice.name"), placeholder=t("voice.placeholder"), max_lines=1,
                          elem_id="voice-name", min_width=80, max_length=80)
        create = gr.Button(t("voice.create"), variant="primary", size="sm", elem_id="voice-create", min_width=60)
    nav = gr.HTML(nav_html(t, pages, {}), apply_default_css=False, elem_id="nav",
                  js_on_load="watch('value', TS.mark)")
    gr.HTML(foot_html(t), apply_default_css=False, elem_classes="ts-foot-box", js_on_load="TS.mark()")

    def wire(ctx: Context) -> None:
        shown = gr.State(False)
        add.click(lambda now: (not now, gr.update(visible=not now)), [shown], [shown, form], show_progress="hidden",
                  queue=False, api_visibility="private").then(
            None, js="() => setTimeout(() => document.querySelector('#voice-name textarea, #voice-name input')"
                     "?.focus(), 60)")

        def make(text: str) -> tuple[Any, ...]:
            made = studio.create_voice(text)
            return (gr.update(choices=voice_names(studio), value=made.name), "", False, gr.update(visible=False))

        for event in (create.click, name.submit):
            ctx.on(event, make, [name], [voice, name, shown, form])

        def names_key(scene: Scene) -> Hashable:
            return tuple(v.name for v in scene.voices)

        def names_render(scene: Scene) -> list[Any]:
            names = [v.name for v in scene.voices]
            kept = scene.voice if scene.voice in names else (names[0] if names else None)
            return [gr.update(choices=names, value=kept)]

        def notes(scene: Scene) -> dict[str, str]:
            accepted = next((v.accepted for v in scene.voices if v.name == scene.voice), 0)
            train = scene.latest("train", scene.voice)
            training = f"{round(train.progress * 100)} %" if train and train.state == "running" else ""
            busy = sum(1 for j in scene.jobs if j.state in ACTIVE)
            return {"dataset": str(accepted) if accepted else "", "training": training,
                    "jobs": str(busy) if busy else ""}

        ctx.parts.append(Part([voice], names_key, names_render))
        ctx.parts.append(Part([nav], lambda scene: tuple(notes(scene).items()),
                              lambda scene: [nav_html(t, pages, notes(scene))]))

    return voice, wire
