"""A worker as the core knows it: its state, what it holds, and why it goes.

Counts and sets only; the process behind it is the engine's (`link`). Whether a ready worker is busy is derived from
what it holds, so that sending a call changes one thing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


class Worker:
    """One worker; `id` is its incarnation and never used again."""

    __slots__ = (
        "answer_bytes",
        "answered",
        "aside",
        "breach",
        "busy_s",
        "busy_since",
        "cause",
        "cold",
        "expected_s",
        "greeted_at",
        "id",
        "idle_since",
        "inflight",
        "is_asked",
        "is_killed",
        "is_leaving",
        "is_stalled",
        "last_progress",
        "level",
        "link",
        "pid",
        "pinged_at",
        "pings_missed",
        "places",
        "queue",
        "rank",
        "ready_at",
        "reason",
        "retire_at",
        "run",
        "sessions",
        "skips",
        "started_at",
        "state",
        "stopped_since",
        "unasked",
        "warm_at",
        "window",
    )

    def __init__(self, worker_id: int, now: float, places: int, window: int) -> None:
        self.id = worker_id
        self.places = places  # calls it runs at a time, or may run still before it is recycled
        self.window = window  # calls it may hold at most, if they are expected to be short
        self.link: Any = None  # the engine's
        self.state = STARTING
        self.reason = ""  # why it drains or is killed; the first reason stands
        self.cause = ""  # the same in one word: one of the causes above
        self.pid = 0
        self.inflight: dict[int, Call] = {}  # call id -> call: sent and not answered, given-up ones included
        self.aside: dict[int, Call] = {}  # errands its attendant has: they take no place
        self.skips = 0  # calls withdrawn in time which the worker has yet to pass over
        self.expected_s = 0.0  # work in flight, as far as known
        self.queue = CallQueue()  # calls of its sessions
        self.sessions: dict[int, Session] = {}  # number -> session bound here
        self.unasked: int | None = None  # while it drains: sessions in front that were not asked to leave yet
        self.answered = 0
        self.answer_bytes = 0  # of the answer that is being told; the engine sets it
        self.busy_s = 0.0  # seconds holding at least one call, those since `busy_since` not counted
        self.busy_since = now
        self.started_at = now
        self.greeted_at = 0.0  # when it answered its handshake
        self.run: Run | None = None  # its warm-up, while that goes on
        self.cold: tuple[str, ...] = ()  # warm-up commands that failed in it, and need not succeed
        self.warm_at = 0.0  # when it could have served
        self.ready_at = 0.0  # when it began to serve
        self.idle_since = now
        self.level = UNRANKED  # calls it holds, as far as `free` knows, while it has a free place
        self.rank: Rank | None = None  # by its sessions, as far as `free` knows
        self.last_progress = now
        self.is_stalled = False  # the call at its head proved slow: nothing is sent ahead until something is answered
        self.is_leaving = False  # was told to say goodbye; only its death is awaited
        self.is_killed = False  # the pool ended it: no call it held is to blame
        self.breach = ""  # how it broke the protocol: what it ran is to blame
        self.pinged_at = 0.0
        self.pings_missed = 0
        self.is_asked = False  # a ping is on its way, which a worker that runs a call answers after it
        self.stopped_since: float | None = None
        self.retire_at: float | None = None  # end of its life, by max_lifetime

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
