"""Requests for speech, whatever the engine: which model, which voice, one session, chunks in a thread of their own."""

import _thread
import asyncio
import contextlib
import json
import queue
import threading
import time
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from core import device
from core.errors import BadInput, Cancelled, StudioError, Unavailable
from core.speech.request import SpeechRequest

if TYPE_CHECKING:
    from core.settings import Settings
    from core.speech.chunk import Chunk
    from core.speech.engine import Engine, Session
    from core.speech.pool import ModelPool

Speaker: TypeAlias = "tuple[Engine[Any, Any], dict[str, Any]]"
"""A loaded model and the settings that choose one of the voices in it, such as a LoRA."""

BUILTIN = "builtin"
_BUDGET_BYTES = 12 << 30
_AHEAD = 64  # chunks that may wait for a slow client


@dataclass(frozen=True)
class EngineInfo:
    """An engine as clients see it. `id`: "builtin", or "engine:model"."""

    id: str
    title: str
    ready: bool
    why_not: str = ""


class SpeechService:
    """The loaded models of one process."""

    def __init__(self, settings: "Settings") -> None:
        self.settings = settings
        self._pool: ModelPool | None = None
        self._lock = threading.Lock()
        self._kept = contextlib.ExitStack()

    def engines(self) -> list[EngineInfo]:
        """What can speak, the built-in one last."""
        from core.speech.registry import ENGINES

        found = []
        for name, entry in ENGINES.items():
            try:
                folder = self._find(name, "")
                found.append(EngineInfo(f"{name}:{folder.name}", entry.title, True))
            except StudioError as err:
                found.append(EngineInfo(name, entry.title, False, f"{err.message} {err.hint}".strip()))
        return [*found, EngineInfo(BUILTIN, "espeak-ng (built in)", True)]

    def choose(self, engine: str, model: str = "") -> tuple[str, str]:
        """(engine, model) that an empty or joined name means. Raises BadInput, NotFound, Unavailable."""
        from core.speech.registry import ENGINES

        name, _, joined = engine.partition(":")
        if name == BUILTIN:
            return BUILTIN, ""
        if name:
            if name not in ENGINES:
                known = ", ".join([*ENGINES, BUILTIN])
                raise BadInput(f"There is no speech engine {name[:60]!r}.", f"The engines are: {known}.", where="model")
            return name, str(self._find(name, model or joined))
        for one in self.engines():
            if one.ready:
                return self.choose(one.id, model if one.id != BUILTIN else "")
        raise Unavailable("Nothing here can speak.", "Run ./launch.sh once.")

    def own_options(self, engine: str, model: str, given: "str | dict[str, Any] | None") -> dict[str, Any]:
        """Settings that a client gives by the engine's own names, as JSON or an object; none that it does not know.

        Raises BadInput (no object, unknown, out of range), NotFound, Unavailable.
        """
        from core.speech.desk import options_class
        from core.subtitles.options import parse_options

        if not given:
            return {}
        try:
            own = json.loads(given) if isinstance(given, str) else given
        except ValueError:
            own = None
        if not isinstance(own, dict):
            raise BadInput("The engine's options are no JSON object.", 'Send such as {"speed": 1.2}.', where="options")
        if "lora" in own:  # a folder; clients name a LoRA as the model
            raise BadInput("A LoRA is chosen as the model.", "List the models: /v1/models.", where="options")
        parsed = parse_options(options_class(self.choose(engine, model)[0]), own)
        filled: dict[str, Any] = parsed.model_dump(exclude_unset=True)
        return filled

    def _find(self, name: str, model: str) -> Path:
        """A model by name, in the catalogue's place or at the folder that settings.speech_model names.

        Never by a path: these names come from clients.
        """
        from core.speech.registry import find_model

        if any(char in model for char in "/\\") or ".." in model:
            raise BadInput("A model is named, not given as a path.", "List them: /v1/models.", where="model")
        if self.settings.speech_model:
            engine, own = self.own_model()
            if name == engine and model in ("", own.name):
                return find_model(name, self.settings, str(own))
        return find_model(name, self.settings, model)

    def own_model(self) -> tuple[str, Path]:
        """(engine, folder) of settings.speech_model, which is not empty."""
        from core.speech.registry import ENGINES

        engine, _, own = self.settings.speech_model.partition(":")
        if engine not in ENGINES:  # a folder alone; on Windows its drive has the colon
            engine, own = "voxcpm", self.settings.speech_model
        return engine, Path(own)

    def loaded(self) -> dict[str, int]:
        """Bytes that each loaded model holds."""
        held = self._pool.loaded() if self._pool is not None else {}
        return {f"{key[0]}:{Path(key[1]).name}": n for key, n in held.items() if isinstance(key, tuple)}

    @contextlib.contextmanager
    def open(self, request: SpeechRequest) -> "Iterator[Session]":
        """A session for a request; its model stays loaded meanwhile. Blocks while it loads.

        Raises BadInput, NotFound (voice, model), Unavailable, ModelFileError.
        """
        with contextlib.ExitStack() as stack:
            found = self._trained(request, stack) or self._engine(*self.choose(request.engine, request.model), stack)
            engine, own = found
            prompt = self._prompt(engine, request, stack)
            known = type(engine).options.model_fields
            chosen = {key: value for key, value in request.options.items() if key in known and value is not None} | own
            if request.normalize and "normalise" in known:
                chosen.setdefault("normalise", True)
            wish = request.options.get("instructions")
            if wish and prompt is None and "description" in engine.capabilities.modes:
                chosen["description"] = wish
            yield engine.session(type(engine).options.model_validate(chosen), prompt)

    def builtin(self, voice: str | None) -> "Engine[Any, Any]":
        """The built-in engine, or the one that speaks through the model that was trained for a voice; in use for as
        long as this object is. Raises NotFound (voice), BadInput (the voice has no such model), ModelFileError."""
        request = SpeechRequest(engine=BUILTIN, voice=voice)
        found = self._trained(request, self._kept)
        engine = (found or self._engine(BUILTIN, "", self._kept))[0]
        if voice is not None and found is None:
            engine.prompt(None)  # says that it cannot imitate
        return engine

    def _trained(self, request: SpeechRequest, stack: contextlib.ExitStack) -> "Speaker | None":
        """The model of the request's voice that was trained last, where no engine or the built-in one is named: VoxCPM
        speaks by itself, built-in speech goes through a converter. None: the voice has none."""
        if request.voice is None or request.engine.partition(":")[0] not in ("", BUILTIN):
            return None
        from core.dataset.voices import VoiceStore
        from core.service import converted_speech, status

        voice = VoiceStore(self.settings.voices_dir).get(request.voice)
        usable = [one for one in status.trained(voice) if not request.engine or one.engine == "sovits"]
        if not usable:
            return None
        model = usable[0]
        if model.engine == "voxcpm":
            return self._engine(model.engine, str(model.path), stack)
        # A model that was trained again in its place is another one.
        key = ("voice", str(model.path), model.weights.stat().st_mtime_ns)
        return self._pooled(key, lambda: converted_speech.load(voice.name, model.path, self.settings), stack), {}

    def _engine(self, name: str, folder: str, stack: contextlib.ExitStack) -> "Speaker":
        from core.speech.registry import load_engine, parts

        if name == BUILTIN:
            from core.service.builtin_speech import BuiltinEngine

            return BuiltinEngine(), {}
        base, own = parts(name, Path(folder))
        base = base.resolve()
        where = device.pick(self.settings.device)
        # Training puts a new folder in the place of the old one; one that is gone is for `load_engine` to tell.
        key = (name, str(base), base.stat().st_mtime_ns if base.is_dir() else 0)
        return self._pooled(key, lambda: load_engine(name, base, where), stack), own

    def _pooled(
        self, key: object, load: "Callable[[], Engine[Any, Any]]", stack: contextlib.ExitStack
    ) -> "Engine[Any, Any]":
        from core.speech.pool import ModelPool

        with self._lock:
            if self._pool is None:
                self._pool = ModelPool(_BUDGET_BYTES)
        loaded: Engine[Any, Any] = stack.enter_context(self._pool.use(key, load))
        return loaded

    def _prompt(self, engine: "Engine[Any, Any]", request: SpeechRequest, stack: contextlib.ExitStack) -> Any:
        from core.service.converted_speech import ConvertedEngine
        from core.speech.denoised import denoised
        from core.speech.prompt import read_clip, roles

        path, text, kept = request.prompt_audio, request.prompt_text, None
        stored = str(request.options.get("stored") or "") if "stored" in type(engine).options.model_fields else ""
        if stored and path is not None:
            raise BadInput("Give either a clip or a stored speaker, not both.", "Leave one out.", where="stored")
        alone = "reference" in engine.capabilities.modes
        if path is None and request.voice is not None:
            from core.dataset.voices import VoiceStore
            from core.speech.voice_prompt import best_clip

            voice = VoiceStore(self.settings.voices_dir).get(request.voice)
            if isinstance(engine, ConvertedEngine):
                return None
            if engine.name == BUILTIN:
                return engine.prompt(None)
            if stored:
                return engine.stored(voice.path, stored)
            path, text = best_clip(voice, with_text=not alone)
            kept = voice.path / "prompts"
        if path is None:
            if text.strip():
                raise BadInput(
                    "prompt_text is what is said in prompt_audio, which is missing.", "Send both.", where="prompt_audio"
                )
            return None
        if engine.name == BUILTIN:
            return engine.prompt(None)
        if request.denoise:
            path = stack.enter_context(denoised(path, self.settings))
        clip = read_clip(path, engine.capabilities.prompt_rate_hz, text)
        return engine.prompt(*roles(clip, str(request.options.get("mode", "")), alone), kept)


