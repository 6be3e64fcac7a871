"""A worker as the core knows it: its state, what it holds, and why it goes.

Counts and sets only; the process behind it, and whatever an engine notes of it, is the engine's. Whether a ready worker
is busy is derived from what it holds, so that sending a call changes one thing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.core.records.queue import CallQueue
from millpond.core.records.states import Table

if TYPE_CHECKING:
    from millpond.core.records.call import Call
    from millpond.core.records.session import Session
    from millpond.core.workers.warmup import Run

STARTING, WARMING, SPARE, READY, BUSY = "starting", "warming", "spare", "ready", "busy"
DRAINING, STOPPING, KILLED, GONE = "draining", "stopping", "killed", "gone"
LEAVING = (DRAINING, STOPPING, KILLED)  # it takes no new work, and its death is expected

TRANSITIONS: Table = {
    (STARTING, WARMING): "the handler was made; setup, `warmup` and the warm-up commands run",
    (STARTING, READY): "answered the handshake, nothing to warm up",
    (WARMING, READY): "warm-up ended and it answered the handshake",
    (STARTING, SPARE): "as ready, and enough serve: it stands by",
    (WARMING, SPARE): "as ready, and enough serve: it stands by",
    (SPARE, READY): "takes the place of one that is gone, or the pool grows",
    (READY, DRAINING): "not wanted any more, to be recycled, replaced, or no longer trusted",
    (SPARE, DRAINING): "not wanted any more, to be recycled or replaced",
    (STARTING, DRAINING): "not wanted any more before it was ready",
    (WARMING, DRAINING): "not wanted any more before it was ready",
    (DRAINING, STOPPING): "it holds nothing: it was told to say goodbye",
    (STARTING, KILLED): "was not ready in time, or its engine is lost",
    (WARMING, KILLED): "could not be warmed up in time, or its engine is lost",
    (SPARE, KILLED): "does not answer, or its engine is lost",
    (READY, KILLED): "does not answer, does not stop what it runs, or broke the protocol",
    (DRAINING, KILLED): "the same, or the drain time is over",
    (STOPPING, KILLED): "did not say goodbye in time",
    (STARTING, GONE): "could not start",
    (WARMING, GONE): "could not warm up",
    (SPARE, GONE): "died",
    (READY, GONE): "died",
    (DRAINING, GONE): "died",
    (STOPPING, GONE): "said goodbye",
    (KILLED, GONE): "its death was told",
}
# What the diagram adds to the table: derived from the calls a ready worker holds.
DERIVED: Table = {(READY, BUSY): "a call was sent", (BUSY, READY): "the last call was answered"}
# Why a worker is gone, a closed set. The first two were the pool's own wish.
RETIRED, RECYCLED = "retired", "recycled"  # not wanted any more; replaced for its age, calls, memory or session
CRASHED = "crashed"  # ended by itself, or was ended from outside
START_FAILED = "start_failed"  # never became ready
UNRESPONSIVE = "unresponsive"  # missed its pings, or was stopped
OVERRAN = "overran"  # an interrupted call did not come back within its grace
PROTOCOL = "protocol"  # said what no correct worker says, or stopped in the middle of it

UNRANKED = -1
Rank = tuple[int, float]  # sessions, and since when it is idle


@dataclass(slots=True, eq=False)
class Worker:
    """One worker; `id` is its incarnation and never used again."""

    id: int
    started_at: float
    slots: int  # calls it runs at a time, or may run still before it is recycled
    window: int  # calls it may hold at most, if they are expected to be short
    state: str = STARTING
    reason: str = ""  # why it drains or is killed; the first reason stands
    cause: str = ""  # the same in one word: one of the causes above
    pid: int = 0
    # Call id -> call: sent and not answered, given-up ones included
    inflight: dict[int, Call] = field(default_factory=dict)
    # Call id -> internal call that its control thread has: a concurrent export, which takes no slot
    exports: dict[int, Call] = field(default_factory=dict)
    skips: int = 0  # calls withdrawn in time which the worker has yet to pass over
    expected_s: float = 0.0  # work in flight, as far as known
    queue: CallQueue = field(default_factory=CallQueue)  # calls of its sessions
    sessions: dict[int, Session] = field(default_factory=dict)  # number -> session bound here
    unasked: int | None = None  # while it drains: sessions in front that were not asked to leave yet
    answered: int = 0
    busy_s: float = 0.0  # seconds holding at least one call, those since `busy_since` not counted
    busy_since: float = field(init=False)
    greeted_at: float = 0.0  # when it answered its handshake
    run: Run | None = None  # its warm-up, while that goes on
    cold: tuple[str, ...] = ()  # warm-up commands that failed in it, and need not succeed
    warm_at: float = 0.0  # when it could have served
    ready_at: float = 0.0  # when it began to serve
    idle_since: float = field(init=False)
    level: int = UNRANKED  # calls it holds, as far as `slots` knows, while it has a free slot
    rank: Rank | None = None  # by its sessions, as far as `slots` knows
    last_progress: float = field(init=False)
    breach: str = ""  # how it broke the protocol: what it ran is to blame
    pinged_at: float = 0.0
    pings_missed: int = 0
    is_asked: bool = False  # a ping is on its way, which a worker that runs a call answers after it
    stopped_since: float | None = None
    retire_at: float = math.inf  # end of its life, by max_lifetime

    def __post_init__(self) -> None:
        self.busy_since = self.idle_since = self.last_progress = self.started_at

    @property
    def load(self) -> int:
        """Slots taken in its window."""
        return len(self.inflight) + self.skips

    def rested(self, now: float) -> None:
        """What it held was taken from it."""
        if not self.inflight:
            self.busy_s += now - self.busy_since

    @property
    def shown_state(self) -> str:
        """The state as people see it: a ready worker that holds calls is busy, one that leaves is draining."""
        if self.state == READY:
            return BUSY if self.inflight else READY
        return DRAINING if self.state in LEAVING else self.state

    def __repr__(self) -> str:
        return (
            f"<Worker {self.id} {self.shown_state}, pid {self.pid}, {len(self.inflight)} in flight, "
            f"{len(self.sessions)} sessions>"
        )
