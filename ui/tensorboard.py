"""TensorBoard on the studio's own origin, at ``/tensorboard``: no second port, no process of its own."""

import importlib.metadata
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PREFIX = "/tensorboard"
# The projector reads files named by a config inside the log folder, wherever they lie; the others need
# TensorFlow or show nothing of ours.
PLUGINS = ("core", "scalars", "images", "audio", "histograms", "timeseries", "distributions", "text", "hparams")
_LOG = logging.getLogger("studio.tensorboard")


def make_wsgi(runs_dir: Path, prefix: str = PREFIX) -> "WSGIApplication":
    """TensorBoard's own WSGI application over ``runs_dir``, read in a thread of this process."""
    import tensorboard.program
    from tensorboard import default

    loaders = [p for p in default.get_plugins() if _plugin_name(p) in PLUGINS]
    board = tensorboard.program.TensorBoard(plugins=loaders)
    board.configure(logdir=str(runs_dir), path_prefix=prefix, load_fast="false", reload_interval=5.0,
                    samples_per_plugin="images=50,audio=50,scalars=5000")
    from tensorboard.backend import application
    from tensorboard.backend.event_processing import data_ingester

    ingester = data_ingester.LocalDataIngester(board.flags)
    ingester.start()
    app: WSGIApplication = application.TensorBoardWSGIApp(
        board.flags, board.plugin_loaders, ingester.data_provider, board.assets_zip_provider,
        ingester.deprecated_multiplexer)
    return app


def _plugin_name(plugin: Any) -> str:
    """``scalars`` for ScalarsPlugin or its loader; the name decides whether it is allowed."""
    name = getattr(plugin, "plugin_name", None)
    return str(name) if name else type(plugin).__name__ if not isinstance(plugin, type) else plugin.__name__


class LazyTensorBoard:
    """ASGI: the real application is made on the first request, because importing it takes seconds."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._app: ASGIApp | None = None
        self._lock = threading.Lock()

    def _load(self) -> ASGIApp:
        with self._lock:
            if self._app is None:
                from a2wsgi import WSGIMiddleware

                self._runs_dir.mkdir(parents=True, exist_ok=True)
                self._app = WSGIMiddleware(make_wsgi(self._runs_dir))  # type: ignore[assignment]
                _LOG.info("TensorBoard %s over %s", importlib.metadata.version("tensorboard"), self._runs_dir)
        return self._app  # type: ignore[return-value]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio

        if scope["type"] != "http":
            return
        if scope["method"] not in ("GET", "HEAD", "POST"):
            await PlainTextResponse("method not allowed", 405)(scope, receive, send)
            return
        app = self._app or await asyncio.to_thread(self._load)
        await app(scope, receive, send)


def mount_tensorboard(app: FastAPI, runs_dir: Path) -> None:
    """Mount TensorBoard over ``runs_dir`` at ``/tensorboard`` of ``app``."""
    app.mount(PREFIX, LazyTensorBoard(runs_dir))
