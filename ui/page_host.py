"""Serving the page: built when first asked for (or just after start-up), one Blocks per language.

Importing Gradio takes seconds, so the server listens first and the page is built in a thread; ``/health`` never
waits for it. Both languages share one address space: ``/`` leads to ``/en/`` or ``/zh/``.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.texts import HTML_LANG, LANGUAGES, load_table

if TYPE_CHECKING:
    import gradio as gr

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("boot.js", "nav.js", "clips.js", "player.js", "cue_model.js", "cue_wave.js", "cue_desk.js",
           "pitch_model.js", "pitch_editor.js", "mix_curves.js",
           "review.js", "speech.js", "live.js")
_BUILD_LOCK = threading.Lock()  # Gradio keeps the Blocks under construction in a global
_LOG = logging.getLogger("studio.page")


class LazyPage:
    """An ASGI app that builds its Gradio page on the first request and hands every request on to it."""

    def __init__(self, lang: str, build: Callable[[], FastAPI]) -> None:
        self.lang = lang
        self._build = build
        self._app: ASGIApp | None = None
        self._stack = contextlib.AsyncExitStack()
        self._starting: asyncio.Lock | None = None

    async def ready(self) -> ASGIApp:
        """The built page; builds it in a thread and starts its queue on this loop if that has not happened yet."""
        self._starting = self._starting or asyncio.Lock()
        async with self._starting:
            if self._app is None:
                app = await asyncio.to_thread(self._locked_build)
                await self._stack.enter_async_context(app.router.lifespan_context(app))
                self._app = app
        return self._app

    def _locked_build(self) -> FastAPI:
        with _BUILD_LOCK:
            return self._build()

    async def close(self) -> None:
        """End the page's background tasks."""
        await self._stack.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await self.ready()
        await app(scope, receive, _HeadWriter(scope, send, self.lang) if scope["type"] == "http" else send)


class _HeadWriter:
    """A ``send`` that rewrites the one HTML document of the page; everything else passes untouched.

    Gradio adds its ``head`` option from JavaScript, after its own start: too late for the language and the theme, and
    for a page that must not name any host but this one.
    """

    def __init__(self, scope: Scope, send: Send, lang: str) -> None:
        self._send = send
        self._lang = lang
        # Starlette's mount put our own prefix at the end of root_path.
        self._prefix = str(scope.get("root_path", "")).removesuffix(f"/{lang}")
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            is_html = headers.get(b"content-type", b"").startswith(b"text/html")
            if is_html and b"content-encoding" not in headers:
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = rewrite_html(self._body.decode("utf-8"), self._lang, self._prefix).encode("utf-8")
            kept = [(k, v) for k, v in self._start["headers"] if k not in (b"content-length", b"cache-control")]
            kept += [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
            await self._send({**self._start, "headers": kept})
            await self._send({"type": "http.response.body", "body": body})
            self._start = None
            return
        await self._send(message)


_FOREIGN_META = re.compile(r"\s*<meta\s+(?:property|name)=\"(?:og|twitter):[^>]*>")
_MANIFEST = re.compile(r"\s*<link rel=\"manifest\"[^>]*>")


def rewrite_html(html: str, lang: str, prefix: str) -> str:
    """Gradio's document with our language, style, scripts and icon, and without references to other hosts."""
    if "<gradio-app" not in html:
        return html
    words = {k: v for k, v in load_table(lang).items() if k.startswith("js.")}
    stamp = int(max(f.stat().st_mtime for f in ASSETS.iterdir()))
    scripts = "".join(f'<script src="{prefix}/ui-assets/{name}?{stamp}"></script>' for name in SCRIPTS)
    head = (
        f"<script>window.TS={{lang:{json.dumps(HTML_LANG[lang])},words:{json.dumps(words, ensure_ascii=False)},"
        f"root:{json.dumps(prefix)}}};</script>{scripts}"
        f'<link rel="stylesheet" href="{prefix}/ui-assets/palette.css">'
        f'<link rel="stylesheet" href="{prefix}/ui-assets/style.css?{stamp}">'
        f'<link rel="stylesheet" href="{prefix}/ui-assets/convert.css?{stamp}">'
        f'<link rel="icon" href="{prefix}/ui-assets/icon.svg">'
    )
    html = _MANIFEST.sub("", _FOREIGN_META.sub("", html))
    html = html.replace('lang="en"', f'lang="{HTML_LANG[lang]}"', 1)
    return html.replace('<meta charset="utf-8" />', f'<meta charset="utf-8" />{head}', 1)


def attach(app: FastAPI, make_blocks: Callable[[str], "gr.Blocks"], options: dict[str, Any], first: str) -> None:
    """Mount one LazyPage per language under ``app`` and build the ``first`` one as soon as the server runs.

    ``options`` go to ``gradio.mount_gradio_app``. ``make_blocks(lang)`` runs in a thread, one at a time.
    """

    def build(lang: str) -> FastAPI:
        import gradio as gr

        from ui.theme import make_theme

        inner = FastAPI()
        gr.mount_gradio_app(
            inner, make_blocks(lang), path="/", theme=make_theme(), footer_links=[], run_history=False,
            ssr_mode=False, show_error=False, enable_monitoring=False, pwa=False, mcp_server=False, **options,
        )
        return inner

    def builder(lang: str) -> Callable[[], FastAPI]:
        return lambda: build(lang)

    pages = {lang: LazyPage(lang, builder(lang)) for lang in LANGUAGES}
    for lang, page in pages.items():
        app.mount(f"/{lang}", page)
    outer = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(owner: FastAPI) -> AsyncIterator[Any]:
        async with outer(owner) as state:
            task = asyncio.create_task(_warm(pages[first]))
            try:
                yield state
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
                for page in pages.values():
                    await page.close()

    app.router.lifespan_context = lifespan


async def _warm(page: LazyPage) -> None:
    """Build the page in the background so that the first visitor need not wait."""
    if os.environ.get("TIMBRE_LAUNCH_COLD_PAGE"):
        return
    try:
        await page.ready()
    except Exception:  # noqa: BLE001  process boundary: the first request meets the same error and reports it
        _LOG.exception("the page could not be built")
