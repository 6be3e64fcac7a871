"""Everything a machine knows of its pool, in one place; what happens to it is in `machine` and the modules it calls.

Shared by all of the core and changed by nobody else. What is counted is counted here once; `invariants` says how these
records hang together.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millpond.core import lifetime
from millpond.core.breaker import Breaker, BreakerRule
from millpond.core.call import ENDINGS, Call
from millpond.core.deadlines import Agenda, Wheel
from millpond.core.free import ByLoad, BySessions
from millpond.core.operation import Operation
from millpond.core.outage import Outage
from millpond.core.queue import CallQueue
from millpond.core.session import SessionBook
from millpond.core.sizing import Sizing, TurnedAway
from millpond.core.standstill import Standstills
from millpond.core.tally import Tally
from millpond.core.worker import Worker
from millpond.seams import CLOSE_SESSION, EXPORT_ASIDE, EXPORT_SESSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from millpond.core.session import Session
    from millpond.seams import Chance
    from millpond.settings import Settings

Order = tuple[str, Any, Any]
ERRANDS = (("export_session", EXPORT_ASIDE), ("export_session", EXPORT_SESSION), ("close_session", CLOSE_SESSION))
FIRST_MOVE_S = 0.002  # seconds a move is expected to take before one was seen
LOSSES = 64  # dead workers whose replacement is awaited; beyond, the oldest are forgotten


def _has_no_listener(_name: str) -> bool:
    return False


@dataclass(slots=True, eq=False, repr=False)
class Records:
    """The state of one pool."""

    settings: Settings
    random: Chance
    outbox: list[Order] = field(default_factory=list)
    has_listener: Callable[[str], bool] = _has_no_listener  # whether anybody listens to an event's name
    state: str = lifetime.NEW
    concurrency: int = field(init=False)
    is_private: bool = field(init=False)
    has_ranks: bool = field(init=False)  # whether it matters which of the idle workers it is
    is_durable: bool = field(init=False)
    is_on_disk: bool = field(init=False)
    workers: dict[int, Worker] = field(default_factory=dict)  # id -> worker, until it is gone
    starting: dict[int, Worker] = field(default_factory=dict)  # those that start or are being warmed
    # Those that did not start, and whose death is not told yet
    given_up: dict[int, Worker] = field(default_factory=dict)
    standing_by: dict[int, Worker] = field(default_factory=dict)  # spares, the one that has stood by longest in front
    idle: dict[int, Worker] = field(default_factory=dict)  # ready with a free place, the one used last at the end
    by_load: ByLoad = field(init=False)
    by_sessions: BySessions = field(default_factory=BySessions)  # idle ones and some that are not
    # With private processes: idle ones that ran nothing yet
    fresh: OrderedDict[int, Worker] = field(default_factory=OrderedDict)
    # Those that hold more than they run at a time; some do no more
    ahead: dict[int, Worker] = field(default_factory=dict)
    stalled: dict[int, Worker] = field(default_factory=dict)
    open_windows: OrderedDict[int, Worker] = field(default_factory=OrderedDict)  # ready and not stalled, in turn
    queue: CallQueue = field(default_factory=CallQueue)  # calls without a session
    openers: CallQueue = field(default_factory=CallQueue)  # calls of sessions that are not bound to a worker
    shelf: dict[int, Call] = field(default_factory=dict)  # calls pausing before a retry
    operations: dict[str, Operation] = field(default_factory=dict)  # the handler's, by name
    functions: dict[str, Operation] = field(default_factory=dict)  # those given to `run`, by qualified name
    errands: dict[int, Operation] = field(init=False)
    has_close_hook: bool = False
    exports_aside: bool = False  # whether a state can be taken out while its worker runs another call
    # Call id -> call behind a busy worker that another may serve, the next to be looked at in front; some are gone.
    movers: OrderedDict[int, Call] = field(default_factory=OrderedDict)
    move_s: float = FIRST_MOVE_S  # how long it takes to take a state out, a moving average
    sizing: Sizing = field(init=False)
    book: SessionBook = field(init=False)
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
    wake_at: float = math.inf  # `tick` is due at this time, at the latest
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
    tally: Tally = field(default_factory=Tally)
    is_sampled: bool = False  # whether calls that end leave samples: while somebody reads them
    # Whether anybody listens to these events of the hot path: there is no time to ask for each.
    tells_starts: bool = False
    tells_checkouts: bool = False
    tells_checkins: bool = False
    tells_ends: bool = False
    # Workers not replaced yet: id, time of death
    losses: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=LOSSES))
    changed_at: float = 0.0  # when the pool came into its present state
    longest_s: float = 0.0  # of any operation's mean service times so far, as of the last chores
    turned_away: TurnedAway = field(default_factory=TurnedAway)
    failure: str = ""  # why starts fail, while they do
    failed_at: float = 0.0
    outage: Outage = field(default_factory=Outage)  # of the engine that makes the workers
    failed_start: int = 0  # the newest worker that could not start
    # Worker id -> why another is to take its place; the first has its turn
    outgoing: dict[int, str] = field(default_factory=dict)
    chores_done: int = 0
    is_watching_stalls: bool = False
    is_watching_backlog: bool = False
    is_watching_idle: bool = False
    is_watching_sleep: bool = False

    def __post_init__(self) -> None:
        settings = self.settings
        self.concurrency = settings.concurrency
        self.is_private = settings.isolation == "process"
        self.has_ranks = self.is_private or self.concurrency > 1
        self.is_durable = settings.durability != "none"
        self.is_on_disk = settings.durability == "disk"
        self.by_load = ByLoad(self.concurrency if self.concurrency > 1 else 0)
        self.errands = {number: Operation(name, number, None, self.new_breaker()) for name, number in ERRANDS}
        self.sizing = Sizing(
            settings.min_workers,
            settings.max_workers,
            settings.restart_backoff,
            settings.restart_backoff_max,
            settings.spare_workers,
        )
        self.book = SessionBook(remembered=settings.max_sessions)
        self.wheel = Wheel(self)
        self.agenda = Agenda(self, self.standstills)

    def new_breaker(self) -> Breaker:
        """A closed breaker with the pool's rule."""
        s = self.settings
        return Breaker(BreakerRule(s.breaker_faults, s.breaker_share, s.breaker_window, s.breaker_reset))
