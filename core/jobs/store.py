"""Jobs in SQLite. Every change of state is one guarded statement, so that racing processes cannot both win."""

import contextlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from core.errors import BadInput, NotFound, StudioError, Unavailable, is_no_space, no_space
from core.jobs.migrations import migrate
from core.jobs.model import ACTIVE, Job, State

_COLUMNS = (
    "id, kind, params, voice, state, progress, message, eta_s, result, error, created_at, started_at, "
    "finished_at, pid, pid_started, lane, log, cancel_requested, retry_of, updated_at"
)
_log = logging.getLogger(__name__)


def _job(row: Sequence[Any]) -> Job:
    values = dict(zip(_COLUMNS.replace(" ", "").split(","), row, strict=True))
    for name in ("params", "result", "error"):
        values[name] = None if values[name] is None else json.loads(values[name])
    values["cancel_requested"] = bool(values["cancel_requested"])
    return Job(**values)


class JobStore:
    """The job database of one workspace. Usable from all threads; other processes open their own.

    Raises of every method: NoSpace (disk full), Unavailable (locked longer than `busy_timeout_s`),
    BadInput (the file is no database).
    """

    def __init__(self, path: Path, busy_timeout_s: float = 10.0) -> None:
        """Open or create the database. Raises Conflict if a newer studio wrote it."""
        self.path = path
        self._lock = threading.RLock()
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open(busy_timeout_s)

    def _open(self, busy_timeout_s: float) -> sqlite3.Connection:
        # Some network and FUSE disks (a mounted cloud drive) lack the shared memory that WAL needs, and may
        # have let the file's header say WAL before they failed. Holding the file alone needs no shared memory,
        # so that is how the header is set right.
        plain = ("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = TRUNCATE", "PRAGMA locking_mode = NORMAL")
        for preparation in ((), plain):
            connection = sqlite3.connect(
                self.path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False
            )
            try:
                for statement in preparation:
                    connection.execute(statement)
                if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
                    connection.execute("PRAGMA journal_mode = WAL" if not preparation else plain[1])
                connection.execute("PRAGMA synchronous = NORMAL")
                migrate(connection, str(self.path))
                return connection
            except sqlite3.OperationalError as err:
                connection.close()
                if preparation or "locked" in str(err) or is_no_space(err):
                    raise
                _log.warning("no write-ahead log in %s (%s); using a rollback journal", self.path.parent, err)
            except BaseException:
                connection.close()
                raise
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into ours, under this store's lock."""
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as err:
            if is_no_space(err):
                raise no_space(err, None, self.path) from err
            if "readonly" in str(err) or "unable to open" in str(err):
                raise BadInput(
                    f"The job database {self.path} cannot be written ({err}).",
                    "Change the permissions of the workspace, or choose another one.",
                    where=str(self.path),
                ) from err
            raise Unavailable(
                f"The job database {self.path.name} cannot be used now ({err}).",
                "Another program may hold it; try again in a moment.",
                where=str(self.path),
            ) from err
        except sqlite3.DatabaseError as err:
            raise BadInput(
                f"The job database {self.path} is damaged ({err}).",
                "Close the studio, rename that file, and start again: voices, runs and audio do not depend on it.",
                where=str(self.path),
            ) from err
        except OSError as err:
            if is_no_space(err):
                raise no_space(err, None, self.path) from err
            raise BadInput(
                f"The workspace {self.path.parent} cannot be used: {err.strerror or err}.",
                "Choose another workspace, or change its permissions.",
                where=str(self.path),
            ) from err

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._explained():
            return self._connection.execute(sql, values).fetchall()

    def _change(self, sql: str, values: Sequence[Any] = ()) -> int:
        with self._explained():
            return self._connection.execute(sql, values).rowcount

    def close(self) -> None:
        """Close the database; the store cannot be used after."""
        with self._lock:
            self._connection.close()

    def add(
        self, kind: str, params: dict[str, Any], *, lane: str, voice: str | None = None, retry_of: int | None = None
    ) -> Job:
        """Queue a job. Raises BadInput if `params` is not JSON."""
        try:
            text = json.dumps(params, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as err:
            raise BadInput(f"The parameters of this {kind} job cannot be stored: {err}.", where="params") from err
        now = time.time()
        rows = self._all(
            "INSERT INTO jobs (kind, params, voice, lane, created_at, updated_at, retry_of) "
            f"VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}",
            (kind, text, voice, lane, now, now, retry_of),
        )
        return _job(rows[0])

    def get(self, job_id: int) -> Job:
        """Raises NotFound."""
        rows = self._all(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,))
        if not rows:
            raise NotFound(f"There is no job {job_id}.", "Look at the list of jobs.", where="jobs")
        return _job(rows[0])

    def list(self, limit: int = 50, states: Iterable[State] | None = None, voice: str | None = None) -> list[Job]:
        """Jobs, newest first, of the given states and voice (None: all)."""
        wanted = list(states) if states is not None else None
        conditions, values = ["1"], list[Any]()
        if wanted is not None:
            conditions.append(f"state IN ({', '.join('?' * len(wanted))})")
            values += wanted
        if voice is not None:
            conditions.append("voice = ?")
            values.append(voice)
        where = " AND ".join(conditions)
        rows = self._all(f"SELECT {_COLUMNS} FROM jobs WHERE {where} ORDER BY id DESC LIMIT ?", (*values, limit))
        return [_job(row) for row in rows]

    def count(self, state: State) -> int:
        """How many jobs are in that state."""
        return int(self._all("SELECT count(*) FROM jobs WHERE state = ?", (state,))[0][0])

    def claim(self, lane: str) -> Job | None:
        """Make the oldest queued job of a lane running, if none of that lane runs; None if there is nothing to do.

        One statement: of several dispatchers only one gets a job, and a lane never runs two.
        """
        now = time.time()
        rows = self._all(
            "UPDATE jobs SET state = 'running', started_at = ?, updated_at = ? "
            "WHERE id = (SELECT min(id) FROM jobs WHERE state = 'queued' AND lane = ?) AND state = 'queued' "
            f"AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND lane = ?) RETURNING {_COLUMNS}",
            (now, now, lane, lane),
        )
        return _job(rows[0]) if rows else None

    def requeue(self, job_id: int) -> bool:
        """Let a running job that no worker has begun wait again; False if one has, or it does not run or was asked to
        stop."""
        return bool(
            self._change(
                "UPDATE jobs SET state = 'queued', started_at = NULL, updated_at = ? "
                "WHERE id = ? AND state = 'running' AND pid IS NULL AND cancel_requested = 0",
                (time.time(), job_id),
            )
        )

    def attach(self, job_id: int, pid: int, pid_started: float, instead_of: int | None = None) -> bool:
        """Record the worker process of a running job; False if the job is not running or has another worker.

        `instead_of`: a process that may be on record and is only this one's starter.
        """
        return bool(
            self._change(
                "UPDATE jobs SET pid = ?, pid_started = ? WHERE id = ? AND state = 'running' "
                "AND (pid IS NULL OR pid = ? OR pid = ?)",
                (pid, pid_started, job_id, pid, instead_of),
            )
        )

    def set_log(self, job_id: int, log: str) -> None:
        """Record where the job's log lies."""
        self._change("UPDATE jobs SET log = ? WHERE id = ?", (log, job_id))

    def rename_voice(self, old: str, new: str) -> None:
        """Move all jobs of a voice to its new name."""
        self._change("UPDATE jobs SET voice = ? WHERE voice = ?", (new, old))

    def progress(self, job_id: int, fraction: float, message: str, eta_s: float | None) -> bool:
        """Store progress (0..1); returns whether a cancel was asked for."""
        rows = self._all(
            "UPDATE jobs SET progress = ?, message = ?, eta_s = ?, updated_at = ? "
            "WHERE id = ? AND state = 'running' RETURNING cancel_requested",
            (fraction, message, eta_s, time.time(), job_id),
        )
        return bool(rows and rows[0][0])

    def cancel_requested(self, job_id: int) -> bool:
        """Whether a cancel was asked for."""
        rows = self._all("SELECT cancel_requested FROM jobs WHERE id = ?", (job_id,))
        return bool(rows and rows[0][0])

    def request_cancel(self, job_id: int) -> Job:
        """A queued job becomes cancelled, a running one is flagged, a finished one stays. Raises NotFound."""
        now = time.time()
        self._change(
            "UPDATE jobs SET cancel_requested = 1, updated_at = ?, "
            "finished_at = CASE state WHEN 'queued' THEN ? ELSE finished_at END, "
            "message = CASE state WHEN 'queued' THEN 'Cancelled before it started.' ELSE message END, "
            "state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END "
            f"WHERE id = ? AND state IN ({', '.join('?' * len(ACTIVE))})",
            (now, now, job_id, *ACTIVE),
        )
        return self.get(job_id)

    def finish(
        self,
        job_id: int,
        state: State,
        *,
        result: dict[str, Any] | None = None,
        error: StudioError | None = None,
        message: str | None = None,
    ) -> bool:
        """End a running job; False if it had ended already (the first to say so wins).

        Raises BadInput if `result` is not JSON.
        """
        try:
            result_text = None if result is None else json.dumps(result, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as err:
            raise BadInput(f"The job's result cannot be stored: {err}.", where=f"job {job_id}") from err
        error_text = None if error is None else json.dumps(error.to_dict(), ensure_ascii=False)
        now = time.time()
        return bool(
            self._change(
                "UPDATE jobs SET state = ?, result = ?, error = ?, message = coalesce(?, message), eta_s = NULL, "
                "progress = CASE ? WHEN 'completed' THEN 1.0 ELSE progress END, finished_at = ?, updated_at = ? "
                "WHERE id = ? AND state = 'running'",
                (state, result_text, error_text, message, state, now, now, job_id),
            )
        )
