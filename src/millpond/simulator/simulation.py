"""Traffic put through a simulated pool, whose sizing rule a policy chooses: what happened to each request and worker.

Costs by event: nothing is done for a second in which nothing happens, and a policy that says after how long a silence
it sees nothing new (`quiet_s`) is not asked again before the next request. No request is judged here; `scoring` does
that.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from millpond.core import Call, SizingRule, error_code, session_states
from millpond.errors import PoolError
from millpond.settings import Settings
from millpond.simulator.durations import Duration
from millpond.simulator.observer import Observer
from millpond.simulator.simulated_pool import ComesBack, SimulatedPool
from millpond.simulator.traffic import NO_SESSION, Floats, Traffic

if TYPE_CHECKING:
    from millpond.core import Session
    from millpond.simulator.steering import Steering

LONGEST_TAIL_S = 86_400.0  # after the last request; what has not begun by then never does
ROUNDING = 1e-9
RECENT = 0.1  # weight of the newest service time in the mean that is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultShares:
    """Shares of what goes wrong: calls that raise, calls that take their worker with them, starts that fail."""

    failed: float = 0.0
    died: float = 0.0
    no_start: float = 0.0

    def __post_init__(self) -> None:
        for share in (self.failed, self.died, self.no_start):
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{share} is no share: it must be from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is simulated: the traffic, how long a cold start takes, and the pool's settings."""

    traffic: Traffic
    cold: Duration
    settings: Settings
    deadline_s: float = math.inf
    faults: FaultShares = field(default_factory=FaultShares)
    seed: int = 0


def settings_for(low: int, high: int, **others: Any) -> Settings:
    """The settings of a simulated pool: nothing is refused for its place in the queue, no session expires.

    Idle workers are not pinged: what does not fail need not be looked at.
    """
    usual = {"max_queued": None, "session_ttl": None, "health_interval": math.inf, "max_sessions": 10_000_000}
    return Settings(min_workers=low, max_workers=high, **(usual | others))


@dataclass(frozen=True, slots=True)
class Recording:
    """What happened. Arrays have one entry a request, in seconds; infinite is what never happened."""

    came: Floats
    began: Floats  # infinite as well if it was refused, expired or lost after all
    service: Floats
    is_refused: np.typing.NDArray[np.bool_]
    stays: Floats  # (workers, 2): ordered, gone
    rules: tuple[tuple[float, SizingRule, str], ...]  # adopted: when, which, why
    sessions_lost: int
    busy_killed: int
    wall_s: float


