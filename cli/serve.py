"""`serve`: the studio in a browser, on this machine."""

import argparse
import errno
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.common import add_command, add_device, settings_of
from core.errors import BadInput, StudioError
from core.settings import Settings

if TYPE_CHECKING:
    import uvicorn

    from cli.output import Output

_PORTS_TRIED = 50
_TAKEN = {errno.EADDRINUSE, errno.EACCES, 10013, 10048}  # the last two are Windows' own


def add(subparsers: Any) -> None:
    """Add the command."""
    parser = add_command(subparsers, "serve", "Open the studio (the same as no command).", with_json=False)
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="N", help="port; the next free one if taken (default: 7860)")
    parser.add_argument("--token", metavar="SECRET", help="what others must show; needed beyond this machine")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file whose first line is the token")
    parser.add_argument("--language", choices=("auto", "en", "zh"), help="language of the page (default: auto)")
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    parser.add_argument("--api-only", action="store_true", help="serve the HTTP API without the page")
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="server processes, with --api-only (default: 1)"
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="another host name that leads here, * as wildcard; for a proxy such as Colab's; repeatable",
    )  # fmt: skip
    add_device(parser)


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to `port` or the next free one above it; port 0 takes any.

    Raises BadInput for an address that is not this machine's, StudioError where fifty ports in a row are taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as err:
        raise BadInput(f"'{host}' is no address: {err.strerror}.", "Use 127.0.0.1 for this machine.") from err
    last = port if port == 0 else min(65535, port + _PORTS_TRIED - 1)
    for candidate in range(port, last + 1):
        listener = socket.socket(family, kind, protocol)
        if os.name != "nt":  # there it would let two programs share one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address[0], candidate, *address[2:]))
            listener.listen(128)
            return listener
        except OSError as err:
            listener.close()
            problem = err
            if isinstance(err, PermissionError) and candidate < 1024:
                raise BadInput(f"Port {candidate} needs administrator rights.", "Use one above 1023.") from err
            if candidate == port and err.errno not in _TAKEN:
                raise BadInput(f"Cannot listen on {host}: {err.strerror}.", "Use 127.0.0.1.") from err
    raise StudioError(f"The ports {port} to {last} are all taken.", "Name another with --port.") from problem


def read_token(path: Path, also: str | None = None) -> str:
    """The first line of a token file. Raises BadInput: not there, empty, or `also` given on the command line."""
    if also is not None:
        raise BadInput("--token and --token-file are both given.", "Give one of them.", where="token")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as err:
        raise BadInput(f"The token file {path} cannot be read: {err}.", "Check its path.", where=str(path)) from err
    if not lines or not lines[0].strip():
        raise BadInput(f"The token file {path} is empty.", "Write a secret into its first line.", where=str(path))
    return lines[0].strip()


def url_of(settings: Settings) -> str:
    """Where a browser on this machine finds the studio."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{settings.port}/"


def wants_browser(options: argparse.Namespace) -> bool:
    """False with --no-browser, under CI, without the page, and where there is no screen."""
    if options.no_browser or options.api_only or os.environ.get("CI"):
        return False
    if sys.platform.startswith("linux"):  # webbrowser would open a text browser in this terminal
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def open_when_up(server: "uvicorn.Server", url: str) -> None:
    """Open the browser once the server listens."""

    def wait() -> None:
        while not server.started and not server.should_exit:
            time.sleep(0.05)
        if server.started:
            webbrowser.open(url)

    threading.Thread(target=wait, daemon=True, name="browser").start()


def run(options: argparse.Namespace, out: "Output") -> dict[str, Any]:
    """Serve until Ctrl-C or SIGTERM. Jobs that are running go on; the next start finds them."""
    settings = settings_of(options, "language")
    if options.workers < 1 or (options.workers > 1 and not options.api_only):
        raise BadInput(
            f"{options.workers} server processes cannot be: the page lives in one.",
            "Give --workers 1, or several together with --api-only.",
            where="workers",
        )
    wanted = settings.port
    listener = bind(settings.host, wanted)
    try:
        port = listener.getsockname()[1]
        settings = settings.model_copy(update={"port": port})
        url = url_of(settings)
        from core.studio import Studio

        studio = Studio(settings)
        for job in studio.start(url):
            out.note(
                f"Job {job.id} ({job.kind}) was interrupted; the page or `app.py jobs --retry {job.id}` repeats it."
            )
        try:
            if wanted and port != wanted:
                out.note(f"Port {wanted} is taken; using {port}.")
            _serve(options, settings, studio, listener, url, out)
        finally:
            running = studio.status().running
            studio.close()
    finally:
        listener.close()
    if running:
        names = ", ".join(f"{job.kind} {job.id}" for job in running)
        out.note(f"Still running: {names}. They go on; open the studio again to watch, or: app.py jobs --cancel ID")
    return {}


def _serve(
    options: argparse.Namespace,
    settings: Settings,
    studio: Any,
    listener: socket.socket,
    url: str,
    out: "Output",
) -> None:
    hosts = tuple(options.allow_host)
    told = f"Timbre Studio: {url}   workspace: {settings.workspace}   stop: Ctrl-C"
    if options.workers > 1:
        from api import workers

        ended = threading.Event()

        def end(_signal: int, _frame: object) -> None:
            if ended.is_set():
                raise KeyboardInterrupt
            ended.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        out.line(told)
        workers.serve(settings, hosts, options.workers, listener, ended)
        return
    from api.closing import Server
    from api.server import build_app
    from api.workers import config_of

    app = build_app(studio, with_page=not options.api_only, allowed_hosts=hosts)
    server = Server(config_of(app), settings.drain_s)
    sys.setswitchinterval(0.0005)  # speech engines compute in threads beside the event loop, which must not wait 5 ms

    def stop(_signal: int, _frame: object) -> None:
        # uvicorn raises the signal again once it has closed: then there is nothing left to do but return.
        if not server.started:
            raise KeyboardInterrupt
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    out.line(told)
    if settings.token and not options.api_only:
        out.note("It asks for the token you set.")
    if wants_browser(options):
        open_when_up(server, url)
    server.run(sockets=[listener])
    if not server.started:
        raise StudioError("The server did not start.", "studio_logs/studio.log in the workspace says why.")
