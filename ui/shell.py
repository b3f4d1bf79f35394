"""The shell: one navigation at the left, the page in the middle, the status bar below; mounted at ``/``."""

import os
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from ui.convert.routes import router as pitch_data
from ui.data_routes import router
from ui.live_routes import router as live_sound
from ui.looks import Looks, beat
from ui.page_host import ASSETS, attach
from ui.speech.routes import Tickets
from ui.speech.routes import router as speech_sound
from ui.texts import LANGUAGES, pick_language, texts
from ui.training.routes import router as run_sounds

if TYPE_CHECKING:
    import gradio as gr

    from core.studio import Studio

PAGES = ("home", "dataset", "cutting", "training", "convert", "song", "live", "speech", "models", "jobs", "settings")


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

    looks = Looks()
    app.include_router(router(studio))
    app.include_router(beat(looks))
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
    attach(app, lambda lang: build_blocks(studio, lang, tickets, looks), options, first)


def build_blocks(studio: "Studio", lang: str, tickets: Tickets, looks: Looks) -> "gr.Blocks":
    """The page in one language. `tickets`: what it leaves for the routes that speak; `looks`: for the clock's."""
    import gradio as gr

    from ui import pulse, status_bar
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
            sidebar(ctx)
            with gr.Column(elem_classes="ts-work", scale=1, min_width=0):
                for name in PAGES:
                    with gr.Column(elem_id=f"page-{name}", elem_classes="ts-page"), ctx.building(name):
                        builders[name](ctx)
        status_bar.build(ctx)
        pulse.follow(ctx, PAGES, looks)
        for event in (voice.change, blocks.load):
            ctx.refresh(event)
    return blocks