def spoken_text(request: SpeechRequest) -> str:
    """The text as it goes to the engine; `normalize` makes wide letters and digits plain (NFKC), and engines that can
    write numbers out."""
    return unicodedata.normalize("NFKC", request.text) if request.normalize else request.text


class TextPieces:
    """A text that arrives in pieces, read by the engine's thread."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[str | None] = queue.Queue()

    def put(self, piece: str | None) -> None:
        """Add a piece; None ends the text."""
        self._pieces.put(piece)

    def __iter__(self) -> Iterator[str]:
        while (piece := self._pieces.get()) is not None:
            yield piece


class Speaking:
    """A request that is being spoken: an async iterator of chunks. Close it, however it ends.

    Attributes:
        seed: of the session, once the first chunk is there.
        warnings: of the session.
        engine_s: seconds that model and engine took until the first chunk.
    """

    def __init__(
        self, service: SpeechService, request: SpeechRequest, text: "str | TextPieces | None" = None,
        merge: bool = False,
    ) -> None:  # fmt: skip
        """`merge`: chunks that are waiting when one is asked for come as one, which spares a busy server work."""
        self._service, self._request, self._merge = service, request, merge
        self._text = spoken_text(request) if text is None else text
        self._loop = asyncio.get_running_loop()
        self._out: asyncio.Queue[Chunk | BaseException | None] = asyncio.Queue()
        self._room = threading.Semaphore(_AHEAD)
        self._stop = threading.Event()
        self._session: Session | None = None
        self.seed: int | None = None
        self.warnings: list[str] = []
        self.engine_s = 0.0
        # threading.Thread.start waits until the new thread runs: 8 ms of a busy server in which nobody is answered.
        _thread.start_new_thread(self._work, ())

    def _work(self) -> None:
        began = time.monotonic()
        try:
            with self._service.open(self._request) as session:
                self._session, self.seed, self.warnings = session, session.seed, session.warnings
                if self._stop.is_set():  # closed while the model was loading
                    raise Cancelled()
                with contextlib.closing(session.stream(self._text, live=self._request.live)) as chunks:
                    for chunk in chunks:
                        self.engine_s = self.engine_s or time.monotonic() - began
                        while not self._stop.is_set() and not self._room.acquire(timeout=0.2):
                            pass
                        if self._stop.is_set():
                            break
                        self._hand(chunk)
            self._hand(None)
        # The thread's boundary: whatever happens reaches the one who waits for chunks.
        except BaseException as err:  # noqa: BLE001
            self._hand(err)

    def _hand(self, item: "Chunk | BaseException | None") -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._out.put_nowait, item)

    async def __aiter__(self) -> "AsyncIterator[Chunk]":
        """Chunks as they are made. Raises what the engine raises, Cancelled after `close`."""
        from core.speech.chunk import joined

        last: Chunk | BaseException | None
        while True:
            items = [await self._out.get()]
            while self._merge and not self._out.empty():
                items.append(self._out.get_nowait())
            last = items[-1]  # the end, or an error, comes after all chunks
            chunks = [item for item in items if item is not None and not isinstance(item, BaseException)]
            for _ in chunks:
                self._room.release()
            if chunks:
                yield chunks[-1] if len(chunks) == 1 else replace(chunks[-1], audio=joined(chunks))
            if isinstance(last, BaseException):
                raise last
            if last is None:
                break
        if self._stop.is_set():
            raise Cancelled()

    def close(self) -> None:
        """Stop within one step. Safe to call again."""
        self._stop.set()
        if self._session is not None:
            self._session.cancel()
        if isinstance(self._text, TextPieces):
            self._text.put(None)
