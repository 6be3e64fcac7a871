"""Everything the core knows of its pool, in one place; what happens to it is in the modules of the floors above.

Shared by all of the core and changed by nobody else. What is counted is counted here once. A few questions that need
several records at once are methods; none changes anything but the outbox and the agenda.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millpond import events
from millpond.core.records import orders, states
from millpond.core.records.breaker import Breaker, BreakerRule
from millpond.core.records.call import ENDINGS, Call
from millpond.core.records.counters import Counters
from millpond.core.records.ended import EndedCalls
from millpond.core.records.gone import GoneWorkers
from millpond.core.records.operation import Operation
from millpond.core.records.queue import CallQueue
from millpond.core.records.session import BOUND, MOVABLE, OPEN, PINNED, RESIDENCY, STORED, SessionRegistry
from millpond.core.records.sizing import Sizing, TurnedAway
from millpond.core.records.slots import FreeSlots
from millpond.core.records.states import EngineRecord, IllegalTransition
from millpond.core.records.timing import LATE_S, TICKS, Agenda, Alarm, Standstills, Wheel
from millpond.core.records.worker import KILLED, Worker
from millpond.seams import CLOSE_SESSION, EXPORT_CONCURRENT, EXPORT_SESSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from millpond.core.records.orders import Order
    from millpond.core.records.session import Session
    from millpond.seams import Chance
    from millpond.settings import Settings

INTERNAL = (
    ("export_session", EXPORT_CONCURRENT),
    ("export_session", EXPORT_SESSION),
    ("close_session", CLOSE_SESSION),
)
FIRST_MOVE_S = 0.002  # seconds a move is expected to take before one was seen
LOSSES = 64  # dead workers whose replacement is awaited; beyond, the oldest are forgotten


@dataclass(slots=True, eq=False, repr=False)
class Unsettled:
    """What a stimulus leaves to be done at its end, by `core.settling`: in this order, until nothing is left."""

    sessions: dict[int, Session] = field(default_factory=dict)  # number -> session whose next call may have its turn
    exports: dict[int, int] = field(default_factory=dict)  # worker id -> exports of its sessions among these, not sent
    evacuated: dict[int, Worker] = field(default_factory=dict)  # id -> worker that drains, whose sessions are to leave
    has_free_slots: bool = False  # whether waiting calls may find a worker
    has_more_load: bool = False  # whether the load may be worth more workers
    is_staffed: bool = True  # whether as many workers are there, or on their way, as are wanted


@dataclass(slots=True, eq=False, repr=False)
class Records:
    """The state of one pool."""

    settings: Settings
    random: Chance
    outbox: list[Order] = field(default_factory=list)
    alarm: Alarm = field(default_factory=Alarm)
    unsettled: Unsettled = field(default_factory=Unsettled)
    listened: frozenset[str] = frozenset()  # names of events that anybody listens to
    state: str = states.NEW
    concurrency: int = field(init=False)
    is_private: bool = field(init=False)
    is_durable: bool = field(init=False)
    is_on_disk: bool = field(init=False)
    workers: dict[int, Worker] = field(default_factory=dict)  # id -> worker, until it is gone
    starting: dict[int, Worker] = field(default_factory=dict)  # those that start or are being warmed
    # Those that did not start, and whose death is not told yet
    given_up: dict[int, Worker] = field(default_factory=dict)
    standing_by: dict[int, Worker] = field(default_factory=dict)  # spares, the one that has stood by longest in front
    free: FreeSlots = field(init=False)
    # Those that hold more than they run at a time; some do no more
    ahead: dict[int, Worker] = field(default_factory=dict)
    # Those whose call at the head proved slow: nothing is sent ahead to them until they answer
    stalled: dict[int, Worker] = field(default_factory=dict)
    open_windows: OrderedDict[int, Worker] = field(default_factory=OrderedDict)  # ready and not stalled, in turn
    queue: CallQueue = field(default_factory=CallQueue)  # calls without a session
    unbound: CallQueue = field(default_factory=CallQueue)  # calls of sessions that are not bound to a worker
    delayed: dict[int, Call] = field(default_factory=dict)  # calls that pause before a retry, or until the pool serves
    operations: dict[str, Operation] = field(default_factory=dict)  # the handler's, by name
    functions: dict[str, Operation] = field(default_factory=dict)  # those given to `run`, by qualified name
    internal: dict[int, Operation] = field(init=False)
    has_close_hook: bool = False
    exports_concurrently: bool = False  # whether a state can be taken out while its worker runs another call
    # Call id -> call behind a busy worker that another may serve, the next to be looked at in front; some are gone.
    candidates: OrderedDict[int, Call] = field(default_factory=OrderedDict)
    move_s: float = FIRST_MOVE_S  # how long it takes to take a state out, a moving average
    sizing: Sizing = field(init=False)
    sessions: SessionRegistry = field(init=False)
    # Number -> session that may sleep, used last at the end
    by_use: OrderedDict[int, Session] = field(default_factory=OrderedDict)
    # With session_ttl, a heap: when a session could expire, its number, its id; some are over. Of plain values, so
    # that the garbage collector need not look at them.
    expiring: list[tuple[float, int, str]] = field(default_factory=list)
    asleep: int = 0  # sessions of whose state nothing is in this process
    pinned: dict[int, Session] = field(default_factory=dict)  # number -> session that cannot leave its worker
    waking: dict[int, Session] = field(default_factory=dict)  # number -> session that is being read from the store
    # Call id -> call that ran, whose answer waits for the store
    committing: dict[int, Call] = field(default_factory=dict)
    wheel: Wheel = field(init=False)
    standstills: Standstills = field(default_factory=Standstills)
    agenda: Agenda = field(init=False)
    call_ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    worker_ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ENDINGS, 0))
    codes: dict[str, int] = field(default_factory=dict)  # error code -> calls it was given to
    submitted: int = 0
    queued: int = 0
    queued_bytes: int = 0
    unended: int = 0
    late_answers: int = 0
    retries: int = 0
    starts: int = 0
    ready_count: int = 0
    is_warming_up: bool = False  # whether workers have to be warmed by commands before they may serve
    warm_failures: dict[str, int] = field(default_factory=dict)  # warm-up command -> times it failed
    counters: Counters = field(default_factory=Counters)
    ended: EndedCalls = field(default_factory=EndedCalls)
    gone: GoneWorkers = field(default_factory=GoneWorkers)
    is_sampled: bool = False  # whether calls that end leave samples: while somebody reads them
    # Whether anybody listens to these events of the hot path: there is no time to ask for each.
    emits_starts: bool = False
    emits_checkouts: bool = False
    emits_checkins: bool = False
    emits_ends: bool = False
    # Workers not replaced yet: id, time of death
    losses: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=LOSSES))
    changed_at: float = 0.0  # when the pool came into its present state
    longest_s: float = 0.0  # of any operation's mean service times so far, as of the last look
    turned_away: TurnedAway = field(default_factory=TurnedAway)
    failure: str = ""  # why starts fail, while they do
    failed_at: float = 0.0
    engine: EngineRecord = field(default_factory=EngineRecord)
    failed_start: int = 0  # the newest worker that could not start
    # Worker id -> why another is to take its place; the first has its turn
    outgoing: dict[int, str] = field(default_factory=dict)
    looks: dict[str, float] = field(default_factory=dict)  # look that is on the agenda -> when it is due

    def __post_init__(self) -> None:
        settings = self.settings
        self.concurrency = settings.concurrency
        self.is_private = settings.isolation == "process"
        self.is_durable = settings.durability != "none"
        self.is_on_disk = settings.durability == "disk"
        self.free = FreeSlots(self.concurrency, self.is_private)
        self.internal = {number: Operation(name, number, None, self.new_breaker()) for name, number in INTERNAL}
        self.sizing = Sizing(settings)
        self.sessions = SessionRegistry(remembered=settings.max_sessions)
        self.wheel = Wheel(self.alarm)
        self.agenda = Agenda(self.alarm, self.standstills)

    def new_breaker(self) -> Breaker:
        """A closed breaker with the pool's rule."""
        s = self.settings
        return Breaker(BreakerRule(s.breaker_faults, s.breaker_share, s.breaker_window, s.breaker_reset))

    def emit(self, kind: type[events.Event], *facts: Any) -> None:
        """Order an event to be emitted, if anybody listens."""
        if kind.name in self.listened:
            self.outbox.append(orders.Emit(kind(*facts)))

    def look_at(self, look: str, at: float) -> None:
        """Have a look made at that time, or sooner if it is to be made sooner already; then it is off the agenda."""
        planned_at = self.looks.get(look, math.inf)
        if at < planned_at:
            if planned_at < math.inf:  # rarely; what is far off would be kept until then, once for each time
                self.agenda.drop(look)
            self.looks[look] = at
            self.agenda.add(at, look)

    def look_for_room(self, at: float) -> None:
        """Have it looked at that time whether calls that wait behind busy workers had better go where there is room.

        While nobody is free that is not asked; whoever becomes free asks it at once.
        """
        if self.candidates and self.free.idle and not self.unbound.size:
            self.look_at("rebalance", at)

    def note_waiting(self, now: float) -> None:
        """A call has to wait: see whether that is worth a worker, when it is as old as the sizing rule says."""
        sizing = self.sizing
        if sizing.wanted < sizing.ceiling or self.is_private:
            if sizing.rule.patience_s:
                self.look_at("load", now + sizing.rule.patience_s)
            else:
                self.unsettled.has_more_load = True

    def relocate(self, session: Session, location: str) -> None:
        """The session's state is elsewhere from now on; raises `IllegalTransition` if that cannot be."""
        before = session.location
        if (before, location) not in RESIDENCY:
            raise IllegalTransition(f"the state of {session!r}: {before} -> {location} is not in the table")
        self.asleep += (location in STORED) - (before in STORED)
        session.location = location

    # Time in which the pool did not run

    def is_late(self, now: float) -> bool:
        """Whether the pool should have been woken a while ago: what came in meanwhile is read before it is."""
        return now - self.alarm.wake_at > LATE_S

    def stood_still(self, since: float, now: float) -> float:
        """Seconds since then in which the pool did not run; a wake-up that is overdue by now counts as well."""
        still_s = self.standstills.within(since, now)
        return still_s + now - max(since, self.alarm.wake_at) if self.is_late(now) else still_s

    def stood_still_at(self, at: float, now: float) -> bool:
        """Whether a deadline that has passed by now did so while the pool stood still."""
        woken_at = at + 1 / TICKS  # to notice it, at the latest
        return self.standstills.covers(at, woken_at) or (self.is_late(now) and woken_at >= self.alarm.wake_at)

    # Whether a session may leave its worker between two calls, as far as is known

    def may_move(self, session: Session) -> bool:
        """Whether its state may be taken out of its worker at all."""
        if session.mobility == PINNED or self.is_private or session.state != OPEN or session.location != BOUND:
            return False
        return session.worker is not None and session.worker.state != KILLED

    def is_kept(self, session: Session) -> bool:
        """Whether this process holds the very state that is in the worker."""
        is_snapshot = session.may_be_restored and session.snapshot is not None
        return self.is_durable and is_snapshot and session.mobility != PINNED

    def may_export_concurrently(self, session: Session) -> bool:
        """Whether its state may be asked for while the worker is busy, as far as is known."""
        return self.exports_concurrently and session.mobility == MOVABLE

    def leaves_freely(self, session: Session) -> bool:
        """Whether it need not wait for a worker that is busy with other sessions, as far as is known before it ran."""
        if session.affinity != "hint" or self.is_private or session.mobility == PINNED:
            return False
        return self.is_durable or self.may_export_concurrently(session)

    def is_candidate(self, session: Session) -> bool:
        """Whether it may leave its worker for its waiting call: before that has run, nothing changes the state."""
        return self.may_move(session) and (self.is_kept(session) or self.may_export_concurrently(session))

    def may_all_leave(self, worker: Worker) -> bool:
        """Whether no session keeps the worker from going."""
        sessions = worker.sessions.values()
        are_movable = (self.may_move(one) or not (one.is_in_worker or self.is_private) for one in sessions)
        return not worker.exports and all(are_movable)
