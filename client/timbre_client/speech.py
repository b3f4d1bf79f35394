"""Speech as it is made, conversion and transcription."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from timbre_client.transport import Connection, checked

__all__ = ["SpeechClient"]


class SpeechClient(Connection):
    """The calls of the speech service."""

    def stream(
        self, text: str, *, prompt_audio: str | Path | None = None, prompt_text: str = "", **fields: Any
    ) -> Iterator[bytes]:
        """Sound while it is made: by default one WAV, a header and then samples. `fields` as in the service's /docs."""
        data = {"text": text, **({"prompt_text": prompt_text} if prompt_text else {}), **fields}
        file = open(prompt_audio, "rb") if prompt_audio else None  # noqa: SIM115  (closed below, also on an early end)
        try:
            files = {"prompt_audio": file} if file else None
            with self.http.stream("POST", "/api/tts/stream", data=data, files=files) as response:
                checked(response)
                yield from response.iter_bytes()
        finally:
            if file:
                file.close()

    def speak(self, text: str, path: str | Path, **fields: Any) -> httpx.Headers:
        """Save the whole speech; returns the headers, with X-Duration-S, X-Rtf and X-Seed."""
        response = checked(self.http.post("/api/tts", data={"text": text, **fields}))
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
        """A job's progress as it moves; the last one has its result."""
        with self.http.stream("GET", f"/api/jobs/{job_id}/events", timeout=None) as response:
            checked(response)
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))
