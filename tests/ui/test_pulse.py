"""What is drawn when, and what the clock's question answers, without a browser."""

import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from core.settings import Settings
from core.studio import Studio
from ui.controls import Context, Part, Scene
from ui.looks import MOST, Look, Looks, beat
from ui.pulse import answer, draw_part, follow, take_scene
from ui.texts import texts


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    made = Studio(Settings(workspace=tmp_path_factory.mktemp("空 ws")))
    yield made
    made.close()


def scene(studio: Studio, page: str = "home") -> Scene:
    return take_scene(Context(studio, texts("en"), gr.Dropdown()), None, page, {})


def test_part_is_drawn_only_when_its_key_changes(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    drawn: list[int] = []
    state = {"key": 1}

    def render(now: Scene) -> list[Any]:
        drawn.append(state["key"])
        return [f"<p>{state['key']}</p>"]

    def broken(now: Scene) -> list[Any]:
        raise RuntimeError("no such luck")

    ctx = Context(studio, texts("en"), gr.Dropdown())
    ctx.parts += [Part([1], lambda _: state["key"], render), Part([1, 2], lambda _: 1, broken),
                  Part([1], lambda _: 1, render, page="convert")]
    known: dict[int, Any] = {}
    now = scene(studio)
    assert draw_part(ctx, 0, now, known) == ["<p>1</p>"]
    assert draw_part(ctx, 0, now, known) == [gr.skip()]
    state["key"] = 2
    assert draw_part(ctx, 0, now, known) == ["<p>2</p>"]
    with caplog.at_level(logging.ERROR):
        assert draw_part(ctx, 1, now, known) == [gr.skip(), gr.skip()], "one part in trouble stays as it was"
    assert "no such luck" in caplog.text
    assert draw_part(ctx, 2, now, known) == [gr.skip()], "the page of this part is not open"
    assert drawn == [1, 2]


def page_of(studio: Studio, state: dict[str, int]) -> tuple[Context, Looks]:
    """Two pages with a part each and a restless part around them; "home" watches a field."""
    with gr.Blocks():
        ctx = Context(studio, texts("en"), gr.Dropdown())
        ctx.parts.append(Part([gr.HTML()], lambda _: state["clock"], lambda _: ["clock"], restless=True))
        with ctx.building("home"):
            ctx.watch("field", gr.Number())
            ctx.parts.append(Part([gr.HTML()], lambda s: (state["home"], s.values["field"]), lambda _: ["home"]))
        with ctx.building("jobs"):
            ctx.parts.append(Part([gr.HTML()], lambda _: state["jobs"], lambda _: ["jobs"]))
        looks = Looks()
        follow(ctx, ("home", "jobs"), looks)
    return ctx, looks


def draw(ctx: Context, look: Look, page: str, values: dict[str, Any]) -> None:
    look.values[page] = values
    now = take_scene(ctx, None, page, values)
    for index in ctx.seen_on(page):
        draw_part(ctx, index, now, look.known)


def test_parts_and_fields_belong_to_the_page_that_made_them(studio: Studio) -> None:
    ctx, _ = page_of(studio, {"clock": 0, "home": 0, "jobs": 0})
    assert (ctx.seen_on("home"), ctx.seen_on("jobs")) == ([0, 1], [0, 2])
    assert ctx.watched_on == {"field": "home"}


def test_the_clock_is_answered_by_what_was_drawn(studio: Studio) -> None:
    state = {"clock": 0, "home": 0, "jobs": 0}
    ctx, looks = page_of(studio, state)
    look = looks.of("one")
    assert answer(ctx, look, "", "home")["changed"], "nothing was drawn yet"
    draw(ctx, look, "home", {"field": 1})
    assert not answer(ctx, look, "", "home")["changed"]
    state["clock"] = state["jobs"] = 1
    now = answer(ctx, look, "", "home")
    assert not now["changed"], "neither the restless part nor that of a page which is not open"
    assert "ts-status" in now["status"]
    state["home"] = 1
    assert answer(ctx, look, "", "home")["changed"]
    assert answer(ctx, looks.of("two"), "", "home")["changed"], "each page has its own look"


def test_a_part_in_trouble_does_not_keep_the_page_drawing(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    ctx, looks = page_of(studio, {"clock": 0, "home": 0, "jobs": 0})
    look = looks.of("one")
    draw(ctx, look, "home", {"field": 1})
    ctx.parts[1].key = lambda scene: scene.values["none"]
    with caplog.at_level(logging.ERROR):
        assert not answer(ctx, look, "", "home")["changed"]
    assert "could not be drawn" in caplog.text


def test_looks_are_bounded_and_the_newest_stay() -> None:
    looks = Looks()
    looks.of("old").known[1] = 1
    looks.of("dear").known[1] = 1
    for number in range(MOST - 1):
        looks.of(str(number))
        looks.of("dear")
    assert looks.of("dear").known
    assert not looks.of("old").known


def test_beat_over_http(studio: Studio) -> None:
    app = FastAPI()
    ctx, looks = page_of(studio, {"clock": 0, "home": 0, "jobs": 0})
    app.include_router(beat(looks))
    ask = {"who": "me", "page": "home", "voice": "nobody"}
    with TestClient(app) as client:
        assert client.get("/ui-data/beat", params={**ask, "lang": "zh"}).json() == {"changed": True}, "not built yet"
        draw(ctx, looks.of("me"), "home", {"field": 1})
        assert client.get("/ui-data/beat", params={**ask, "lang": "en"}).json()["changed"] is False
