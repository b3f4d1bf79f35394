"""Cleaning through any OpenAI-compatible endpoint: in windows that fit its context, patient, and ready to stop."""

import json
import logging
import queue
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr

from core.errors import BadInput, StudioError, Unavailable
from core.subtitles.cue import Cue, Finding
from core.subtitles.endpoint_config import EndpointConfig
from core.subtitles.options import MergeOptions
from core.subtitles.prompt import Window, parse_answer, request, rules, windows
from core.subtitles.timecode import clock

if TYPE_CHECKING:
    from core.jobs.context import JobContext

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_LOOK_EVERY_S = 0.2  # for a cancel
_log = logging.getLogger(__name__)


@dataclass
class Answer:
    """What an endpoint answered: cues as they came, unchecked, and what went wrong on the way."""

    cues: list[Cue] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class _TooLong(Exception):
    """The window did not fit the context, or its answer did not."""


def clean_with_endpoint(
    cues: Sequence[Cue],
    config: EndpointConfig,
    key: SecretStr | None,
    ctx: "JobContext",
    options: MergeOptions | None = None,
) -> Answer:
    """Send `cues` in windows and collect the answers, which `check_answer` then judges.

    A window that does not fit is halved. One that fails after all tries becomes a finding if an earlier one worked.
    Raises BadInput (key refused, no such model, address wrong), Unavailable (nobody answers), Cancelled.
    """
    if key is not None and not config.may_carry_key:
        raise BadInput(
            f"The key would travel unencrypted to {config.base_url}.",
            "Use an https:// address, or remove the key if that server needs none.",
            where="base_url",
        )
    answer = Answer()
    # Instructions and context come out of the same budget, and an answer is about as long as its window.
    parts = windows(cues, max(200, (config.context_tokens - 900) * 2 // 5))
    waiting, done = list(parts), 0
    with httpx.Client(timeout=config.timeout_s) as client:
        chat = _Chat(client, config, key, ctx, rules(options))
        while waiting:
            window = waiting.pop(0)
            ctx.progress(done / max(1, len(cues)), f"Cue {done + 1} of {len(cues)}")
            try:
                parsed = parse_answer(chat.ask(request(window)))
            except _TooLong:
                if len(window.cues) == 1:
                    _give_up(answer, window, "its answer does not fit the model's context.")
                else:
                    half = len(window.cues) // 2
                    rest = Window(window.cues[half:], window.cues[max(0, half - 3) : half])
                    waiting[:0] = [Window(window.cues[:half], window.context), rest]
                    continue
            except Unavailable as err:
                if not answer.cues:
                    raise
                _give_up(answer, window, err.message)
            else:
                shift = len(answer.cues)
                answer.cues += parsed.cues
                answer.findings += [
                    Finding(None, None if one.cue is None else one.cue + shift, one.code, one.message)
                    for one in parsed.findings
                ]
            done += len(window.cues)
    ctx.progress(1.0)
    return answer


def _give_up(answer: Answer, window: Window, why: str) -> None:
    times = f"{clock(window.cues[0].start_ms)} to {clock(window.cues[-1].end_ms)}"
    said = f"{times} was not cleaned by the model: {why} The rules alone are used there."
    answer.findings.append(Finding(None, None, "not_answered", said))


@dataclass
class _Chat:
    client: httpx.Client
    config: EndpointConfig
    key: SecretStr | None
    ctx: "JobContext"
    instructions: str

    def ask(self, text: str) -> str:
        """One question, with tries again. Raises _TooLong, BadInput, Unavailable, Cancelled."""
        problem, wait_s = "", _FIRST_WAIT_S
        for attempt in range(self.config.retries + 1):
            if attempt:
                self._sleep(wait_s)
                wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
            try:
                response = self._post(text)
            except httpx.RequestError as err:
                problem = f"{self.config.base_url} does not answer ({type(err).__name__})."
            else:
                if response.status_code == 200:
                    return _content(response)
                problem = f"{self.config.base_url} answered {response.status_code}{_said(response, self.key)}."
                if response.status_code not in _AGAIN:
                    raise _refusal(response, problem)
                wait_s = _retry_after_s(response) or wait_s
            _log.info("subtitles: %s try %d", problem, attempt + 1)
        raise Unavailable(problem, "Check that the server runs and is not overloaded, and try again.", where="endpoint")

    def _post(self, text: str) -> httpx.Response:
        """Send, and look for a cancel while waiting. The thread ends with the client, which a cancel closes."""
        body: dict[str, Any] = {
            "model": self.config.model,
            "messages": [{"role": "system", "content": self.instructions}, {"role": "user", "content": text}],
            "stream": False,
        }
        if self.config.temperature is not None:
            body["temperature"] = self.config.temperature
        headers = {"Authorization": f"Bearer {self.key.get_secret_value()}"} if self.key else {}
        outcome: queue.Queue[httpx.Response | Exception] = queue.Queue()

        def send() -> None:
            try:
                outcome.put(self.client.post(self.config.chat_url, json=body, headers=headers))
            # The thread's boundary: whatever happens goes to the thread that waits, which raises it.
            except Exception as err:  # noqa: BLE001
                outcome.put(err)

        threading.Thread(target=send, name="endpoint", daemon=True).start()
        while True:
            try:
                got = outcome.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                self.ctx.check()
                continue
            if isinstance(got, Exception):
                raise got
            return got

    def _sleep(self, seconds: float) -> None:
        # A little chance, so that several clients do not come back at the same moment.
        until = time.monotonic() + seconds * random.uniform(0.8, 1.2)
        while (left := until - time.monotonic()) > 0:
            self.ctx.check()
            time.sleep(min(_LOOK_EVERY_S, left))


def _content(response: httpx.Response) -> str:
    """The text of an answer. Raises _TooLong if it was cut off, BadInput if it is none."""
    try:
        choice = json.loads(response.content)["choices"][0]
        text = choice["message"]["content"]
        reason = choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError) as err:
        hint = "The address should end in /v1 or the like, and its server should be OpenAI-compatible."
        raise BadInput("The endpoint's answer is not that of a chat model.", hint, where="base_url") from err
    if reason == "length":
        raise _TooLong
    return text if isinstance(text, str) else ""


def _said(response: httpx.Response, key: SecretStr | None) -> str:
    """The server's own words for an error, short, and never the key that some repeat."""
    try:
        error = json.loads(response.content).get("error", "")
        text = error.get("message", "") if isinstance(error, dict) else str(error)
    except (ValueError, AttributeError):
        text = ""
    if key is not None:
        text = text.replace(key.get_secret_value(), "[key]")
    text = " ".join(str(text).split())[:200]
    return f": {text}" if text else ""


def _refusal(response: httpx.Response, problem: str) -> Exception:
    status, words = response.status_code, response.text[:2000].lower()
    if status in (400, 413, 422) and any(hint in words for hint in ("context", "too long", "too large", "max_tokens")):
        return _TooLong()
    hints = {
        401: "The key is missing or wrong: enter it again.",
        403: "The key may not use this model.",
        404: "Check the address (it mostly ends in /v1) and the name of the model.",
    }
    hint = hints.get(status, "Check the address, the model's name and the key.")
    error: type[StudioError] = Unavailable if status >= 500 else BadInput
    return error(problem, hint, where="endpoint")


def _retry_after_s(response: httpx.Response) -> float | None:
    try:
        return min(_LONGEST_WAIT_S, max(0.0, float(response.headers.get("retry-after", ""))))
    except ValueError:
        return None
