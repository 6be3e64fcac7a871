"""Everything a machine knows of its pool, in one place; what happens to it is in `machine` and the modules it calls.

Shared by all of the core and changed by nobody else. What is counted is counted here once; `invariants` says how these
records hang together.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict, deque
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
    from collections.abc import Callable

    from millpond.core.session import Session
    from millpond.seams import Chance
    from millpond.settings import Settings

Order = tuple[str, Any, Any]
ERRANDS = (("export_session", EXPORT_ASIDE), ("export_session", EXPORT_SESSION), ("close_session", CLOSE_SESSION))
FIRST_MOVE_S = 0.002  # seconds a move is expected to take before one was seen
LOSSES = 64  # dead workers whose replacement is awaited; beyond, the oldest are forgotten


def _has_no_listener(_name: str) -> bool:
    return False


class Records:
    """The state of one pool."""

    __slots__ = (
        "agenda",
        "ahead",
        "asleep",
        "book",
        "by_load",
        "by_sessions",
        "by_use",
        "call_ids",
        "changed_at",
        "chores_done",
        "codes",
        "committing",
        "concurrency",
        "counts",
        "errands",
        "expiring",
        "exports_aside",
        "failed_at",
        "failed_start",
        "failure",
        "fresh",
        "functions",
        "given_up",
        "has_close_hook",
        "has_listener",
        "has_ranks",
        "idle",
        "is_durable",
        "is_on_disk",
        "is_private",
        "is_sampled",
        "is_warming_up",
        "is_watching_backlog",
        "is_watching_idle",
        "is_watching_sleep",
        "is_watching_stalls",
        "late_answers",
        "longest_s",
        "losses",
        "move_s",
        "movers",
        "open_windows",
        "openers",
        "operations",
        "outage",
        "outbox",
        "outgoing",
        "pinned",
        "queue",
        "queued",
        "queued_bytes",
        "random",
        "ready_count",
        "retries",
        "settings",
        "shelf",
        "sizing",
        "stalled",
        "standing_by",
        "standstills",
        "starting",
        "starts",
        "state",
        "submitted",
        "tally",
        "tells_checkins",
        "tells_checkouts",
        "tells_ends",
        "tells_starts",
        "turned_away",
        "unended",
        "wake_at",
        "waking",
        "warm_failures",
        "wheel",
        "worker_ids",
        "workers",
    )

    def __init__(self, settings: Settings, random: Chance) -> None:
        self.settings = settings
        self.random = random
        self.outbox: list[Order] = []
        self.has_listener: Callable[[str], bool] = _has_no_listener  # whether anybody listens to an event's name
        self.state = lifetime.NEW
        self.concurrency = settings.concurrency
        self.is_private = settings.isolation == "process"
        self.has_ranks = self.is_private or self.concurrency > 1  # whether it matters which of the idle workers it is
        self.is_durable = settings.durability != "none"
        self.is_on_disk = settings.durability == "disk"
        self.workers: dict[int, Worker] = {}  # id -> worker, until it is gone
        self.starting: dict[int, Worker] = {}  # those that start or are being warmed
        self.given_up: dict[int, Worker] = {}  # those that did not start, and whose death is not told yet
        self.standing_by: dict[int, Worker] = {}  # spares, the one that has stood by longest in front
        self.idle: dict[int, Worker] = {}  # ready with a free place, the one used last at the end
        self.by_load = ByLoad(self.concurrency if self.concurrency > 1 else 0)
        self.by_sessions = BySessions()  # idle ones and some that are not
        self.fresh: OrderedDict[int, Worker] = OrderedDict()  # with private processes: idle ones that ran nothing yet
        self.ahead: dict[int, Worker] = {}  # those that hold more than they run at a time; some do no more
        self.stalled: dict[int, Worker] = {}
        self.open_windows: OrderedDict[int, Worker] = OrderedDict()  # ready and not stalled, in turn
        self.queue = CallQueue()  # calls without a session
        self.openers = CallQueue()  # calls of sessions that are not bound to a worker
        self.shelf: dict[int, Call] = {}  # calls pausing before a retry
        self.operations: dict[str, Operation] = {}  # the handler's, by name
        self.functions: dict[str, Operation] = {}  # those given to `run`, by qualified name
        self.errands: dict[int, Operation] = {
            number: Operation(name, number, None, self.new_breaker()) for name, number in ERRANDS
        }
        self.has_close_hook = False
        self.exports_aside = False  # whether a state can be taken out while its worker runs another call
        # Call id -> call behind a busy worker that another may serve, the next to be looked at in front; some are gone.
        self.movers: OrderedDict[int, Call] = OrderedDict()
        self.move_s = FIRST_MOVE_S  # how long it takes to take a state out, a moving average
        self.sizing = Sizing(
            settings.min_workers,
            settings.max_workers,
            settings.restart_backoff,
            settings.restart_backoff_max,
            settings.spare_workers,
        )
        self.book = SessionBook(remembered=settings.max_sessions)
        self.by_use: OrderedDict[int, Session] = OrderedDict()  # number -> session that may sleep, used last at the end
        # With session_ttl, a heap: when a session could expire, its number, its id; some are over. Of plain values, so
        # that the garbage collector need not look at them.
        self.expiring: list[tuple[float, int, str]] = []
        self.asleep = 0  # sessions of whose state nothing is in this process
        self.pinned: dict[int, Session] = {}  # number -> session that cannot leave its worker
        self.waking: dict[int, Session] = {}  # number -> session that is being read from the store
        self.committing: dict[int, Call] = {}  # call id -> call that ran, whose answer waits for the store
        self.wake_at = math.inf  # `tick` is due at this time, at the latest
        self.wheel = Wheel(self)
        self.standstills = Standstills()
        self.agenda = Agenda(self, self.standstills)
        self.call_ids = itertools.count(1)
        self.worker_ids = itertools.count(1)
        self.counts: dict[str, int] = dict.fromkeys(ENDINGS, 0)
        self.codes: dict[str, int] = {}  # error code -> calls it was given to
        self.submitted = 0
        self.queued = 0
        self.queued_bytes = 0
        self.unended = 0
        self.late_answers = 0
        self.retries = 0
        self.starts = 0
        self.ready_count = 0
        self.is_warming_up = False  # whether workers have to be warmed by commands before they may serve
        self.warm_failures: dict[str, int] = {}  # warm-up command -> times it failed
        self.tally = Tally()
        self.is_sampled = False  # whether calls that end leave samples: while somebody reads them
        # Whether anybody listens to these events of the hot path: there is no time to ask for each.
        self.tells_starts = self.tells_checkouts = self.tells_checkins = self.tells_ends = False
        self.losses: deque[tuple[int, float]] = deque(maxlen=LOSSES)  # workers not replaced yet: id, time of death
        self.changed_at = 0.0  # when the pool came into its present state
        self.longest_s = 0.0  # of any operation's mean service times so far, as of the last chores
        self.turned_away = TurnedAway()
        self.failure = ""  # why starts fail, while they do
        self.failed_at = 0.0
        self.outage = Outage()  # of the engine that makes the workers
        self.failed_start = 0  # the newest worker that could not start
        self.outgoing: dict[int, str] = {}  # worker id -> why another is to take its place; the first has its turn
        self.chores_done = 0
        self.is_watching_stalls = False
        self.is_watching_backlog = False
        self.is_watching_idle = False
        self.is_watching_sleep = False

    def new_breaker(self) -> Breaker:
        """A closed breaker with the pool's rule."""
        s = self.settings
        return Breaker(BreakerRule(s.breaker_faults, s.breaker_share, s.breaker_window, s.breaker_reset))
