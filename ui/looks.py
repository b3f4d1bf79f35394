"""What each open page shows, and the browser's question on every beat of its clock: did any of that change?

The question costs the browser next to nothing, while drawing through Gradio costs it by the number of components that
are named; so a page that nobody touches and where nothing happens is left in peace. Light: no Gradio.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter

MOST = 256  # pages remembered; one that was forgotten is drawn whole again, which is all that it costs


@dataclass
class Look:
    """One open page of a browser: keys of its parts as they were drawn, by index, and the values that it watches."""

    known: dict[int, int] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


class Looks:
    """Looks by the name that each page gives itself when it is opened; threads may share it."""

    def __init__(self) -> None:
        self._looks: OrderedDict[str, Look] = OrderedDict()
        self._lock = threading.Lock()
        self.asked: dict[str, Callable[[Look, str, str], dict[str, Any]]] = {}
        """By language: answers the question for a look, a voice and a page. Filled when a language's page is built."""

    def of(self, who: str) -> Look:
        """The look of a page; a new one, of which nothing is drawn, if it is not known."""
        with self._lock:
            look = self._looks.setdefault(who, Look())
            self._looks.move_to_end(who)
            while len(self._looks) > MOST:
                self._looks.popitem(last=False)
            return look


def beat(looks: Looks) -> APIRouter:
    """``GET /ui-data/beat``: whether the page is to be drawn again, and the status bar as it is now."""
    routes = APIRouter(prefix="/ui-data", include_in_schema=False)

    @routes.get("/beat")
    def changed(lang: str, who: str, page: str, voice: str = "") -> dict[str, Any]:
        answer = looks.asked.get(lang)
        return answer(looks.of(who), voice, page) if answer else {"changed": True}

    return routes
