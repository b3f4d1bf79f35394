"""The gate of several server processes: one queue in a small SQLite file, fair between clients as `Gate` is.

A turn is a row; the rows of a process that died are removed by the others. Nothing here outlives the server: the file
is made anew when it starts and is never synced to disk.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from core.errors import InUse
from core.jobs import processes
from core.service.gate import TooMany

_BUSY_S = 15.0
_LOOK_S = 0.02
_BURY_S = 1.0
_TABLES = """
CREATE TABLE IF NOT EXISTS turns
    (id INTEGER PRIMARY KEY AUTOINCREMENT, client TEXT NOT NULL, pid INTEGER NOT NULL, begun REAL NOT NULL,
     active INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS served (client TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""
_NEXT = """
SELECT turns.id, turns.client FROM turns LEFT JOIN served ON served.client = turns.client
WHERE active = 0 ORDER BY COALESCE(served.number, 0), turns.id LIMIT 1
"""
"""Of those who wait the first of the client that was served longest ago."""


class SharedGate:
    """At most `limit` requests at once and `queue` waiting over all processes, of one client `per_client` in all."""

    def __init__(self, path: Path, limit: int, queue: int, per_client: int) -> None:
        self.limit, self.queue, self.per_client = limit, queue, per_client
        self._path = path
        self._me = processes.identity()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._buried = 0.0
        self._mean_s = 2.0

    @property
    def active(self) -> int:
        """How many speak, over all processes."""
        return self._counts()[0]

    @property
    def queued(self) -> int:
        """How many wait, over all processes."""
        return self._counts()[1]

    def _counts(self) -> tuple[int, int]:
        with self._open() as database:
            return _counts(database)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction that no other process is in. Raises InUse."""
        try:
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = OFF")
                connection.executescript(_TABLES)
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()
        except sqlite3.Error as err:
            raise InUse(f"The queue of the speech engines cannot be used ({err}).", "Try again.") from err

    @contextlib.asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[float]:
        """A turn; gives the seconds that were waited. Raises TooMany at once, never after waiting; InUse."""
        asked = time.monotonic()
        number = self._ask(client)
        try:
            await self._admitted(number)
            began = time.monotonic()
            try:
                yield began - asked
            finally:
                self._mean_s += 0.2 * (time.monotonic() - began - self._mean_s)
        finally:
            self._waiting.pop(number, None)
            with self._open() as database:
                database.execute("DELETE FROM turns WHERE id = ?", (number,))

    def _ask(self, client: str) -> int:
        """Stand in line. Raises TooMany."""
        with self._open() as database:
            self._bury(database)
            (mine,) = database.execute("SELECT COUNT(*) FROM turns WHERE client = ?", (client,)).fetchone()
            active, queued = _counts(database)
            again_s = max(1, min(60, round(self._mean_s * (queued + 1) / self.limit)))
            if mine < self.per_client and (active < self.limit or queued < self.queue):
                row = database.execute("INSERT INTO turns (client, pid, begun) VALUES (?, ?, ?)", (client, *self._me))
                assert row.lastrowid is not None
                return row.lastrowid
        if mine >= self.per_client:
            raise TooMany(f"This client has {self.per_client} requests under way.", again_s)
        raise TooMany(f"{queued} requests are waiting already.", again_s)

    async def _admitted(self, number: int) -> None:
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._admit()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        await self._waiting[number]

    async def _look(self) -> None:
        """While someone waits here: who is next? Another process may have left, or died."""
        while any(not place.done() for place in self._waiting.values()):
            await asyncio.sleep(_LOOK_S)
            self._admit()

    def _admit(self) -> None:
        with self._open() as database:
            self._bury(database)
            free = self.limit - _counts(database)[0]
            while free > 0 and (row := database.execute(_NEXT).fetchone()) is not None:
                database.execute("UPDATE turns SET active = 1 WHERE id = ?", (row[0],))
                database.execute(
                    "INSERT OR REPLACE INTO served SELECT ?, COALESCE(MAX(number), 0) + 1 FROM served", (row[1],)
                )
                free -= 1
            admitted = {row[0] for row in database.execute("SELECT id FROM turns WHERE active = 1")}
        for number, place in self._waiting.items():
            if number in admitted and not place.done():
                place.set_result(None)

    def _bury(self, database: sqlite3.Connection) -> None:
        """Remove the turns of processes that are gone; looked at about once a second."""
        if time.monotonic() - self._buried < _BURY_S:
            return
        self._buried = time.monotonic()
        for pid, begun in database.execute("SELECT DISTINCT pid, begun FROM turns").fetchall():
            if not processes.is_alive(pid, begun):
                database.execute("DELETE FROM turns WHERE pid = ? AND begun = ?", (pid, begun))


def _counts(database: sqlite3.Connection) -> tuple[int, int]:
    rows = dict(database.execute("SELECT active, COUNT(*) FROM turns GROUP BY active").fetchall())
    return rows.get(1, 0), rows.get(0, 0)
