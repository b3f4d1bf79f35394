"""Speech as it is made, conversion and transcription."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from timbre_client.transport import Connection, checked

__all__ = ["SpeechClient"]

_TRIES, _PAUSE_S = 5, 0.5


class SpeechClient(Connection):
    """The calls of the speech service."""

    def models(self) -> list[dict[str, Any]]:
        """What can speak and transcribe; one that is not `ready` says `why_not`."""
        found: list[dict[str, Any]] = self.call("GET", "/v1/models")["data"]
        return found

    def stream(
        self, text: str, *, prompt_audio: str | Path | None = None, prompt_text: str = "", **fields: Any
    ) -> Iterator[bytes]:
        """Sound while it is made: by default one WAV, a header and then samples. `fields` as in the service's /docs."""
        data = {"text": text, **({"prompt_text": prompt_text} if prompt_text else {}), **fields}
        with (
            _clip(prompt_audio) as files,
            self.http.stream("POST", "/api/tts/stream", data=data, files=files) as answer,
        ):
            checked(answer)
            yield from answer.iter_bytes()

    def speak(
        self, text: str, path: str | Path, *, prompt_audio: str | Path | None = None, prompt_text: str = "",
        **fields: Any,
    ) -> httpx.Headers:  # fmt: skip
        """Save the whole speech; returns the headers, with X-Duration-S, X-Rtf and X-Seed."""
        data = {"text": text, **({"prompt_text": prompt_text} if prompt_text else {}), **fields}
        with _clip(prompt_audio) as files:
            response = checked(self.http.post("/api/tts", data=data, files=files, timeout=None))
        Path(path).write_bytes(response.content)
        return response.headers

    def convert(self, source: str | Path, character: str, path: str | Path, **fields: Any) -> Path:
        """Save a recording in a character's voice. Takes as long as the conversion does."""
        with open(source, "rb") as file:
            response = self.http.post(
                "/api/v1/convert",
                data={"character_name": character, **fields},
                files={"file": (Path(source).name, file)},
                timeout=None,
            )
        Path(path).write_bytes(checked(response).content)
        return Path(path)

    def transcribe(self, source: str | Path, **fields: Any) -> str:
        """What is said in a recording."""
        with open(source, "rb") as file:
            response = self.http.post(
                "/v1/audio/transcriptions", data=fields, files={"file": (Path(source).name, file)}, timeout=None
            )
        text: str = checked(response).json()["text"]
        return text

    def job_events(self, job_id: int) -> Iterator[dict[str, Any]]:
        """A job's progress as it moves; the last one has its result. A connection that breaks is taken up again."""
        seen, broken = "", 0
        while True:
            try:
                with self.http.stream(
                    "GET", f"/api/jobs/{job_id}/events", headers={"Last-Event-ID": seen}, timeout=None
                ) as response:
                    kind = ""
                    for line in checked(response).iter_lines():
                        name, _, value = line.partition(": ")
                        if name == "id":
                            seen, broken = value, 0
                        elif name == "event":
                            kind = value
                        elif name == "data":
                            yield json.loads(value)
                            if kind in ("end", "error"):
                                return
            except httpx.TransportError:
                broken += 1
                if broken > _TRIES:
                    raise
            time.sleep(_PAUSE_S)


@contextlib.contextmanager
def _clip(path: str | Path | None) -> Iterator[dict[str, Any] | None]:
    """The form's file of a reference clip, open while it is sent."""
    if path is None:
        yield None
        return
    with open(path, "rb") as file:
        yield {"prompt_audio": (Path(path).name, file)}
