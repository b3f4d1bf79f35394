"""A client of Ray's job server by its documented REST API (docs.ray.io, "Ray Jobs REST API"): no package is needed."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from core.errors import BadInput, Unavailable

Status = Literal["PENDING", "RUNNING", "STOPPED", "SUCCEEDED", "FAILED"]
ENDED: tuple[Status, ...] = ("STOPPED", "SUCCEEDED", "FAILED")
TIMEOUT_S = 15.0
PORT = 8265
TOKEN_VARIABLE = "RAY_AUTH_TOKEN"
"""Environment variable: for clusters that ask for a token."""


@dataclass(frozen=True)
class JobState:
    """What the server says of a job. `message`: in its words; how it failed, or what it waits for."""

    status: Status
    message: str


class RayJobs:
    """The job server at an address such as "http://head:8265" or "head"."""

    def __init__(self, address: str) -> None:
        """Raises BadInput: not an address."""
        self.address = plain_address(address)

    def version(self) -> str:
        """Ray's version. Raises Unavailable."""
        return str(self._ask("GET", "/api/version").get("ray_version", "?"))

    def submit(
        self, command: str, environment: Mapping[str, str], about: Mapping[str, str], cpus: float, gpus: float
    ) -> str:
        """Start a shell command on the cluster when the CPUs and GPUs are free; the job's id.

        Raises:
            Unavailable: the server does not answer, or refuses.
        """
        body = {
            "entrypoint": command,
            "runtime_env": {"env_vars": dict(environment)},
            "metadata": dict(about),
            "entrypoint_num_cpus": cpus,
            "entrypoint_num_gpus": gpus,
        }
        return str(self._ask("POST", "/api/jobs/", body)["submission_id"])

    def state(self, job: str) -> JobState:
        """How a job stands. Raises Unavailable."""
        found = self._ask("GET", f"/api/jobs/{quote(job, safe='')}")
        return JobState(found["status"], str(found.get("message") or ""))

    def stop(self, job: str) -> None:
        """End a job: SIGTERM to its process, and after a few seconds SIGKILL. Raises Unavailable."""
        self._ask("POST", f"/api/jobs/{quote(job, safe='')}/stop")

    def log(self, job: str) -> str:
        """What the job has printed. Raises Unavailable."""
        return str(self._ask("GET", f"/api/jobs/{quote(job, safe='')}/logs").get("logs") or "")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        token = os.environ.get(TOKEN_VARIABLE)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.address + path, data, headers, method=method)
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:
                found = json.loads(answer.read())
        except HTTPError as err:
            said = err.read(2000).decode("utf-8", "replace").strip().splitlines()
            raise self._unavailable(f"answered {err.code}: {said[-1] if said else err.reason}") from err
        except (URLError, OSError) as err:
            raise self._unavailable(f"does not answer: {getattr(err, 'reason', err)}") from err
        except ValueError as err:
            raise self._unavailable("gave an answer that is not Ray's") from err
        if not isinstance(found, dict):
            raise self._unavailable("gave an answer that is not Ray's")
        return found

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(
            f"The cluster at {self.address} {what}.",
            "Is this the address of its dashboard (port 8265), and can this machine reach it?",
            where="cluster",
        )


def plain_address(address: str) -> str:
    """ "http://HOST:PORT" of what a person typed: the scheme and the port may be left out. Raises BadInput."""
    text = address.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port or (PORT if parts.scheme == "http" else 443)
    except ValueError:
        parts, port = urlsplit(""), 0
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
        or parts.username
    ):
        raise BadInput(
            f"{address!r} is not the address of a cluster's job server.", "Such as http://head:8265.", where="cluster"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"
