"""TensorBoard on the studio's own origin, at ``/tensorboard``: no second port, no process of its own."""

import importlib.metadata
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from fastapi import FastAPI
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PREFIX = "/tensorboard"
# What a run writes, and the frame around it. The projector stays out: it reads files named by a config inside the log
# folder, wherever they lie. Plugins of other packages (entry points) are never loaded.
PLUGINS = ("core", "metrics", "scalar", "image", "audio", "histogram", "distribution", "text", "hparams")
_LOG = logging.getLogger("studio.tensorboard")


def make_wsgi(runs_dir: Path, prefix: str = PREFIX) -> "WSGIApplication":
    """TensorBoard's own WSGI application over ``runs_dir``, read in a thread of this process."""
    import tensorboard.program
    from tensorboard import default

    loaders = [plugin for plugin in default.get_static_plugins() if _plugin_name(plugin) in PLUGINS]
    board = tensorboard.program.TensorBoard(plugins=loaders)
    board.configure(logdir=str(runs_dir), path_prefix=prefix, load_fast="false", reload_interval=5.0,
                    samples_per_plugin={"images": 50, "audio": 50, "scalars": 5000})
    from tensorboard.backend import application
    from tensorboard.backend.event_processing import data_ingester

    ingester = data_ingester.LocalDataIngester(board.flags)
    multiplexer = ingester.deprecated_multiplexer
    # Instead of all folders below: a run that was deleted lies in the trash folder there.
    multiplexer.AddRunsFromDirectory = lambda path, name=None: _add_runs(multiplexer, runs_dir)
    ingester.start()
    app: WSGIApplication = application.TensorBoardWSGIApp(
        board.flags, board.plugin_loaders, ingester.data_provider, board.assets_zip_provider,
        multiplexer)
    return app


def _add_runs(multiplexer: Any, runs_dir: Path) -> Any:
    """Runs lie side by side; folders with a dot before their name are none. Called at every reload."""
    for folder in sorted(runs_dir.iterdir()) if runs_dir.is_dir() else ():
        if not folder.name.startswith(".") and any(folder.glob("events.out.tfevents.*")):
            multiplexer.AddRun(str(folder), name=folder.name)
    return multiplexer


def _plugin_name(plugin: Any) -> str:
    """``scalar`` of a class or loader defined in ``tensorboard.plugins.scalar.scalars_plugin``."""
    owner = plugin if isinstance(plugin, type) else type(plugin)
    parts = owner.__module__.split(".")
    return parts[2] if parts[:2] == ["tensorboard", "plugins"] else ""


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
                self._app = cast("ASGIApp", WSGIMiddleware(cast(Any, make_wsgi(self._runs_dir))))
                _LOG.info("TensorBoard %s over %s", importlib.metadata.version("tensorboard"), self._runs_dir)
            return self._app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        import asyncio

        if scope["type"] != "http":
            return
        if scope["method"] not in ("GET", "HEAD", "POST"):
            await PlainTextResponse("method not allowed", 405)(scope, receive, send)
            return
        app = await asyncio.to_thread(self._load) if self._app is None else self._app
        # TensorBoard strips its prefix by itself; a2wsgi would have taken it off before.
        await app({**scope, "root_path": ""}, receive, send)


def mount_tensorboard(app: FastAPI, runs_dir: Path) -> None:
    """Mount TensorBoard over ``runs_dir`` at ``/tensorboard`` of ``app``."""

    @app.get("/font-roboto/{name}", include_in_schema=False)
    def font(name: str) -> Response:
        """TensorBoard's style sheet asks for its fonts at the root, whatever the prefix is."""
        return RedirectResponse(f"{PREFIX}/font-roboto/{quote(name, safe='')}")

    app.mount(PREFIX, LazyTensorBoard(runs_dir))
