"""What the service remembers beside jobs and files: the default character, and which job spoke which request.

SQLite, a connection a call: several threads and server processes may use one workspace.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import BadInput, InUse, is_no_space, no_space

_BUSY_S = 15.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS inferences (id TEXT PRIMARY KEY, job INTEGER NOT NULL, created_at REAL NOT NULL)",
)


class ServiceState:
    """The service's database in `path`. Raises of every method: NoSpace, InUse (locked), BadInput (damaged)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        connection: sqlite3.Connection | None = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
            for statement in _TABLES:
                connection.execute(statement)
            yield connection
        except sqlite3.OperationalError as err:
            if is_no_space(err):
                raise no_space(err, None, self.path) from err
            raise InUse(
                f"The service's database cannot be used now ({err}).", "Try again in a moment.", where=self.path.name
            ) from err
        except sqlite3.DatabaseError as err:
            raise BadInput(
                f"The service's database {self.path.name} is damaged ({err}).",
                "Rename that file; characters, recordings and models do not depend on it.",
                where=self.path.name,
            ) from err
        finally:
            if connection is not None:
                connection.close()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let no other thread or server process look and then act while this block does. Ends with its process."""
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")  # nothing was written: the transaction is the lock

    def fact(self, name: str) -> str | None:
        """A remembered value."""
        with self._open() as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        """Remember a value under a name."""
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (name, value))

    def add_inference(self, inference_id: str, job_id: int) -> None:
        """Note which job does a request."""
        self._write("INSERT OR REPLACE INTO inferences (id, job, created_at) VALUES (?, ?, ?)",
                    (inference_id, job_id, time.time()))  # fmt: skip

    def inference_job(self, inference_id: str) -> int | None:
        """The job of a request."""
        with self._open() as connection:
            row = connection.execute("SELECT job FROM inferences WHERE id = ?", (inference_id,)).fetchone()
        return None if row is None else int(row[0])

    def inferences(self, limit: int) -> list[tuple[str, int]]:
        """(request, job), newest first."""
        with self._open() as connection:
            rows = connection.execute("SELECT id, job FROM inferences ORDER BY job DESC LIMIT ?", (limit,)).fetchall()
        return [(str(row[0]), int(row[1])) for row in rows]

    def forget_inference(self, inference_id: str) -> None:
        """Drop a request."""
        self._write("DELETE FROM inferences WHERE id = ?", (inference_id,))

    def _write(self, sql: str, values: tuple[Any, ...]) -> None:
        with self._open() as connection:
            connection.execute(sql, values)
