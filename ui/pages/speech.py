"""Speech: a text in, heard while it is made; whose voice it is, how it is said, and what was said before."""

import secrets
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from core.errors import BadInput, StudioError
from core.speech.options import MAX_SEED
from core.speech.request import SpeechRequest
from ui.controls import Context, Part, Scene, act_of, esc, heading, html_part, need_voice, section
from ui.players import Source, player_html
from ui.sentences import said as in_words
from ui.speech import files, speakers
from ui.speech.form import BUILTIN, Form
from ui.speech.routes import Order, Tickets
from ui.speech.takes import SHOWN, takes_html
from ui.uploads import kept_if_good

if TYPE_CHECKING:
    from core.speech.desk import ClipVerdict

SPEAK_JS = "(ticket) => { TS.speech.speak(ticket); return ''; }"
FIGURES = ("state", "first", "length", "rtf", "ahead", "gaps", "seed")


def build(ctx: Context, tickets: Tickets) -> None:
    """Draw the page and wire it."""
    t = ctx.t
    with gr.Row(elem_classes="ts-head"):
        heading(t("nav.speech"))
        stop = gr.Button(t("speech.stop"), elem_id="speech-stop", scale=0, min_width=90)
        speak = gr.Button(t("speech.speak"), variant="primary", elem_id="speak", scale=0, min_width=150)
    del stop  # its script listens to it

    def chosen(voice: str | None, model: str, source: str, file: str | None, spoken: str, quiet: bool, number: str,
               *values: Any) -> dict[str, Any]:
        """What the controls say, as params of the job "say" without a text."""
        name, _, wanted = model.partition(":")
        said: dict[str, Any] = {"engine": name, "model": wanted, "options": form.options(name, source, values)}
        if (number or "").strip():
            said["seed"] = _seed(ctx, number)
        if source == "voice":
            said["voice"] = need_voice(t, voice)
        if source == "clip":
            said |= {"prompt_audio": str(_clip(ctx, file)), "prompt_text": (spoken or "").strip()}
        if source != "own":
            said["denoise"] = bool(quiet)
        return said

    with gr.Row(elem_classes="ts-cols", equal_height=False):
        with gr.Column(scale=0, min_width=320, elem_classes="ts-left"):
            engine = _build_engine(ctx)
            whose, clip, words, quiet = _build_voice(ctx)
            form = Form(ctx, _engine_of(engine.value))
            speakers.build_keeping(ctx, whose, clip, words, engine, form)
            speakers.build_waiting(ctx, form)
            seed = gr.Textbox("", max_lines=1, label=t("speech.seed"), info=t("speech.seed_info"),
                              elem_id="speech-seed")
        with gr.Column(scale=1, min_width=400, elem_classes="ts-main"):
            text = gr.Textbox(lines=7, max_lines=14, label=t("speech.text"), elem_id="speech-text",
                              placeholder=t("speech.placeholder"))
            gr.HTML(_live(ctx), apply_default_css=False, js_on_load=None, elem_id="speech-live-box")
            files.build(ctx, [ctx.voice, engine, whose, clip, words, quiet, seed, *form.components], chosen)
            gr.HTML(section(t("speech.takes")), apply_default_css=False, js_on_load=None)
            table = html_part(elem_id="takes")
    ticket = gr.Textbox(visible="hidden", elem_id="speech-ticket")
    opened = ctx.watch("take", gr.State(None))
    engine.input(lambda chosen: form.shown(_engine_of(chosen)), [engine], form.components, queue=False,
                 show_progress="hidden", api_visibility="private")

    def order(said: str, *values: Any) -> str:
        given = chosen(*values)
        clip_file = given.pop("prompt_audio", None)
        options = {**given.pop("options"), **({"seed": given.pop("seed")} if "seed" in given else {})}
        request = SpeechRequest(text=said or "", prompt_audio=Path(clip_file) if clip_file else None, options=options,
                                **given)
        return tickets.leave(Order(ctx.studio.speech.checked(request)))

    inputs = [text, ctx.voice, engine, whose, clip, words, quiet, seed, *form.components]
    _spoken(ctx.on(speak.click, order, inputs, [ticket], failed=""), ticket)
    _spoken(ctx.on(table.act, _acting(ctx, tickets), [opened], [ticket, opened], failed=("", gr.skip())), ticket)
    store = ctx.studio.speech.takes

    def key(scene: Scene) -> Hashable:
        return scene.values["take"], tuple(one.id for one in store.all(SHOWN))

    def render(scene: Scene) -> list[Any]:
        return [takes_html(t, store, store.all(SHOWN), scene.values["take"])]

    ctx.parts.append(Part([table], key, render, page="speech"))


