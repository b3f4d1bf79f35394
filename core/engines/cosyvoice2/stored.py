"""The speakers that are kept with one voice: heard once, used by any number of requests. Light."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.engines.cosyvoice2.speaker import SPEAKERS, About, SpeakerStore
from core.errors import BadInput, Conflict, ModelFileError

if TYPE_CHECKING:
    from core.dataset.voices import Voice

_RATE_HZ = 24000


@dataclass(frozen=True)
class StoredSpeakers:
    """What the doors do with them. `find` gives the folder of a model by name; empty is the best that is here."""

    voice: "Voice"
    find: Callable[[str], Path]

    @property
    def _store(self) -> SpeakerStore:
        return SpeakerStore(self.voice.path / SPEAKERS)

    def names(self) -> list[str]:
        """Sorted; only the folder is read."""
        return self._store.names()

    def all(self) -> list[About]:
        """Sorted by name; what cannot be read is left out."""
        store, found = self._store, []
        for name in store.names():
            try:
                found.append(store.about(name))
            except ModelFileError:
                continue
        return found

    def about(self, name: str) -> About:
        """One of them. Raises NotFound, ModelFileError."""
        return self._store.about(name)

    def add(self, name: str, clip: Path | None = None, text: str = "", model: str = "") -> About:
        """Hear a clip (None: the voice's best) with a model's ears alone, and keep what they heard.

        With the words of the clip it can be continued. Raises BadInput (no name, the clip), Conflict (the name is
        taken), Unavailable and ModelFileError (the model).
        """
        from core.speech.prompt import read_clip
        from core.speech.voice_prompt import best_clip

        if not name.strip():
            raise BadInput("A speaker needs a name.", "Write one.", where="name")
        if name in self._store.names():
            raise Conflict(f"There is a speaker {name!r} already.", "Choose another name, or rename it.", where=name)
        if clip is None:
            try:
                clip, text = best_clip(self.voice)
            except BadInput:
                clip, text = best_clip(self.voice, with_text=False)
        heard, folder = read_clip(clip, _RATE_HZ, text), self.find(model)
        from core.engines.cosyvoice2.hearing import load_ears

        ears = load_ears(folder)
        self._store.add(name, ears.speaker(heard), made_of=ears.made_of(heard))
        return self._store.about(name)

    def rename(self, name: str, new_name: str) -> None:
        """Raises NotFound, Conflict, BadInput."""
        self._store.rename(name, new_name)

    def delete(self, name: str) -> None:
        """Move it to the trash beside the others. Raises NotFound."""
        self._store.delete(name)
