"""Takes: what was heard is what is kept; made again by their seed; mended sentence by sentence; never half there."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from core.errors import BadInput, Conflict, NotFound
from core.service.builtin_speech import BuiltinEngine, BuiltinOptions
from core.speech.chunk import Chunk
from core.speech.request import SpeechRequest
from core.speech.takes import ABOUT, SOUND, Recorder, Take, TakeStore

RATE_HZ = 1000
SAID = SpeechRequest(text="One. Two. Three.", engine="toy", model="m", options={"seed": 7, "pace": 2})


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    return TakeStore(tmp_path / "speech")


def level(value: float, n: int = 100) -> np.ndarray:
    return np.full(n, value, np.float32)


def record(recorder: Recorder, pieces: list[tuple[int, str, np.ndarray]]) -> bytes:
    """Feeds (sentence, words, audio); returns what a listener got."""
    heard = b""
    for index, (number, words, audio) in enumerate(pieces):
        heard += recorder.feed(Chunk(audio, RATE_HZ, index, number, words))
    return heard


def spoken(store: TakeStore, request: SpeechRequest = SAID) -> tuple[Take, bytes]:
    pause = np.zeros(30, np.float32)
    pieces = [(0, "One.", level(0.1)), (1, "Two.", pause), (1, "Two.", level(0.2)), (2, "Three.", pause),
              (2, "Three.", level(0.3))]  # fmt: skip
    with store.begin(request) as recorder:
        heard = record(recorder, pieces)
        return recorder.finish(7, ["mind this"]), heard


def test_what_was_heard_is_what_is_kept(store: TakeStore) -> None:
    take, heard = spoken(store)
    kept, rate_hz = soundfile.read(store.sound(take), dtype="int16")
    assert (kept.astype("<i2").tobytes(), rate_hz) == (heard, RATE_HZ)
    assert [(part.start, part.end, part.text) for part in take.parts] == [
        (0, 100, "One."), (100, 230, "Two."), (230, 360, "Three."),
    ]  # fmt: skip
    assert take == store.get(take.id) == store.all()[0]
    assert sorted(path.name for path in (store.folder / take.id).iterdir()) == [ABOUT, SOUND]
    assert take.seconds == pytest.approx(0.36)
    assert take.rtf > 0


def test_the_request_that_makes_it_again_has_its_seed_and_its_clip(store: TakeStore, tmp_path: Path) -> None:
    clip = tmp_path / "me.WAV"
    clip.write_bytes(b"any bytes")
    take, _ = spoken(store, SpeechRequest(**{**SAID.__dict__, "prompt_audio": clip, "prompt_text": "so it is",
                                            "denoise": True}))  # fmt: skip
    clip.unlink()
    again = store.request(take)
    assert (again.text, again.engine, again.model, again.prompt_text) == (SAID.text, "toy", "m", "so it is")
    assert (again.options, again.denoise) == ({"seed": 7, "pace": 2}, True)
    assert again.prompt_audio is not None
    assert again.prompt_audio.read_bytes() == b"any bytes", "the take has a copy of its own"
    assert store.request(take, 8).options["seed"] == 8


def test_one_sentence_said_again_leaves_the_others_and_its_pause(store: TakeStore) -> None:
    old, _ = spoken(store)
    with store.begin_again(old, 1, 99) as recorder:
        assert recorder.request.text == "Two."
        record(recorder, [(0, "Two.", level(-0.5, 250))])
        new = recorder.finish(99, [])
    kept, _ = soundfile.read(store.sound(new), dtype="float32")
    levels = [round(float(key), 2) for key, _ in itertools.groupby(kept)]
    assert levels == [0.1, 0.0, -0.5, 0.0, 0.3]
    assert [(p.start, p.end, p.seed) for p in new.parts] == [(0, 100, None), (100, 380, 99), (380, 510, None)]
    assert (new.made_from, new.text, new.seed) == (old.id, old.text, old.seed)
    with store.begin_again(new, 2, 5) as recorder:  # and a mended one can be mended
        record(recorder, [(0, "Three.", level(0.9, 10))])
        newest = recorder.finish(5, [])
    kept, _ = soundfile.read(store.sound(newest), dtype="float32")
    assert [round(float(key), 2) for key, _ in itertools.groupby(kept)] == [0.1, 0.0, -0.5, 0.0, 0.9]
    with pytest.raises(NotFound):
        store.begin_again(old, 3, 1)


def test_what_was_not_finished_leaves_nothing(store: TakeStore) -> None:
    with store.begin(SAID) as recorder:
        record(recorder, [(0, "One.", level(0.1))])
    assert store.all() == []
    assert list(store.folder.iterdir()) == []
    with pytest.raises(Conflict), store.begin(SAID) as recorder:
        recorder.finish(7, [])
    assert list(store.folder.iterdir()) == []
    with pytest.raises(BadInput), store.begin(SpeechRequest(text="x", prompt_audio=store.folder / "gone.wav")):
        pass


def test_odd_folders_are_no_takes(store: TakeStore) -> None:
    take, _ = spoken(store)
    (store.folder / "zz").mkdir()
    (store.folder / "zz" / ABOUT).write_text('{"id": 3}', encoding="utf-8")
    assert [one.id for one in store.all()] == [take.id]
    for name in ("zz", "none", "..", "", "../..", "../speech"):
        with pytest.raises((NotFound, BadInput)):
            store.get(name)
    store.delete(take.id)
    assert store.all() == []
    assert (store.folder / ".trash" / take.id / SOUND).is_file()


def test_newest_first_and_only_so_many(store: TakeStore) -> None:
    made = [spoken(store)[0].id for _ in range(3)]
    assert [one.id for one in store.all()] == made[::-1]
    assert [one.id for one in store.all(2)] == made[:0:-1]


def test_a_real_engine(store: TakeStore) -> None:
    session = BuiltinEngine().session(BuiltinOptions(seed=3, pause_ms=200))
    text = "The harbour wakes before the sun. Boats slip out past the wall."
    with store.begin(SpeechRequest(text=text, engine="builtin")) as recorder:
        heard = b"".join(recorder.feed(chunk) for chunk in session.stream(text))
        take = recorder.finish(3, session.warnings)
    assert [part.text for part in take.parts] == ["The harbour wakes before the sun.", "Boats slip out past the wall."]
    assert take.n_samples * 2 == len(heard)
    assert take.parts[-1].end == take.n_samples
