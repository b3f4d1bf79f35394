"""A language model's HTTP endpoint in this process, for the tests of what talks to one."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from core.subtitles.endpoint_config import EndpointConfig
from core.subtitles.merge import merge
from core.subtitles.prompt import parse_answer
from core.subtitles.write import to_srt

Reply = tuple[int, dict[str, Any] | str, dict[str, str]]


class Server:
    """An OpenAI-compatible endpoint: `reply(body, number)` -> (status, body, headers)."""

    def __init__(self) -> None:
        self.reply: Callable[[dict[str, Any], int], Reply] = lambda body, number: answered(merged(body))
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests.append({**body, "path": self.path})
                outer.headers.append(dict(self.headers))
                status, data, headers = outer.reply(body, len(outer.requests))
                raw = (data if isinstance(data, str) else json.dumps(data)).encode()
                self.send_response(status)
                for name, value in {"content-length": str(len(raw)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def config(self, **more: Any) -> EndpointConfig:
        values = {"base_url": f"http://127.0.0.1:{self.http.server_port}/v1", "model": "m", "timeout_s": 20, **more}
        return EndpointConfig.model_validate(values)


def answered(text: str, reason: str = "stop") -> Reply:
    return 200, {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": reason}]}, {}


def merged(body: dict[str, Any]) -> str:
    """What a good model would answer: the rules' own merge, in a fence."""
    return f"```srt\n{to_srt(merge(parse_answer(body['messages'][1]['content']).cues))}```"
