"""Blind comparison of two checkpoints by ear: pairs at equal loudness in random order, votes kept, then revealed.

A test is a folder `listening/ID` of a run: sounds under names that tell nothing, and `test.json` with the order, which
stays on this machine until the test is closed. Kinds: "ab" (which do you prefer?) and "abx" (is X the first or the
second? proof that a difference can be heard at all).

How sure: the exact binomial test against a coin (Clopper and Pearson's distribution), two-sided for a preference,
one-sided for abx. Votes "same" are counted and take no part in it.
"""

import json
import math
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core import atomic
from core.errors import BadInput, Conflict, NotFound
from core.paths import inside

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER, TEST_FILE = "listening", "test.json"
TARGET_LUFS = -23.0
SURE = 0.05
"""Chance of so clear a result by mere guessing, below which a result counts as sure."""
Kind = Literal["ab", "abx"]
Choice = Literal["first", "second", "same"]


@dataclass
class Round:
    """One question. `swapped`: the first sound is of B. `x_is_first`: only abx."""

    first: str
    second: str
    x: str | None
    swapped: bool
    x_is_first: bool
    choice: Choice | None = None
    voted_at: float | None = None


@dataclass
class ListeningTest:
    """A comparison of two things, `a` and `b` (labels such as "step 4000")."""

    id: str
    kind: Kind
    a: str
    b: str
    made_at: float
    rounds: list[Round] = field(default_factory=list)
    closed: bool = False


@dataclass(frozen=True)
class Question:
    """What a listener may see of a round."""

    number: int
    n_rounds: int
    kind: Kind
    first: Path
    second: Path
    x: Path | None
    choice: Choice | None


@dataclass(frozen=True)
class Result:
    """Counts and how sure they are; for abx `for_a` are right answers and `for_b` wrong ones."""

    n_voted: int
    n_rounds: int
    for_a: int
    for_b: int
    same: int
    p_value: float
    """Chance that mere guessing gives so clear a result."""
    sure: bool
    words: str


def create(
    run_folder: Path,
    a: tuple[str, Sequence[Path]],
    b: tuple[str, Sequence[Path]],
    kind: Kind = "ab",
    rounds: int = 10,
    seed: int | None = None,
) -> ListeningTest:
    """Make a test of two sets of renders of the same clips: `(label, files)` each, in the same order.

    Every pair is brought to one loudness (-23 LUFS, peaks below -1 dBTP). Pairs take turns until `rounds` are full;
    which comes first is drawn anew each time.

    Raises:
        BadInput: sets of different size, or empty.
        NoSpace: the disk is full; nothing is left behind.
    """
    from core.audio.encode import write_audio

    if not a[1] or len(a[1]) != len(b[1]):
        raise BadInput("Both sides need the same clips to compare.", "Choose two checkpoints that have recordings.")
    draw = random.Random(seed if seed is not None else secrets.randbits(64))
    test = ListeningTest(f"{int(time.time())}-{secrets.token_hex(3)}", kind, a[0], b[0], time.time())
    (run_folder / FOLDER).mkdir(parents=True, exist_ok=True)
    with atomic.folder(run_folder / FOLDER / test.id) as build:
        names: list[tuple[str, str]] = []
        codes = iter(draw.sample(range(1000, 10000), 2 * len(a[1])))
        for pair in zip(a[1], b[1], strict=True):
            codenames = (f"{next(codes)}.flac", f"{next(codes)}.flac")
            for name, source in zip(codenames, pair, strict=True):
                audio, rate_hz = _level(source)
                write_audio(build / name, audio, rate_hz)
            names.append(codenames)
        for number in range(rounds):
            first, second = names[number % len(names)]
            swapped, x_is_first = draw.random() < 0.5, draw.random() < 0.5
            first, second = (second, first) if swapped else (first, second)
            x = (first if x_is_first else second) if kind == "abx" else None
            test.rounds.append(Round(first, second, x, swapped, x_is_first))
        _write(build, test)
    return test


def load(run_folder: Path, test_id: str) -> ListeningTest:
    """Raises NotFound."""
    path = inside(run_folder / FOLDER, run_folder / FOLDER / test_id) / TEST_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return ListeningTest(**{**data, "rounds": [Round(**row) for row in data["rounds"]]})
    except (OSError, ValueError, TypeError, KeyError) as err:
        raise NotFound(f"There is no listening test '{test_id}'.", "Make a new one.", where=str(path)) from err


