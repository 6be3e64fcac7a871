"""Who works: one row for each worker there was, from the pool's events and from what the answers say.

A worker's rounds and sessions are those that its callers saw, by the process id in each answer.
"""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass

from millpond.events import Event, WorkerDraining, WorkerGone, WorkerReady, WorkerStarting

STARTING, READY, BUSY, DRAINING, GONE = "starting", "ready", "busy", "draining", "gone"


@dataclass(slots=True)
class Row:
    """One worker; it stays on the list when it is gone."""

    worker: int
    pid: int = 0
    state: str = STARTING
    rounds: int = 0
    sessions: int = 0
    ending: str = ""


class Roster:
    """The workers, in the order they were asked for."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}
        self._by_pid: dict[int, Row] = {}
        self._homes: dict[str, int] = {}  # session id -> pid of the worker that answered it last
        self._sessions: Counter[int] = Counter()  # pid -> sessions at home there

    def hear(self, event: Event) -> None:
        """A listener for the pool's `worker` events."""
        match event:
            case WorkerStarting():
                self._rows[event.worker] = Row(event.worker)
            case WorkerReady():
                row = self._row(event.worker)
                row.pid, row.state = event.pid, READY
                self._by_pid[event.pid] = row
            case WorkerDraining():
                self._row(event.worker).state = DRAINING
            case WorkerGone():
                row = self._row(event.worker)
                row.state, row.ending = GONE, signal.Signals(event.signal).name if event.signal else event.reason
                self._sessions.pop(event.pid, None)

    def played(self, session_id: str, pid: int) -> None:
        """A session was answered by a process."""
        home = self._homes.get(session_id)
        if home != pid:
            self._homes[session_id] = pid
            self._sessions[pid] += 1
            if home is not None and self._sessions[home] > 0:
                self._sessions[home] -= 1
        if pid in self._by_pid:
            self._by_pid[pid].rounds += 1

    def rows(self, busy: set[int]) -> tuple[Row, ...]:
        """A copy of each row; `busy` are the workers with a call running."""
        return tuple(self._shown(row, row.worker in busy) for row in self._rows.values())

    def _shown(self, row: Row, is_busy: bool) -> Row:
        state = BUSY if is_busy and row.state == READY else row.state
        sessions = 0 if row.state == GONE else self._sessions[row.pid]
        return Row(row.worker, row.pid, state, row.rounds, sessions, row.ending)

    def _row(self, worker: int) -> Row:
        return self._rows.setdefault(worker, Row(worker))
