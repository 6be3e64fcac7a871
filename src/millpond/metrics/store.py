"""History on disk: slots in one SQLite file (WAL), with the run of the pool (`boot`) they belong to.

Written on a thread of its own and never waited for. A disk that is broken or full costs history and nothing else: what
went wrong is kept in `error`, slots are dropped and counted, and the file is tried again later.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from millpond.files import connect, create_private, make_private
from millpond.logger.pool_logger import PoolLogger
from millpond.metrics import columns
from millpond.metrics.columns import Row, rearranged
from millpond.metrics.history import Slot
from millpond.queue_thread import QueueThread

log = PoolLogger("millpond.metrics")

KEEP_S = {10: 7_200.0, 60: 30 * 86_400.0}  # resolution -> how long its slots stay
MOST_BYTES = 256 * 1024 * 1024  # of the file, its journal aside
WAITING = 1_000  # slots for the writer at most
TRY_AGAIN_S = 30.0  # after a failure
PRUNE_EVERY = 60  # slots written between two looks for what is too old
PRUNE_SHARE = 10  # a tenth of the slots goes when the file is too large
CLOSE_S = 5.0  # the writer has to end in, at most
VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS boots(
    boot TEXT PRIMARY KEY, pool TEXT NOT NULL, opened REAL NOT NULL, counters TEXT NOT NULL, gauges TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slots(
    pool TEXT NOT NULL, step INTEGER NOT NULL, wall REAL NOT NULL, boot TEXT NOT NULL, at REAL NOT NULL,
    seconds REAL NOT NULL, counters BLOB NOT NULL, gauges BLOB NOT NULL, peaks BLOB NOT NULL, packed BLOB NOT NULL,
    operations BLOB NOT NULL, PRIMARY KEY (pool, step, wall, boot)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS slots_of_boot ON slots(boot);
"""


@dataclass(frozen=True, slots=True)
class Boot:
    """One run of a pool: its id, and when it was opened (Unix time)."""

    boot: str
    pool: str
    opened: float


class HistoryStore:
    """The file at `path`; pools may share it. the age of what is in it is by `wall_clock`."""

    def __init__(
        self, path: str | Path, boot: Boot, wall_clock: Callable[[], float], most_bytes: int = MOST_BYTES
    ) -> None:
        self.path = Path(path).absolute()
        self.boot = boot
        self._wall_clock = wall_clock
        self._most_bytes = most_bytes
        self._writer = QueueThread("millpond-history", self._write, limit=WAITING, batch=WAITING)
        self._written = 0  # batches
        self._try_again_at = -math.inf  # after a failure: until then nothing is taken in
        self.error = ""  # why nothing is written, while nothing is
        self.dropped = 0  # slots that are in no file
        self.stored_bytes = 0

    def close(self) -> None:
        """Write what waits and end, within five seconds; also if the disk does not answer."""
        self.dropped += self._writer.close(CLOSE_S)

    def put(self, step: int, slot: Slot) -> None:
        """Have a slot written, unless too many wait. The file is opened for the first, and made if need be."""
        if step not in KEEP_S:
            return
        if time.monotonic() < self._try_again_at or not self._writer.put((step, slot)):
            self.dropped += 1

    def settle(self, timeout: float = CLOSE_S) -> bool:
        """Wait until all that was put is written or dropped; whether it was in time."""
        return self._writer.settle(timeout)

    def read(self, step: int, since: float, until: float) -> list[Slot]:
        """Slots of all boots of this pool that ended in (`since`, `until`], in Unix time; none if the file is broken.

        Reads on the caller's thread, beside the writer, who makes the file with the first slot.
        """
        try:
            if not self.path.exists():
                return []
            with closing(connect(self.path, "rw", CLOSE_S)) as connection:
                return list(_read(connection, self.boot.pool, step, since, until))
        except (sqlite3.Error, OSError, ValueError) as error:
            self._failed(error)
            return []

    # The writer's thread

    def _write(self, batch: list[tuple[int, Slot]]) -> None:
        try:
            with closing(self._prepared()) as connection:
                with connection:
                    rows = [_row(self.boot, step, slot) for step, slot in batch]
                    connection.executemany("INSERT OR REPLACE INTO slots VALUES (?,?,?,?,?,?,?,?,?,?,?)", rows)
                self.error = ""  # one that a reader met too
                if self._written % PRUNE_EVERY == 0:
                    _prune(connection, self.boot.pool, self._wall_clock())
                self._written += 1
                self.stored_bytes = _shrink(connection, self._most_bytes)
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            self.dropped += len(batch) + self._writer.clear()
            self._try_again_at = time.monotonic() + TRY_AGAIN_S  # let the disk alone for a while

    def _failed(self, error: Exception) -> None:
        if not self.error:
            log.raised(error, "the history is not stored; the notes of the snapshot's health have the text")
        self.error = f"{type(error).__name__}: {error}"

    def _prepared(self) -> sqlite3.Connection:
        """The file, with its tables and this boot in them."""
        create_private(self.path)
        connection = connect(self.path, "rwc", CLOSE_S)
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            _check_version(connection)
            make_private(self.path)
            connection.executescript(SCHEMA)
            names = json.dumps(columns.COUNTERS), json.dumps(columns.ALL_GAUGES)
            row = (self.boot.boot, self.boot.pool, self.boot.opened, *names)
            with connection:
                connection.execute("INSERT OR REPLACE INTO boots VALUES (?,?,?,?,?)", row)
        except BaseException:
            connection.close()
            raise
        return connection


