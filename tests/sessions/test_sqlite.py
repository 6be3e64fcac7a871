"""What only the SQLite store does: several owners, broken files, and commits that outlive the program."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from millpond.errors import StoreFailed
from millpond.seams import SessionRecord
from millpond.sessions.sqlite import SqliteStore

RECORD = SessionRecord("a", 1, 1, 1, b"state", "pickle", 5.0)
NEWER = SessionRecord("a", 1, 2, 1, b"newer", "pickle", 6.0)

WRITER = """
import sys
from millpond.seams import SessionRecord
from millpond.sessions.sqlite import SqliteStore

store = SqliteStore(sys.argv[1])
store.open()
for number in range(1_000_000):
    store.put_many([SessionRecord(f"{number % 7}", 1, 1, number, b"%d" % number, "pickle", 0.0)])
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path):
    """Where a file may be made, in a folder of its own."""
    (tmp_path / "deep").mkdir()
    return tmp_path / "deep" / "sessions.db"


@pytest.fixture
def opened():
    """Makes open stores, which are closed when the test is over."""
    with ExitStack() as stack:

        def make(path: Path, pool: str = "pool") -> SqliteStore:
            store = SqliteStore(path, pool)
            stack.callback(store.close)
            store.open()
            return store

        yield make


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_was_removed_takes_no_commits(opened, path, is_replaced):
    """They would go where nobody finds them again. Put back, it goes on."""
    store = opened(path)
    store.put_many([RECORD])
    aside = path.rename(path.with_name("aside.db"))
    if is_replaced:
        path.touch()
    with pytest.raises(StoreFailed, match="removed or replaced"):
        store.put_many([NEWER])
    aside.rename(path)
    store.put_many([NEWER])
    assert store.get("a") == NEWER


def test_pools_share_a_file_and_not_their_sessions(opened, path):
    """The same id in two pools is two sessions; neither erases the other's."""
    one, other = opened(path, "one"), opened(path, "other")
    one.put_many([RECORD])
    assert (other.get("a"), other.ids()) == (None, [])
    other.delete_many([("a", 9)])
    assert other.forget_before(1e9) == 0
    assert one.get("a") == RECORD


def test_who_was_thought_dead_can_write_no_more(opened, path):
    """The next program took the sessions over: an older state never lands on a newer one, nor erases it."""
    stopped = opened(path)
    stopped.put_many([RECORD])
    successor = opened(path)
    successor.put_many([NEWER])
    for late in (
        lambda: stopped.put_many([SessionRecord("a", 9, 9, 9, b"late", "pickle", 7.0)]),
        lambda: stopped.delete_many([("a", 9)]),
        lambda: stopped.forget_before(1e9),
    ):
        with pytest.raises(StoreFailed, match="another program has taken over"):
            late()
    assert successor.get("a") == NEWER


def test_a_batch_is_all_or_nothing(opened, path):
    """A record that cannot be written takes the others of its batch along, so that none is thought kept."""
    store = opened(path)
    with pytest.raises(StoreFailed, match="cannot be written"):
        store.put_many([RECORD, SessionRecord("b", 1, 1, 1, object(), "pickle", 5.0)])
    assert store.ids() == []


def test_it_goes_on_when_the_cause_is_gone(opened, path):
    """A file that another program has locked fails writes, in time, and loses nothing that was kept."""
    store = opened(path)
    store.put_many([RECORD])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        store._connection.execute("PRAGMA busy_timeout = 1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="locked"):
            store.put_many([NEWER])
        assert store.get("a") == RECORD
    store.put_many([NEWER])
    assert store.get("a") == NEWER


def test_what_is_no_database_is_refused_and_left_alone(opened, path):
    """So is a file of a later version: its sessions are somebody's."""
    path.write_text("a diary, not a database; " * 100)
    with pytest.raises(StoreFailed, match="cannot be opened"):
        opened(path)
    assert path.read_text().startswith("a diary")
    assert stat.S_IMODE(path.stat().st_mode) & 0o077
    later = path.with_name("later.db")
    with closing(sqlite3.connect(later)) as file:
        file.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreFailed, match="version 99"):
        opened(later)


def test_a_folder_that_is_not_there_is_said(opened, tmp_path):
    """The path is in the message."""
    with pytest.raises(StoreFailed, match="folder/sessions"):
        opened(tmp_path / "folder" / "sessions.db")


def test_only_its_owner_may_read_it(opened, path):
    """States are users' data; the journal beside the file is no more open than the file."""
    store = opened(path)
    store.put_many([RECORD])
    assert modes_in(path.parent) == {"sessions.db": 0o600, "sessions.db-wal": 0o600, "sessions.db-shm": 0o600}


def test_a_file_that_all_could_read_is_made_private(opened, path):
    """Opening it mends that, of those beside it as well."""
    first = opened(path)
    first.put_many([RECORD])
    for file in path.parent.iterdir():
        file.chmod(0o644)
    opened(path)
    assert modes_in(path.parent) == {"sessions.db": 0o600, "sessions.db-wal": 0o600, "sessions.db-shm": 0o600}


def modes_in(folder) -> dict[str, int]:
    """Who may do what with each file."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def test_nothing_is_done_before_it_is_opened(path):
    """The constructor makes no file, and using it says what is missing."""
    store = SqliteStore(path)
    with pytest.raises(StoreFailed, match="was not opened"):
        store.get("a")
    assert not path.exists()


def test_a_commit_waits_for_the_disk_unless_it_is_told_not_to(path):
    """What a caller was told is kept is past the system's caches; FULL is 2, OFF is 0."""
    modes = []
    for is_synced in (True, False):
        store = SqliteStore(path, is_synced=is_synced)
        store.open()
        modes += store._connection.execute("PRAGMA synchronous").fetchone()
        store.close()
    assert modes == [2, 0]


def test_what_was_committed_outlives_a_kill(opened, path):
    """The program says a number after its commit and is killed while it writes: what it said is there."""
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as program:
            said = [int(program.stdout.readline()) for _ in range(50)]
            program.send_signal(signal.SIGKILL)
            said += [int(line) for line in program.stdout if line.endswith("\n")]
        store = opened(path, "default")
        last = max(said)
        for number in range(last - 6, last + 1):
            assert store.get(f"{number % 7}").version >= number
        assert store.forget_before(1.0) == 7
        store.close()
