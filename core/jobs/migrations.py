"""The job database's numbered migrations. Append only: a released number never changes."""

import sqlite3

from core.errors import Conflict

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    # 1
    (
        """
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            params TEXT NOT NULL,
            voice TEXT,
            lane TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'queued' CHECK (
                state IN ('queued', 'running', 'completed', 'failed', 'cancelled', 'interrupted')),
            progress REAL NOT NULL DEFAULT 0,
            message TEXT NOT NULL DEFAULT '',
            eta_s REAL,
            result TEXT,
            error TEXT,
            created_at REAL NOT NULL,
            started_at REAL,
            finished_at REAL,
            updated_at REAL NOT NULL,
            pid INTEGER,
            pid_started REAL,
            log TEXT NOT NULL DEFAULT '',
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            retry_of INTEGER
        )
        """,
        "CREATE INDEX jobs_by_state ON jobs (state, lane, id)",
    ),
)


def migrate(connection: sqlite3.Connection, where: str) -> None:
    """Bring the database to the newest version, one transaction a step. Safe when two processes do it at once.

    Raises Conflict if a newer studio wrote it.
    """
    while True:
        connection.execute("BEGIN IMMEDIATE")
        try:
            done = int(connection.execute("PRAGMA user_version").fetchone()[0])
            if done > len(MIGRATIONS):
                raise Conflict(
                    f"The job database {where} was written by a newer version of the studio.",
                    "Update this studio, or choose another workspace.",
                    where=where,
                )
            if done == len(MIGRATIONS):
                connection.execute("COMMIT")
                return
            for statement in MIGRATIONS[done]:
                connection.execute(statement)
            # PRAGMA takes no parameters; the number is ours.
            connection.execute(f"PRAGMA user_version = {done + 1:d}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