def _check_version(connection: sqlite3.Connection) -> None:
    """Refuse a file of a later version; mark a new one."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise sqlite3.DatabaseError(f"the file is of version {version}, this program knows {VERSION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _row(boot: Boot, step: int, slot: Slot) -> tuple[object, ...]:
    rows = (slot.counters.tobytes(), slot.gauges.tobytes(), slot.peaks.tobytes())
    timing = (step, slot.wall, boot.boot, slot.at, slot.seconds)
    return (boot.pool, *timing, *rows, slot.packed, slot.packed_operations)


def _read(connection: sqlite3.Connection, pool: str, step: int, since: float, until: float) -> list[Slot]:
    made = connection.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('slots', 'boots')").fetchone()[0]
    if made < 2:  # the writer is making the file just now
        return []
    found = connection.execute(
        "SELECT s.boot, s.at, s.wall, s.seconds, s.counters, s.gauges, s.peaks, s.packed, s.operations, "
        "b.counters, b.gauges FROM slots s JOIN boots b USING (boot) "
        "WHERE s.pool = ? AND s.step = ? AND s.wall > ? AND s.wall <= ? ORDER BY s.wall",
        (pool, step, since, until),
    )
    return [_slot(*row) for row in found]


def _slot(boot: str, at: float, wall: float, seconds: float, *blobs: bytes) -> Slot:
    counters, gauges, peaks, packed, operations, counter_names, gauge_names = blobs
    names = json.loads(counter_names), json.loads(gauge_names)
    return Slot(
        at=at,
        seconds=seconds,
        counters=rearranged(_floats(counters), names[0], columns.COUNTERS),
        packed=packed,
        gauges=rearranged(_floats(gauges), names[1], columns.ALL_GAUGES),
        peaks=rearranged(_floats(peaks), names[1], columns.ALL_GAUGES),
        boot=boot,
        wall=wall,
        packed_operations=operations,
    )


def _floats(blob: bytes) -> Row:
    return np.frombuffer(blob, np.float64)


def _prune(connection: sqlite3.Connection, pool: str, now: float) -> None:
    """Drop the pool's slots that are too old, and its boots of that age that have none left."""
    with connection:
        for step, keep_s in KEEP_S.items():
            connection.execute("DELETE FROM slots WHERE pool = ? AND step = ? AND wall < ?", (pool, step, now - keep_s))
        connection.execute(
            "DELETE FROM boots WHERE pool = ? AND opened < ? AND boot NOT IN (SELECT boot FROM slots)",
            (pool, now - max(KEEP_S.values())),
        )


def _shrink(connection: sqlite3.Connection, most_bytes: int) -> int:
    """Drop the oldest slots until the file is within its bound; its size in bytes."""
    while (size := _size(connection)) > most_bytes:
        count = connection.execute("SELECT count(*) FROM slots").fetchone()[0]
        if not count:
            return size
        edge = connection.execute(
            "SELECT wall FROM slots ORDER BY wall LIMIT 1 OFFSET ?", (count // PRUNE_SHARE,)
        ).fetchone()[0]
        with connection:
            connection.execute("DELETE FROM slots WHERE wall <= ?", (edge,))
        connection.executescript("PRAGMA incremental_vacuum")  # to its end; `execute` frees one page
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return size


def _size(connection: sqlite3.Connection) -> int:
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    page_size: int = connection.execute("PRAGMA page_size").fetchone()[0]
    return pages * page_size
