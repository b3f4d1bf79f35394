"""The job database: guarded changes, racing processes, damage, age, fullness."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BadInput, Conflict, NoSpace, NotFound, Unavailable
from core.jobs.migrations import MIGRATIONS
from core.jobs.model import FINAL
from core.jobs.store import JobStore
from core.paths import REPO_ROOT


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "w ü" / "studio.sqlite3")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(params=st.dictionaries(st.text(st.characters(codec="utf-8")), json_values, max_size=4))
def test_params_come_back_as_they_went_in(store: JobStore, params: dict[str, object]) -> None:
    try:
        job = store.add("prep", params, lane="work")
    except (BadInput, UnicodeEncodeError):  # a lone surrogate deep inside is no text
        return
    assert store.get(job.id).params == params


def test_the_list_is_newest_first_and_can_be_narrowed(store: JobStore) -> None:
    first, second = store.add("prep", {}, lane="a", voice="x"), store.add("train", {}, lane="b", voice="y")
    store.request_cancel(first.id)
    assert [job.id for job in store.list()] == [second.id, first.id]
    assert [job.id for job in store.list(limit=1)] == [second.id]
    assert [job.id for job in store.list(states=FINAL)] == [first.id]
    assert [job.id for job in store.list(voice="y")] == [second.id]
    assert store.list(states=()) == []
    assert store.count("queued") == 1
    store.rename_voice("y", "z")
    assert store.get(second.id).voice == "z"


def test_only_a_running_job_can_end_and_only_once(store: JobStore) -> None:
    job = store.add("prep", {}, lane="work")
    assert not store.finish(job.id, "completed", result={})
    claimed = store.claim("work")
    assert claimed is not None
    assert claimed.id == job.id
    assert store.finish(job.id, "failed", error=BadInput("m", "h"))
    assert not store.finish(job.id, "completed", result={"late": True})
    done = store.get(job.id)
    assert (done.state, done.result, done.error) == ("failed", None, BadInput("m", "h").to_dict())
    assert not store.progress(job.id, 0.9, "late", None)
    assert store.get(job.id).progress == 0.0


def test_a_worker_attaches_to_a_running_job_and_no_second_one_does(store: JobStore) -> None:
    job = store.add("prep", {}, lane="work")
    assert not store.attach(job.id, 1, 1.0)
    store.claim("work")
    assert store.attach(job.id, 100, 5.0)
    assert store.attach(job.id, 100, 5.0)
    assert not store.attach(job.id, 101, 6.0)
    # A virtual environment's python.exe on Windows only starts the real one.
    assert store.attach(job.id, 101, 6.0, instead_of=100)
    assert store.get(job.id).pid == 101


def test_cancel_in_each_state(store: JobStore) -> None:
    queued, running = store.add("a", {}, lane="q"), store.add("b", {}, lane="r")
    store.claim("r")
    assert store.request_cancel(queued.id).state == "cancelled"
    assert store.claim("q") is None
    flagged = store.request_cancel(running.id)
    assert (flagged.state, flagged.cancel_requested) == ("running", True)
    assert store.progress(running.id, 0.5, "m", None)
    store.finish(running.id, "completed", result={})
    assert store.request_cancel(running.id).state == "completed"
    with pytest.raises(NotFound):
        store.request_cancel(77)


CLAIMER = """
import sys, time
from pathlib import Path
from core.jobs.store import JobStore
store = JobStore(Path(sys.argv[1]))
idle = 0
while idle < 20:
    job = store.claim("work")
    if job is None:
        idle += 1
        time.sleep(0.01)
        continue
    idle = 0
    assert len(store.list(states=("running",))) == 1
    print(job.id)
    store.finish(job.id, "completed", result={})
"""


def test_dispatchers_in_several_processes_never_share_a_job_nor_a_lane(store: JobStore) -> None:
    ids = [store.add("x", {}, lane="work").id for _ in range(40)]
    command = [sys.executable, "-c", CLAIMER, str(store.path)]
    children = [subprocess.Popen(command, cwd=REPO_ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = [child.communicate(timeout=120)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert sorted(int(one) for answer in answers for one in answer) == ids


def test_threads_share_one_store(store: JobStore) -> None:
    def add() -> None:
        for _ in range(20):
            store.add("x", {}, lane="work")

    threads = [threading.Thread(target=add) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.id for job in store.list(limit=200)}) == 100


def test_opening_twice_at_once_migrates_once(tmp_path: Path) -> None:
    found: list[JobStore] = []
    threads = [threading.Thread(target=lambda: found.append(JobStore(tmp_path / "x" / "db.sqlite3"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    version = sqlite3.connect(tmp_path / "x" / "db.sqlite3").execute("PRAGMA user_version").fetchone()[0]
    assert version == len(MIGRATIONS)


def test_a_database_of_a_newer_studio_is_left_alone(store: JobStore) -> None:
    store.close()
    other = sqlite3.connect(store.path)
    other.execute("PRAGMA user_version = 999")
    other.close()
    with pytest.raises(Conflict, match="newer"):
        JobStore(store.path)


def test_a_damaged_database_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "studio.sqlite3"
    path.write_bytes(b"this is not a database, but long enough to look at" * 100)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="damaged") as err:
        JobStore(path)
    assert "rename" in err.value.hint
    assert path.read_bytes() == before


def test_a_lock_that_is_not_released_is_an_error_in_words(store: JobStore) -> None:
    hasty = JobStore(store.path, busy_timeout_s=0.05)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        hasty.add("x", {}, lane="work")
    assert hasty.list() == []  # readers go on
    other.execute("ROLLBACK")
    assert hasty.add("x", {}, lane="work").id == 1


def test_a_full_disk_is_told_as_such_and_the_store_recovers(store: JobStore) -> None:
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NoSpace) as err:
        store.add("x", {"text": "y" * 100_000}, lane="work")
    assert err.value.hint
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.add("x", {}, lane="work").state == "queued"


def test_a_workspace_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BadInput, match="workspace"):
        JobStore(tmp_path / "file" / "studio.sqlite3")


@pytest.mark.parametrize("moved", [False, True])
def test_a_disk_without_shared_memory_gets_a_rollback_journal(tmp_path: Path, moved: bool) -> None:
    # As on a mounted cloud drive: SQLite cannot make the file that WAL's readers share. The database may be
    # new there, or have been moved there from an ordinary disk.
    path = tmp_path / "db.sqlite3"
    if moved:
        before = JobStore(path)
        before.add("x", {}, lane="work")
        before.close()
    (tmp_path / "db.sqlite3-shm").mkdir()
    store = JobStore(path)
    second = JobStore(path)  # as a worker opens it
    assert store._connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal"
    assert store.add("x", {}, lane="work").id == 1 + moved
    assert second.add("x", {}, lane="work").id == 2 + moved
    assert len(store.list()) == 2 + moved


def test_an_ordinary_disk_gets_a_write_ahead_log(store: JobStore) -> None:
    assert store._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_protected_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite3").mkdir()
    with pytest.raises(BadInput, match="cannot be written"):
        JobStore(tmp_path / "db.sqlite3")