def list_tests(run_folder: Path) -> list[ListeningTest]:
    """Readable tests of a run, newest first."""
    folder = run_folder / FOLDER
    names = [path.name for path in folder.iterdir() if (path / TEST_FILE).is_file()] if folder.is_dir() else []
    found = []
    for name in names:
        try:
            found.append(load(run_folder, name))
        except NotFound:
            continue
    return sorted(found, key=lambda test: test.made_at, reverse=True)


def question(run_folder: Path, test: ListeningTest, number: int) -> Question:
    """A round as a listener may see it. Raises NotFound."""
    row = _round(test, number)
    place = run_folder / FOLDER / test.id
    x = place / row.x if row.x else None
    return Question(number, len(test.rounds), test.kind, place / row.first, place / row.second, x, row.choice)


def next_question(run_folder: Path, test: ListeningTest) -> Question | None:
    """The first round without a vote; None when all have one."""
    open_rounds = [n for n, row in enumerate(test.rounds) if row.choice is None]
    return question(run_folder, test, open_rounds[0]) if open_rounds else None


def vote(run_folder: Path, test_id: str, number: int, choice: Choice) -> ListeningTest:
    """Keep a vote; it may be changed until the test is closed.

    Raises:
        BadInput: not a choice.
        Conflict: the test is closed, so its order is known.
        NotFound: no such test or round.
    """
    if choice not in ("first", "second", "same"):
        raise BadInput(f"'{choice}' is not a vote.", "Vote first, second or same.")
    test = load(run_folder, test_id)
    if test.closed:
        raise Conflict("This test is closed: what is what has been shown.", "Make a new one.")
    row = _round(test, number)
    row.choice, row.voted_at = choice, time.time()
    _write(run_folder / FOLDER / test.id, test)
    return test


def close(run_folder: Path, test_id: str) -> Result:
    """End the test and reveal; no votes are taken after."""
    test = load(run_folder, test_id)
    test.closed = True
    _write(run_folder / FOLDER / test.id, test)
    return result(test)


def result(test: ListeningTest) -> Result:
    """Counts so far and how sure they are. A page shows it only once the test is closed."""
    voted = [row for row in test.rounds if row.choice is not None]
    clear = [row for row in voted if row.choice != "same"]
    if test.kind == "abx":
        wins = sum((row.choice == "first") == row.x_is_first for row in clear)
        p_value = at_least(wins, len(clear))
    else:
        wins = sum((row.choice == "first") != row.swapped for row in clear)
        p_value = min(1.0, 2.0 * at_least(max(wins, len(clear) - wins), len(clear)))
    sure = bool(clear) and p_value < SURE
    losses = len(clear) - wins
    return Result(
        len(voted),
        len(test.rounds),
        wins,
        losses,
        len(voted) - len(clear),
        p_value,
        sure,
        _words(test, wins, losses, p_value, sure),
    )


def at_least(k: int, n: int) -> float:
    """Chance of `k` or more heads in `n` throws of a fair coin; 1 for n = 0."""
    return sum(math.comb(n, i) for i in range(k, n + 1)) / 2**n


def _words(test: ListeningTest, wins: int, losses: int, p_value: float, sure: bool) -> str:
    chance = f"guessing gives this in {p_value:.1%} of cases"
    if wins + losses == 0:
        return "No vote for either yet."
    if test.kind == "abx":
        heard = "The difference can be heard" if sure else "No difference was shown"
        return f"{heard}: {wins} of {wins + losses} right, {chance}."
    if not sure:
        return f"No clear preference: {wins} to {losses}, {chance}."
    better, worse = (test.a, test.b) if wins > losses else (test.b, test.a)
    return f"{better} is preferred to {worse}: {max(wins, losses)} to {min(wins, losses)}, {chance}."


def _round(test: ListeningTest, number: int) -> Round:
    if not 0 <= number < len(test.rounds):
        raise NotFound(f"The test has no round {number + 1}.", f"It has {len(test.rounds)}.")
    return test.rounds[number]


def _write(folder: Path, test: ListeningTest) -> None:
    atomic.write_json(folder / TEST_FILE, asdict(test))


def _level(path: Path) -> "tuple[NDArray[np.float32], int]":
    import soundfile

    from core.audio.loudness import normalize

    audio, rate_hz = soundfile.read(path, dtype="float32")
    return normalize(audio, rate_hz, TARGET_LUFS), int(rate_hz)
