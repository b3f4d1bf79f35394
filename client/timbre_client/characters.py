"""Characters from creation to downloaded speech."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from timbre_client.transport import Connection, ServiceError, checked

__all__ = ["CharacterClient", "ServiceError", "WaitTimeout"]

Json = dict[str, Any]
ENDED = frozenset({"completed", "failed", "outdated", "cancelled"})


class WaitTimeout(Exception):
    """What was waited for did not end in time; it goes on."""


class CharacterClient(Connection):
    """The calls of the character service. Answers are the service's own JSON objects."""

    def create_character(self, name: str, config: Json | None = None) -> Json:
        """Make a character; see the service's /docs for the fields of its configuration."""
        body = {"character_name": name, "config": {"character_name": name, **(config or {})}}
        return self.call("POST", "/api/v1/characters", json=body)

    def characters(self) -> list[Json]:
        """All characters."""
        return self.call("GET", "/api/v1/characters")

    def character(self, name: str) -> Json:
        """One character."""
        return self.call("GET", _path(name))

    def rename_character(self, name: str, new_name: str) -> Json:
        """Give it another name."""
        return self.call("PUT", _path(name), json={"new_name": new_name})

    def delete_character(self, name: str) -> Json:
        """Move it to the trash."""
        return self.call("DELETE", _path(name))

    def set_default(self, name: str) -> Json:
        """Make it the default."""
        return self.call("POST", _path(name, "set_default"))

    def default_character(self) -> str | None:
        """Name of the default character."""
        return self.call("GET", "/api/v1/default_character")["default_character"]

    def upload_audio(self, name: str, path: str | Path) -> Json:
        """Add a recording."""
        with open(path, "rb") as file:
            return self.call("POST", _path(name, "audio", "upload"), files={"file": (Path(path).name, file)})

    def audio_files(self, name: str) -> list[Json]:
        """The recordings."""
        return self.call("GET", _path(name, "audio", "files"))

    def delete_audio_file(self, name: str, filename: str) -> Json:
        """Move a recording to the trash."""
        return self.call("DELETE", _path(name, "audio", "files", filename))

    def start(self, name: str, what: Literal["audio", "training"]) -> Json:
        """Begin to process the audio, or to train."""
        return self.call("POST", _path(name, what, "process" if what == "audio" else "start"))

    def status(self, name: str, what: Literal["audio", "training"]) -> Json:
        """How far it is."""
        return self.call("GET", _path(name, what, "status"))

    def check_status(self, name: str, what: Literal["audio", "training"]) -> Json:
        """What the files alone say."""
        return self.call("GET", _path(name, what, "check_status"))

    def cancel(self, name: str, what: Literal["audio", "training"]) -> Json:
        """Stop it."""
        return self.call("POST", _path(name, what, "cancel"))

    def clean_training(self, name: str) -> Json:
        """Move models and runs to the trash."""
        return self.call("POST", _path(name, "training", "clean"))

    def start_inference(self, text: str, name: str | None = None, **fields: Any) -> Json:
        """Let a character (None: the default one) say a text."""
        return self.call("POST", "/api/v1/inference", json={"character_name": name, "target_text": text, **fields})

    def inference(self, inference_id: str) -> Json:
        """How far a request is."""
        return self.call("GET", f"/api/v1/inference/{quote(inference_id, safe='')}")

    def inferences(self) -> list[Json]:
        """All requests."""
        return self.call("GET", "/api/v1/inference")

    def cancel_inference(self, inference_id: str) -> Json:
        """Stop a request."""
        return self.call("POST", f"/api/v1/inference/{quote(inference_id, safe='')}/cancel")

    def download_inference(self, inference_id: str, path: str | Path) -> Path:
        """Save what was spoken."""
        return self._save(f"/api/v1/inference/{quote(inference_id, safe='')}/download", Path(path))

    def download(self, name: str, filename: str, path: str | Path) -> Path:
        """Save one of a character's files."""
        return self._save(_path(name, "download", filename), Path(path))

    def wait(
        self, ask: Callable[[], Json], timeout_s: float = 3600.0, every_s: float = 2.0,
        told: Callable[[Json], None] | None = None,
    ) -> Json:  # fmt: skip
        """Ask until the status is an end; `told` sees every answer. Raises WaitTimeout."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = ask()
            if told is not None:
                told(answer)
            if answer["status"] in ENDED:
                return answer
            if time.monotonic() > deadline:
                raise WaitTimeout(f"{answer.get('current_step') or answer['status']} after {timeout_s:g} s")
            time.sleep(every_s)

    def _save(self, url: str, path: Path) -> Path:
        with self.http.stream("GET", url) as response:
            checked(response)
            with open(path, "wb") as out:
                for piece in response.iter_bytes():
                    out.write(piece)
        return path


def _path(*parts: str) -> str:
    return "/api/v1/characters/" + "/".join(quote(part, safe="") for part in parts)
