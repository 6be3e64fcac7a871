"""Sessions in one SQLite file, in which several pools may keep theirs, each under its own name.

A commit is on the disk when it returns (WAL, `synchronous=FULL`: one fsync a commit), so far as the disk and the
machine below tell the truth about it. Whoever opens a pool's sessions takes them over: a program that was thought dead
and is not can write no more.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from millpond.errors import StoreFailed
from millpond.files import create_private, make_private
from millpond.seams import SessionRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VERSION = 1
BUSY_S = 5.0  # another program may hold the file's write lock so long

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions(
    pool BLOB NOT NULL, id BLOB NOT NULL, generation INTEGER NOT NULL, lease INTEGER NOT NULL,
    version INTEGER NOT NULL, kind TEXT NOT NULL, saved_at REAL NOT NULL, state BLOB NOT NULL, PRIMARY KEY (pool, id)
);
CREATE TABLE IF NOT EXISTS owners(pool BLOB PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
"""
PUT = """
INSERT INTO sessions VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (pool, id) DO UPDATE SET generation = excluded.generation,
    lease = excluded.lease, version = excluded.version, kind = excluded.kind, saved_at = excluded.saved_at,
    state = excluded.state
WHERE (excluded.generation, excluded.lease, excluded.version) >= (generation, lease, version)
"""
GET = "SELECT generation, lease, version, state, kind, saved_at FROM sessions WHERE pool = ? AND id = ?"
CLAIM = "INSERT INTO owners VALUES (?, 1) ON CONFLICT DO UPDATE SET epoch = epoch + 1 RETURNING epoch"


class SqliteStore:
    """A `SessionStore` in the file at `path`, which is made if it is not there, and for its owner only.

    Without `is_synced` a commit is handed to the system and not waited for: it outlives the program, and no power cut.
    """

    is_immediate = False
    survives = True

    def __init__(self, path: str | Path, pool: str = "default", *, is_synced: bool = True) -> None:
        self.path = Path(path).absolute()
        self._pool = _blob(pool)
        self._is_synced = is_synced
        self._epoch = 0  # rises with each program that opens these sessions; who has an older one is fenced out
        self._file: tuple[int, int] | None = None  # the one that was opened: device and inode
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """See `SessionStore`."""
        with self._failing("opened"):
            self._connection = self._prepared()
            self._file = _identity(self.path)
            with self._connection as connection:
                connection.execute("BEGIN IMMEDIATE")
                (self._epoch,) = connection.execute(CLAIM, (self._pool,)).fetchone()

    def put_many(self, records: Sequence[SessionRecord]) -> None:
        """See `SessionStore`."""
        with self._writing() as connection:
            connection.executemany(PUT, map(self._row, records))

    def get(self, session_id: str) -> SessionRecord | None:
        """See `SessionStore`."""
        with self._failing("read"):
            found = self._connected().execute(GET, (self._pool, _blob(session_id))).fetchone()
        return None if found is None else SessionRecord(session_id, *found)

    def delete_many(self, erased: Sequence[tuple[str, int]]) -> None:
        """See `SessionStore`."""
        with self._writing() as connection:
            connection.executemany(
                "DELETE FROM sessions WHERE pool = ? AND id = ? AND generation <= ?",
                [(self._pool, _blob(session_id), generation) for session_id, generation in erased],
            )

    def ids(self) -> list[str]:
        """See `SessionStore`."""
        with self._failing("read"):
            found = self._connected().execute("SELECT id FROM sessions WHERE pool = ?", (self._pool,)).fetchall()
        return [_text(blob) for (blob,) in found]

    def forget_before(self, wall_time: float) -> int:
        """See `SessionStore`."""
        with self._writing() as connection:
            return connection.execute(
                "DELETE FROM sessions WHERE pool = ? AND saved_at < ?", (self._pool, wall_time)
            ).rowcount

    def close(self) -> None:
        """See `SessionStore`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, in which these sessions are still ours."""
        with self._failing("written"), self._connected() as connection:
            self._check_file()
            connection.execute("BEGIN IMMEDIATE")
            (epoch,) = connection.execute("SELECT epoch FROM owners WHERE pool = ?", (self._pool,)).fetchone()
            if epoch != self._epoch:
                raise StoreFailed(
                    f"another program has taken over the sessions of this pool in {self.path}; "
                    "give each program a session_store, or each pool a name, of its own"
                )
            yield connection

    @contextmanager
    def _failing(self, done: str) -> Iterator[None]:
        """What goes wrong is a `StoreFailed`; the connection it went wrong on is not used again."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StoreFailed(f"the session store {self.path} cannot be {done}: {error}") from error

    def _connected(self) -> sqlite3.Connection:
        if not self._epoch:
            raise StoreFailed(f"the session store {self.path} was not opened")
        if self._connection is None:
            self._check_file()
            self._connection = self._prepared()
        return self._connection

    def _check_file(self) -> None:
        """What is committed to a file that is not there any more is lost with the program."""
        if _identity(self.path) != self._file:
            raise StoreFailed(
                f"the session store {self.path} was removed or replaced while it was open; put the file back, "
                "or open the pool anew"
            )

    def _prepared(self) -> sqlite3.Connection:
        create_private(self.path)
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
        try:
            version = _checked_version(connection)
            make_private(self.path)
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise sqlite3.OperationalError("its file system cannot carry a write-ahead log; use a local disk")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._is_synced else 'OFF'}")
            if version < VERSION:
                connection.executescript(f"{SCHEMA} PRAGMA user_version = {VERSION};")
        except BaseException:
            connection.close()
            raise
        return connection

    def _row(self, one: SessionRecord) -> tuple[object, ...]:
        return self._pool, _blob(one.id), *one.age, one.kind, one.saved_at, one.state


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _checked_version(connection: sqlite3.Connection) -> int:
    """The file's version, 0 for a new one; a later one than this program's is refused."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise sqlite3.DatabaseError(f"the file is of version {version}, this program knows {VERSION}")
    return version


def _blob(name: str) -> bytes:
    """Any string there can be, lone surrogates too, which SQLite's text could not hold."""
    return name.encode("utf-8", "surrogatepass")


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")
