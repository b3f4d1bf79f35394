"""The shell: one navigation at the left, the page in the middle, the status bar below; mounted at ``/``."""

import logging
import os
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from ui.convert.routes import router as pitch_data
from ui.data_routes import router
from ui.live_routes import router as live_sound
from ui.page_host import ASSETS, attach
from ui.speech.routes import Tickets
from ui.speech.routes import router as speech_sound
from ui.texts import LANGUAGES, pick_language, texts
from ui.training.routes import router as run_sounds

if TYPE_CHECKING:
    import gradio as gr

    from core.studio import Studio
    from ui.controls import Context, Scene

TICK_S = 1.5
JOBS_SEEN = 200
PAGES = ("home", "dataset", "cutting", "training", "convert", "song", "live", "speech", "models", "jobs", "settings")
_LOG = logging.getLogger("studio.page")


def mount(app: FastAPI, studio: "Studio") -> None:
    """Mount the page under ``app``: ``/`` (leads to a language), ``/en/``, ``/zh/`` and ``/ui-assets/``.

    Light: Gradio is imported, and the page built, in a thread once the server runs or the page is first asked for.
    """
    settings = studio.settings
    uploads = settings.cache_dir / "page"
    # Gradio reads where uploads go from the environment only; they belong to the workspace, not to /tmp.
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

    @app.get("/", include_in_schema=False)
    def index(request: Request) -> Response:
        lang = pick_language(settings.language, request.cookies.get("timbre_lang"),
                             request.headers.get("accept-language"))
        prefix = str(request.scope.get("root_path", ""))
        return RedirectResponse(f"{prefix}/{lang}/", status_code=307, headers={"cache-control": "no-store"})

    @app.get("/ui-assets/palette.css", include_in_schema=False)
    def palette() -> Response:
        from ui.theme import palette_css

        return Response(palette_css(), media_type="text/css")

    app.include_router(router(studio))
    app.include_router(run_sounds(studio))
    app.include_router(live_sound(studio))
    app.include_router(pitch_data(studio))
    tickets = Tickets()
    app.include_router(speech_sound(studio, tickets))
    app.mount("/ui-assets", StaticFiles(directory=ASSETS))
    for folder in (uploads, settings.outputs, settings.voices_dir):
        folder.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {
        "max_file_size": settings.max_upload_mb * 1024 * 1024,
        "allowed_paths": [str(settings.outputs.resolve()), str(settings.voices_dir.resolve())],
        "blocked_paths": [str(settings.database.resolve())],
    }
    first = settings.language if settings.language in LANGUAGES else "en"
    attach(app, lambda lang: build_blocks(studio, lang, tickets), options, first)


def build_blocks(studio: "Studio", lang: str, tickets: Tickets) -> "gr.Blocks":
    """The page in one language. `tickets`: what it leaves for the routes that speak."""
    import gradio as gr

    from ui import status_bar
    from ui.controls import Context
    from ui.pages import convert, cutting, dataset, home, jobs, live, models, settings, song, speech, training
    from ui.sidebar import build_sidebar

    t = texts(lang)
    builders = {"home": home.build, "dataset": dataset.build, "cutting": cutting.build, "training": training.build,
                "convert": convert.build, "song": song.build, "live": live.build,
                "speech": lambda ctx: speech.build(ctx, tickets),
                "models": models.build, "jobs": jobs.build, "settings": settings.build}
    with gr.Blocks(title="Timbre Studio", analytics_enabled=False, fill_width=True,
                   delete_cache=(3600, 86400)) as blocks:
        with gr.Row(elem_classes="ts-shell", equal_height=False):
            with gr.Column(elem_classes="ts-side", scale=0, min_width=0):
                voice, sidebar = build_sidebar(studio, t, PAGES)
            ctx = Context(studio, t, voice)
            seen = gr.State({})
            page = gr.Textbox(visible=False)
            stored = gr.Textbox(visible=False)
            pulse = gr.Button(visible="hidden", elem_id="ts-pulse")
            wire_refresh(ctx, page, stored, seen)
            sidebar(ctx)
            with gr.Column(elem_classes="ts-work", scale=1, min_width=0):
                for name in PAGES:
                    with gr.Column(elem_id=f"page-{name}", elem_classes="ts-page"):
                        builders[name](ctx)
        status_bar.build(ctx)
        ctx.finish([gr.Timer(TICK_S).tick, pulse.click, voice.change, blocks.load])
    return blocks


def wire_refresh(ctx: "Context", page: "gr.Textbox", stored: "gr.Textbox", seen: "gr.State") -> None:
    """Give ``ctx`` its two ways to draw again: ``refresh(event)`` for actions, ``finish(events)`` for the clock.

    ``page`` and ``stored`` are filled by the browser: the open page, and the voice chosen when it was last here.
    Parts are added while pages are built, so the listeners are made in ``finish``, when all are known.
    """
    import gradio as gr

    waiting: list[Any] = []

    def tick(voice: str | None, page_name: str, last_voice: str, known: dict[int, Any], *values: Any) -> list[Any]:
        try:
            scene = take_scene(ctx, voice or last_voice, page_name, values)
        except Exception:  # noqa: BLE001  the clock's door: the page must stay alive while the studio is in trouble
            _LOG.exception("the page could not read the studio's state")
            return [gr.skip()] * (1 + sum(len(p.outputs) for p in ctx.parts))
        known = dict(known)
        drawn: list[Any] = []
        for index in range(len(ctx.parts)):
            drawn += draw_part(ctx, index, scene, known)
        return [known, *drawn]

    def listen(event: Any) -> Any:
        outputs = [seen] + [o for part in ctx.parts for o in part.outputs]
        return event(tick, inputs=[ctx.voice, page, stored, seen, *ctx.watched.values()], outputs=outputs,
                     show_progress="hidden",
                     js="(voice, page, stored, ...more) => [...TS.scene(voice), ...more]",
                     queue=False, api_visibility="private")

    def finish(events: list[Any]) -> None:
        for event in [*events, *waiting]:
            listen(event)

    ctx.refresh = waiting.append
    ctx.finish = finish


def draw_part(ctx: "Context", index: int, scene: "Scene", known: dict[int, Any]) -> list[Any]:
    """The outputs of one part: new values if its key changed, else "leave it". ``known`` is brought up to date."""
    import gradio as gr

    part = ctx.parts[index]
    same = [gr.skip()] * len(part.outputs)
    if part.page is not None and part.page != scene.page:
        return same
    try:
        key = hash((scene.voice, part.key(scene)))
        if known.get(index) == key:
            return same
        values = list(part.render(scene))
    except Exception:  # noqa: BLE001  one part in trouble must not take the others with it
        _LOG.exception("part %d of the page could not be drawn", index)
        return same
    known[index] = key
    return values


def take_scene(ctx: "Context", voice: str | None, page: str, values: tuple[Any, ...]) -> "Scene":
    """Read the studio once for all parts."""
    from ui.controls import Scene

    studio = ctx.studio
    voices = studio.voices()
    known = voice if voice in [v.name for v in voices] else None
    return Scene(voice=known, page=page, status=studio.status(), jobs=studio.jobs(limit=JOBS_SEEN), voices=voices,
                 revision=ctx.revisions[voice or ""], values=dict(zip(ctx.watched, values, strict=True)))


