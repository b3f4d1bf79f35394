"""The endpoint client against a real HTTP server in this process: retries, windows, refusals, cancel, and its key."""

import logging
import threading
import time
from typing import Any

import pytest
from pydantic import SecretStr

from core.errors import BadInput, Cancelled, Unavailable
from core.jobs.context import ForegroundContext
from core.subtitles.check import check_answer
from core.subtitles.cue import Cue
from core.subtitles.endpoint import clean_with_endpoint
from core.subtitles.endpoint_config import EndpointConfig
from tests.subtitles.llm_server import Reply, Server, answered, merged

KEY = SecretStr("sk-very-secret-123")
CUES = [Cue(at * 2000, at * 2000 + 1900, "It was so." if at % 3 == 2 else "and then we") for at in range(90)]


def test_windows_fit_and_the_whole_answer_passes(server: Server, ctx: ForegroundContext) -> None:
    answer = clean_with_endpoint(CUES, server.config(context_tokens=3000), KEY, ctx)
    assert check_answer(CUES, answer.cues).ok
    assert len(server.requests) > 2
    for body in server.requests:
        text = "".join(message["content"] for message in body["messages"])
        assert len(text) / 3 + 40 * text.count("-->") < 3000
        assert body["path"] == "/v1/chat/completions"
    assert all(headers["Authorization"] == "Bearer sk-very-secret-123" for headers in server.headers)


def test_busy_servers_are_tried_again(server: Server, ctx: ForegroundContext) -> None:
    replies: list[Reply] = [(429, {"error": {"message": "slow down"}}, {"retry-after": "0.01"}), (503, "busy", {})]
    server.reply = lambda body, number: replies[number - 1] if number <= 2 else answered(merged(body))
    answer = clean_with_endpoint(CUES[:9], server.config(), None, ctx)
    assert check_answer(CUES[:9], answer.cues).ok
    assert len(server.requests) == 3
    assert "Authorization" not in server.headers[0]


def test_patience_ends(server: Server, ctx: ForegroundContext) -> None:
    server.reply = lambda body, number: (500, {"error": {"message": "broken"}}, {})
    with pytest.raises(Unavailable, match="answered 500: broken"):
        clean_with_endpoint(CUES[:9], server.config(retries=2), KEY, ctx)
    assert len(server.requests) == 3


def test_what_was_answered_before_a_failure_is_kept(server: Server, ctx: ForegroundContext) -> None:
    server.reply = lambda body, number: answered(merged(body)) if number == 1 else (500, "", {})
    answer = clean_with_endpoint(CUES, server.config(context_tokens=3000, retries=0), KEY, ctx)
    assert answer.cues
    assert {finding.code for finding in answer.findings} == {"not_answered"}
    assert check_answer(CUES, answer.cues).lost


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": {"message": "bad key sk-very-secret-123"}}, "key"),
        (404, "nothing here", "model"),
        (302, "", "address"),
    ],
)
def test_refusals_are_final_and_hide_the_key(
    status: int, body: dict[str, Any] | str, said: str, server: Server, ctx: ForegroundContext,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    server.reply = lambda _, number: (status, body, {"location": "http://127.0.0.1:1/"})
    with caplog.at_level(logging.DEBUG), pytest.raises(BadInput, match=str(status)) as refused:
        clean_with_endpoint(CUES[:9], server.config(), KEY, ctx)
    assert said in refused.value.hint
    assert len(server.requests) == 1
    assert "sk-very" not in str(refused.value) + caplog.text + repr(server.config()) + repr(KEY)


def test_answers_that_do_not_fit_are_asked_for_in_halves(server: Server, ctx: ForegroundContext) -> None:
    def reply(body: dict[str, Any], number: int) -> Reply:
        count = body["messages"][1]["content"].count("-->")
        if count > 12:
            cut = answered(merged(body)[:80], "length")
            return cut if number % 2 else (400, {"error": {"message": "maximum context length exceeded"}}, {})
        return answered(merged(body))

    server.reply = reply
    answer = clean_with_endpoint(CUES[:36], server.config(), None, ctx)
    assert not check_answer(CUES[:36], answer.cues).lost
    assert len(server.requests) == 7


@pytest.mark.parametrize("body", ["no json", "[]", '{"choices": []}', '{"choices": [{"message": null}]}'])
def test_what_is_no_chat_model_is_named(body: str, server: Server, ctx: ForegroundContext) -> None:
    server.reply = lambda _, number: (200, body, {})
    with pytest.raises(BadInput, match="not that of a chat model"):
        clean_with_endpoint(CUES[:9], server.config(), None, ctx)


def test_a_model_that_says_nothing_loses_nothing(server: Server, ctx: ForegroundContext) -> None:
    server.reply = lambda body, number: answered("I cannot do that.")
    answer = clean_with_endpoint(CUES[:9], server.config(), None, ctx)
    assert answer.cues == []
    assert [finding.code for finding in answer.findings] == ["stray_text"]


def test_nobody_there(server: Server, ctx: ForegroundContext) -> None:
    config = EndpointConfig.model_validate({"base_url": "http://127.0.0.1:9/v1", "model": "m", "retries": 1})
    with pytest.raises(Unavailable, match="does not answer"):
        clean_with_endpoint(CUES[:9], config, None, ctx)


def test_cancel_does_not_wait_for_the_answer(server: Server, ctx: ForegroundContext) -> None:
    hold = threading.Event()

    def reply(body: dict[str, Any], number: int) -> Reply:
        threading.Timer(0.1, ctx.request_cancel).start()
        hold.wait(15)
        return answered("")

    server.reply = reply
    began = time.monotonic()
    with pytest.raises(Cancelled):
        clean_with_endpoint(CUES[:9], server.config(), None, ctx)
    waited_s = time.monotonic() - began
    hold.set()
    assert waited_s < 10  # the server would have held it for 15


def test_a_key_is_not_sent_in_the_open(ctx: ForegroundContext) -> None:
    config = EndpointConfig.model_validate({"base_url": "http://llm.example.com/v1", "model": "m"})
    with pytest.raises(BadInput, match="unencrypted"):
        clean_with_endpoint(CUES[:9], config, KEY, ctx)
