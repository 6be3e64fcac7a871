"""A worker as the core knows it: its state, what it holds, and why it goes.

Counts and sets only: of the process behind it the engine keeps a record of its own, by `id`. Whether a ready worker is
busy is derived from what it holds, so that sending a call changes one thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from millpond.core.free import UNRANKED, Rank
from millpond.core.queue import CallQueue
from millpond.core.transitions import Table

if TYPE_CHECKING:
    from millpond.core.call import Call
    from millpond.core.session import Session
    from millpond.core.warmup import Run

STARTING, WARMING, SPARE, READY, BUSY = "starting", "warming", "spare", "ready", "busy"
DRAINING, GONE = "draining", "gone"

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
    (STARTING, GONE): "could not start, or was killed",
    (WARMING, GONE): "could not warm up, or was killed",
    (SPARE, GONE): "died, or was killed",
    (READY, GONE): "died, or was killed",
    (DRAINING, GONE): "said goodbye, or was killed",
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


@dataclass(slots=True, eq=False)
class Worker:
    """One worker; `id` is its incarnation and never used again."""

    id: int
    started_at: float
    places: int  # calls it runs at a time, or may run still before it is recycled
    window: int  # calls it may hold at most, if they are expected to be short
    state: str = STARTING
    reason: str = ""  # why it drains or is killed; the first reason stands
    cause: str = ""  # the same in one word: one of the causes above
    pid: int = 0
    # Call id -> call: sent and not answered, given-up ones included
    inflight: dict[int, Call] = field(default_factory=dict)
    aside: dict[int, Call] = field(default_factory=dict)  # errands its attendant has: they take no place
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
    level: int = UNRANKED  # calls it holds, as far as `free` knows, while it has a free place
    rank: Rank | None = None  # by its sessions, as far as `free` knows
    last_progress: float = field(init=False)
    is_stalled: bool = False  # the call at its head proved slow: nothing is sent ahead until something is answered
    is_leaving: bool = False  # was told to say goodbye; only its death is awaited
    is_killed: bool = False  # the pool ended it: no call it held is to blame
    breach: str = ""  # how it broke the protocol: what it ran is to blame
    pinged_at: float = 0.0
    pings_missed: int = 0
    is_asked: bool = False  # a ping is on its way, which a worker that runs a call answers after it
    stopped_since: float | None = None
    retire_at: float | None = None  # end of its life, by max_lifetime

    def __post_init__(self) -> None:
        self.busy_since = self.idle_since = self.last_progress = self.started_at

    @property
    def load(self) -> int:
        """Places taken in its window."""
        return len(self.inflight) + self.skips

    def rested(self, now: float) -> None:
        """What it held was taken from it."""
        if not self.inflight:
            self.busy_s += now - self.busy_since

    @property
    def shown_state(self) -> str:
        """The state as people see it: a ready worker that holds calls is busy."""
        return BUSY if self.state == READY and self.inflight else self.state

    def __repr__(self) -> str:
        return (
            f"<Worker {self.id} {self.shown_state}, pid {self.pid}, {len(self.inflight)} in flight, "
            f"{len(self.sessions)} sessions>"
        )