def _spoken(event: Any, ticket: gr.Textbox) -> None:
    """After ``event``, speak what the ticket stands for; an empty one is none."""
    event.then(None, [ticket], [ticket], js=SPEAK_JS, queue=False, show_progress="hidden", api_visibility="private")


def _engine_of(chosen: Any) -> str:
    return str(chosen or BUILTIN).partition(":")[0]


def _build_engine(ctx: Context) -> gr.Dropdown:
    """What speaks: the models that are here, and the built-in engine."""
    t = ctx.t
    choices = []
    for one in ctx.studio.speech.models():
        whose = t("speech.trained_for", voice=one.trained_for) if one.trained_for else ""
        choices.append((f"{t.of('speech', f'engine_{one.engine}')} {one.name}{whose}", f"{one.engine}:{one.name}"))
    choices.append((t("speech.engine_builtin"), BUILTIN))
    return gr.Dropdown(choices, value=choices[0][1], label=t("speech.engine"), elem_id="speech-engine",
                       info=t("speech.engine_info") if len(choices) > 1 else t("speech.engine_none"))


def _build_voice(ctx: Context) -> tuple[gr.Radio, gr.State, gr.Textbox, gr.Checkbox]:
    """Whose voice: the model's own, the chosen voice's best clip, or a clip that is dropped or recorded."""
    t, desk = ctx.t, ctx.studio.speech
    whose = gr.Radio([(t(f"speech.whose_{name}"), name) for name in ("own", "voice", "clip")], value="own",
                     label=t("speech.whose"), elem_id="speech-whose", elem_classes="ts-radio")
    clip = gr.State(None)
    verdict = gr.HTML("", apply_default_css=False, js_on_load=None, elem_id="speech-verdict")
    with gr.Column(visible=False, elem_id="speech-clip-box") as box:
        gr.HTML(f'<p class="ts-muted">{esc(t("speech.drop"))}</p>', apply_default_css=False, js_on_load=None)
        drop = gr.File(file_count="single", height=76, elem_id="speech-clip", elem_classes="ts-drop", show_label=False,
                       label=t("speech.drop"))
        microphone = gr.Audio(sources=["microphone"], type="filepath", format="wav", editable=False,
                              label=t("dataset.microphone"), elem_classes="ts-mic", elem_id="speech-record")
        words = gr.Textbox(label=t("speech.words"), info=t("speech.words_info"), lines=2, elem_id="speech-words")
        with gr.Row(elem_classes="ts-tight"):
            hear = gr.Button(t("speech.listen"), size="sm", elem_id="speech-listen", min_width=120)
            keep = gr.Button(t("speech.keep"), size="sm", elem_id="speech-keep", min_width=120)

    quiet = gr.Checkbox(False, label=t("speech.denoise"), visible=False, elem_id="speech-denoise")

    def choose(source: str, voice: str | None, file: str | None) -> tuple[Any, Any, str]:
        shown = gr.update(visible=source == "clip"), gr.update(visible=source != "own")
        if source == "voice":
            name = need_voice(t, voice)
            try:
                return *shown, _verdict(ctx, desk.best_clip(name))
            except BadInput as err:  # no clip to clone; the built-in engine speaks through its trained model
                if not ctx.studio.voice_models(name):
                    raise
                return *shown, f'<p class="ts-muted">{esc(t("speech.by_model"))} {esc(err.message)}</p>'
        return *shown, _verdict(ctx, desk.examine(Path(file))) if source == "clip" and file else ""

    def take(file: str | None) -> tuple[Any, Any, str]:
        if not file:
            return None, gr.skip(), ""
        with kept_if_good(ctx.studio, file) as kept:
            return None, str(kept), _verdict(ctx, desk.examine(kept))

    ctx.on(whose.input, choose, [whose, ctx.voice, clip], [box, quiet, verdict], failed=(gr.skip(), gr.skip(), ""))
    for event, component in ((drop.upload, drop), (microphone.stop_recording, microphone)):
        ctx.on(event, take, [component], [component, clip, verdict], show_progress="minimal",
               failed=(None, gr.skip(), gr.skip()))
    ctx.on(words.blur, lambda file, spoken: _verdict(ctx, desk.examine(Path(file), spoken)) if file else gr.skip(),
           [clip, words], [verdict])
    ctx.on(hear.click, lambda file: desk.transcribe(_clip(ctx, file)), [clip], [words], show_progress="minimal")
    def keep_it(voice: str | None, file: str | None, said: str) -> None:
        name = desk.keep_reference(need_voice(t, voice), _clip(ctx, file), said or "")
        gr.Info(esc(t("speech.kept", voice=name)), duration=6)

    ctx.on(keep.click, keep_it, [ctx.voice, clip, words])
    return whose, clip, words, quiet


