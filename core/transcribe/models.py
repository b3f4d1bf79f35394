"""Which recogniser's weights are on this machine."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import Unavailable
from core.models import catalogue
from core.settings import Settings

PREFIX = {"whisper": "whisper-", "parakeet": "parakeet-"}


@dataclass(frozen=True)
class FoundModel:
    """Weights that are here: their name and folder. `english_only`: they know no other language."""

    name: str
    folder: Path
    english_only: bool = False


def names(engine: str) -> list[str]:
    """The catalogue's models of an engine, best first."""
    return [one.name for one in catalogue.RECOGNISERS if one.name.startswith(PREFIX[engine])]


def here(settings: Settings, engine: str) -> list[FoundModel]:
    """The models of an engine that can be used now, best first."""
    found = []
    for name in names(engine):
        place = catalogue.locate(settings, name)
        if place.state == "present" and place.path is not None:
            found.append(FoundModel(name, place.path, _english_only(name)))
    return found


def find(settings: Settings, engine: str, model: str | None, language: str | None) -> FoundModel:
    """The model that was asked for: a folder, a name of the catalogue, a size; None takes the best for the language.

    Raises Unavailable, with how to import it by hand.
    """
    if model and Path(model).is_dir():
        return FoundModel(Path(model).name, Path(model).absolute(), _english_only(Path(model).name))
    ready = here(settings, engine)
    if model:
        name = model if model.startswith(PREFIX[engine]) else PREFIX[engine] + model
        for one in ready:
            if one.name == name:
                return one
        raise _missing(settings, engine, name)
    foreign = language not in (None, "en")
    fitting = [one for one in ready if not (foreign and one.english_only)]
    # Without a known language a model that knows them all is the safe choice, were it smaller.
    fitting.sort(key=lambda one: language is None and one.english_only)
    if fitting:
        return fitting[0]
    raise _missing(settings, engine, PREFIX[engine] + ("small" if engine == "whisper" else "tdt-0.6b-v3"))


def _english_only(name: str) -> bool:
    return name.endswith((".en", "-en")) or name == "parakeet-tdt-0.6b-v2" or "distil" in name


def _missing(settings: Settings, engine: str, name: str) -> Unavailable:
    known = names(engine)
    if name not in known:
        listed = ", ".join(one.removeprefix(PREFIX[engine]) for one in known)
        return Unavailable(
            f"There is no {engine} model {name!r}.", f"Choose one of: {listed}; or a folder.", where="model"
        )
    place = catalogue.locate(settings, name)
    lacks = f" (missing: {', '.join(place.missing)})" if place.state == "partial" else ""
    others = ", ".join(one.name for one in here(settings, engine))
    also = f" Here are: {others}." if others else ""
    return Unavailable(
        f"The model {name} is not on this machine{lacks}.{also}",
        f"Import it by hand: {place.entry.by_hand}. Or drop in subtitles that you have already.",
        where=str(place.path),
    )
