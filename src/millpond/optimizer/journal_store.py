"""The journal on disk: one row a decision in an SQLite file (WAL), which may be that of the metrics' history.

Written on a thread of its own and never waited for; a disk that is broken costs the journal on it and nothing else.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from millpond.core import SizingRule
from millpond.files import connect, create_private, make_private
from millpond.logger.pool_logger import PoolLogger
from millpond.optimizer.analysis.finding import Finding
from millpond.optimizer.decision import Decision
from millpond.optimizer.policies.policy import Candidate
from millpond.queue_thread import QueueThread

log = PoolLogger("millpond.optimizer")

KEPT = 10_000  # decisions of one pool
WAITING = 1_000  # for the writer at most
TIMEOUT_S = 5.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions(
    pool TEXT NOT NULL, run TEXT NOT NULL, number INTEGER NOT NULL, wall REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (pool, wall, run, number)
) WITHOUT ROWID
"""


class JournalStore:
    """The rows of one run of a pool in the file at `path`. `error` says why nothing is written, while nothing is."""

    def __init__(self, path: str | Path, pool: str, run: str) -> None:
        self._path, self._pool, self._run = Path(path).absolute(), pool, run
        self._writer = QueueThread("millpond-journal", self._write, limit=WAITING, batch=WAITING)
        self.error = ""

    def put(self, decision: Decision) -> None:
        """Have a decision written, or written anew with its outcome."""
        self._writer.put(decision)

    def settle(self, timeout: float = TIMEOUT_S) -> bool:
        """Wait until all that was put is written; whether it was in time."""
        return self._writer.settle(timeout)

    def close(self) -> None:
        """Write what waits and end, within five seconds."""
        self._writer.close(TIMEOUT_S)

    def _write(self, batch: list[Decision]) -> None:
        try:
            create_private(self._path)
            with closing(connect(self._path, "rwc", TIMEOUT_S)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                make_private(self._path)
                with connection:
                    connection.execute(SCHEMA)
                    rows = [(self._pool, self._run, one.number, one.wall, _body(one)) for one in batch]
                    connection.executemany("INSERT OR REPLACE INTO decisions VALUES (?,?,?,?,?)", rows)
                    connection.execute(
                        "DELETE FROM decisions WHERE pool = ?1 AND wall < (SELECT wall FROM decisions WHERE pool = ?1 "
                        "ORDER BY wall DESC LIMIT 1 OFFSET ?2)",
                        (self._pool, KEPT),
                    )
            self.error = ""
        except (sqlite3.Error, OSError) as error:
            if not self.error:
                log.raised(error, "the optimizer's journal is not stored")
            self.error = f"{type(error).__name__}: {error}"


def read_journal(path: str | Path, pool: str | None = None) -> tuple[Decision, ...]:
    """The decisions in a file, of one pool or of all, the oldest first.

    Raises `FileNotFoundError` where there is no file, and `ValueError` for one that holds no journal.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    try:
        with closing(connect(Path(path).absolute(), "ro", TIMEOUT_S)) as connection:
            rows = connection.execute(
                "SELECT wall, body FROM decisions WHERE pool = ?1 OR ?1 IS NULL ORDER BY wall, number", (pool,)
            ).fetchall()
    except sqlite3.Error as error:
        raise ValueError(f"{str(path)!r} holds no journal: {error}") from error
    return tuple(_decision(wall, body) for wall, body in rows)


def _body(decision: Decision) -> str:
    return json.dumps(asdict(decision))


def _decision(wall: float, body: str) -> Decision:
    fields = json.loads(body)
    for name in ("before", "rule", "proposed"):
        fields[name] = _rule(fields[name])
    fields["guard"] = tuple(fields["guard"])
    fields["findings"] = tuple(Finding(**one) for one in fields["findings"])
    candidates = ((one | {"rule": _rule(one["rule"])}) for one in fields["candidates"])
    fields["candidates"] = tuple(Candidate(**one) for one in candidates)
    return Decision(**fields | {"wall": wall})


def _rule(fields: dict[str, Any]) -> SizingRule:
    return SizingRule(**fields | {"idle_timeouts": tuple(fields["idle_timeouts"])})