class Simulation(SimulatedPool):
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, steering: Steering | None = None) -> None:
        traffic = self._traffic = scenario.traffic
        self._scenario, self._steering = scenario, steering
        super().__init__(scenario.settings, traffic.operations, Random(scenario.seed))
        self._random = Random(scenario.seed + 1)
        self._colds = np.random.default_rng(scenario.seed)
        self._observer = Observer(self.machine.view)
        self._service_s = 0.0  # mean of recent calls
        self._next_look: float | None = None
        self._looks_from = self._looked_at = 0.0
        self._is_watched = False  # whether a look at how long requests wait is planned
        self._last_arrival = 0.0
        self._busy_at = 0.0  # the last look at which something was in the pool, or had been since the one before
        self._rules: list[tuple[float, SizingRule, str]] = []
        count = len(traffic)
        self._services = traffic.service_s.tolist()
        self._operation_of = None if traffic.operation is None else [self.operations[n] for n in traffic.operation]
        self._came, self._began = [math.inf] * count, [math.inf] * count
        self._refused = bytearray(count)
        self._waiting = count  # requests that have neither begun nor ended
        self._session_of = [NO_SESSION] * count if traffic.session is None else traffic.session.tolist()
        self._left = traffic.session_sizes()  # requests of each session that have not ended
        self._sessions: list[Session | None] = [None] * len(traffic.sessions)
        self._next_of = traffic.followers()

    # The run

    def run(self) -> Recording:
        """Let every request come, and go on until each has begun."""
        began = time.perf_counter()
        if self._steering is not None:
            self._look_again()
        follow = {row for row, _ in self._next_of.values()}
        for row, at in enumerate(self._traffic.arrival_s.tolist()):
            if row not in follow:
                self.run_until(at)
                self._arrive(row)
        while self._waiting and self.next_at < self._last_arrival + LONGEST_TAIL_S:
            self.step()
        stays = [*self.stays, *((process.ordered_at, math.inf) for process in self.processes.values())]
        return Recording(
            np.array(self._came),
            np.array(self._began),
            self._traffic.service_s,
            np.frombuffer(self._refused, dtype=np.bool_),
            np.array(sorted(stays)).reshape(-1, 2),
            tuple(self._rules),
            self.machine.view.counters.sessions_lost,
            self.busy_killed,
            time.perf_counter() - began,
        )

    def _arrive(self, row: int) -> None:
        """A request comes now."""
        now, observer = self.now, self._observer
        self._came[row] = self._last_arrival = now
        observer.arrivals.append(now)
        observer.change(1, now)
        error = self._call(row)
        if error is not None:
            self._refused[row] = True
            self._over(row, error)
        if self._steering is not None:
            if self._next_look is None:
                self._plan_look()
            if not self._is_watched and self.machine.view.queued and self._steering.has_pressure:
                self._plan_watch()

    def _call(self, row: int) -> PoolError | None:
        """Make the call of a request; the error that refuses it."""
        operation = self.operations[0] if self._operation_of is None else self._operation_of[row]
        number, deadline = self._session_of[row], self.now + self._scenario.deadline_s
        try:
            session = None if number == NO_SESSION else self._session(number)
        except PoolError as error:
            return error
        return self.submit(Call(next(self.machine.call_ids), operation, b"", deadline, row, session))

    def _session(self, number: int) -> Session:
        """The session, opened by its first request; one that was lost is opened anew by the next."""
        session = self._sessions[number]
        if session is None or session.state != session_states.OPEN:
            name, is_anew = self._traffic.sessions[number], session is not None
            session = self._sessions[number] = self.machine.open_session(name, None, is_anew, self.now)
        return session

    # What happens to it

    def start_s(self) -> float:
        faults = self._scenario.faults
        if faults.no_start and self._random.random() < faults.no_start:
            return math.inf
        return float(self._scenario.cold.draw(self._colds, 1)[0])

    def service_s(self, call: Call) -> float:
        seconds: float = self._services[call.ticket]
        return seconds

    def ending(self, call: Call) -> ComesBack:
        faults = self._scenario.faults
        if faults.failed or faults.died:
            chance = self._random.random()
            if chance < faults.died:
                return "died"
            if chance < faults.died + faults.failed:
                return "failed"
        return "ok"

    def began(self, call: Call) -> None:
        row, now = call.ticket, self.now
        if self._began[row] == math.inf:
            self._waiting -= 1
        self._began[row] = now

    def ended(self, call: Call, value: Any) -> None:
        row = call.ticket
        if call.ending in ("ok", "failed"):
            self._observer.answered(call.op.name, self._came[row], self._began[row], call.service_s)
            self._service_s += RECENT * (call.service_s - self._service_s) if self._service_s else call.service_s
        if call.ending == "rejected":
            self._refused[row] = True
        self._over(row, value if call.ending != "ok" else None)
        if call.ending not in ("ok", "failed"):
            self._began[row] = math.inf

    def _over(self, row: int, error: object) -> None:
        """The request has ended: what waited for that goes on."""
        if self._began[row] == math.inf:
            self._waiting -= 1
        observer = self._observer
        observer.change(-1, self.now)
        if error is not None:
            code = error_code(error)
            observer.errors[code] = observer.errors.get(code, 0) + 1
        number = self._session_of[row]
        if number == NO_SESSION:
            return
        self._left[number] -= 1
        if following := self._next_of.get(row):
            self.later(following[1], self._arrive, following[0])
        if not self._left[number] and (session := self._sessions[number]) is not None:
            self.later(0.0, self._close, session)

    def _close(self, session: Session) -> None:
        self.machine.close_session(session, self.now)

    # Its size

    def _look(self) -> None:
        """Show the optimizer what there is to see, and go by what it chooses."""
        machine, now = self.machine, self.now
        assert self._steering is not None
        if not self._observer.is_idle:
            self._busy_at = now
        self._looked_at = now
        rule, reason = self._steering.choose(self._observer.observe(now, self._service_s))
        if rule != machine.view.rule:
            machine.size_by(rule, reason, now)
            self._rules.append((now, rule, reason))

    def _look_again(self, planned_at: float | None = None) -> None:
        """The look of each interval, unless nothing new would be seen."""
        if planned_at != self._next_look:
            return  # a look under pressure has put it off
        assert self._steering is not None
        self._look()
        self._next_look = None
        if self.now - self._busy_at <= self._steering.quiet_s:
            self._plan_look()

    def _plan_look(self) -> None:
        """The next look is so many whole intervals after the first, or after the last under pressure."""
        assert self._steering is not None
        interval_s = self._steering.interval_s
        past = math.floor((self.now - self._looks_from) / interval_s + ROUNDING)
        self._next_look = self._looks_from + (past + 1) * interval_s
        self.later(self._next_look - self.now, self._look_again, self._next_look)

    def _plan_watch(self) -> None:
        """A pool asks each second, as long as anything waits."""
        self._is_watched = True
        self.later(math.floor(self.now) + 1.0 - self.now, self._watch)

    def _watch(self) -> None:
        """A request may have waited for so long that a look is due at once; the next is an interval later."""
        view, steering = self.machine.view, self._steering
        assert steering is not None
        self._is_watched = False
        if not view.queued:
            return
        next_at = math.inf if self._next_look is None else self._next_look
        is_between = self._looked_at + ROUNDING < self.now < next_at - ROUNDING
        if is_between and steering.is_pressed(self.now, view.oldest_wait(self.now), self._service_s):
            self._looks_from = self.now
            self._look()
            self._plan_look()
        self._plan_watch()