def _seed(ctx: Context, words: str) -> int:
    try:
        seed = int(words)
    except ValueError:
        seed = -1
    if not 0 <= seed <= MAX_SEED:
        raise BadInput(ctx.t("speech.bad_seed"), ctx.t("speech.bad_seed_hint"))
    return seed


def _clip(ctx: Context, file: str | None) -> Path:
    if not file:
        raise BadInput(ctx.t("speech.no_clip"), ctx.t("speech.no_clip_hint"))
    return Path(file)


def _verdict(ctx: Context, found: "ClipVerdict") -> str:
    """A player, and whether the clip is a good one."""
    t = ctx.t
    try:
        player = player_html(t, [Source(found.path.name, found.path)], height=36)
    except StudioError:
        player = ""
    good = t("speech.clip_good", seconds=f"{found.seconds:.1f}")
    lines = "".join(f"<li>{esc(in_words(t, words))}</li>" for words in found.findings) or f"<li>{esc(good)}</li>"
    heard = f'<p class="ts-muted">{esc(found.text)}</p>' if found.text else ""
    return f'{player}<ul class="ts-findings" role="status">{lines}</ul>{heard}'


def _live(ctx: Context) -> str:
    """What its script fills while it speaks."""
    cells = "".join(f'<div><dt>{esc(ctx.t(f"speech.live_{name}"))}</dt><dd data-live="{name}">–</dd></div>'
                    for name in FIGURES)
    return (f'<div id="speech-live" data-state="idle"><canvas height="56" aria-hidden="true"></canvas>'
            f'<dl class="ts-live" role="status">{cells}</dl></div>')


def _acting(ctx: Context, tickets: Tickets) -> Any:
    def act(event: gr.EventData, opened: str | None) -> tuple[str, Any]:
        data, desk = act_of(event), ctx.studio.speech
        take = desk.takes.get(str(data.get("take")))
        match data.get("act"):
            case "open":
                return "", None if opened == take.id else take.id
            case "again":
                return tickets.leave(Order(desk.checked(desk.takes.request(take)))), gr.skip()
            case "other":
                fresh = desk.takes.request(take, secrets.randbelow(MAX_SEED))
                return tickets.leave(Order(desk.checked(fresh))), gr.skip()
            case "mend":
                fresh = desk.checked(desk.takes.request(take, secrets.randbelow(MAX_SEED)))
                return tickets.leave(Order(fresh, (take, int(data["sentence"])))), gr.skip()
            case "delete":
                desk.takes.delete(take.id)
        return "", gr.skip()

    return act
