"""What a call, a session or a worker costs in the core, in pools of any size: `python -m benchmarks.costs`.

Drives the core alone, under a clock of its own: no processes, so that nothing but its own work is measured. Each line
is one thing that happens, at several sizes of the pool; it is flat if the largest costs at most 1.5 times the smallest.
"""

from __future__ import annotations

import gc
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from statistics import median
from typing import Any

from benchmarks.steps import steps
from millpond.core import Call, Machine, Worker
from millpond.core.assignment import dispatch
from millpond.core.sessions import sleeping
from millpond.core.workers import staffing, upkeep
from millpond.seams import Death, HandlerFacts, OperationFacts
from millpond.settings import Settings

FLAT = 1.5  # what the largest pool may cost, of what the smallest does
WORKERS = (8, 256, 1024)
SESSIONS = (1_000, 100_000)
ROUNDS, ROUNDS_OF_ONE = 30, 7  # of what can be done again, and of what cannot
CALLS = 500  # in one round
WARM = 8  # times it is done before it is counted
NOW = 1000.0
SERVICE_S = 0.5

Act = Callable[[], Any]


def pool(workers: int, expected: float = 1.0, **settings: Any) -> Machine:
    """A pool of so many ready workers, whose operation is known to take so many seconds."""
    m = Machine(Settings(**{"min_workers": workers, "max_workers": 1024, "max_sessions": 10**6, **settings}), Random(1))
    m.open_pool(NOW)
    m.learn(HandlerFacts("H", (OperationFacts("work", "plain", False, (), 0, 0, (), (), True, True),), ()))
    m.start_workers(NOW)
    get_ready(m)
    m.serve(NOW)
    m.outbox.clear()
    m.view.operations["work"].expected = expected
    return m


def get_ready(m: Machine) -> None:
    for worker in list(m.view.starting.values()):
        m.ready(worker, worker.id, NOW)
    m.outbox.clear()


def submit(m: Machine, session: Any = None, **options: Any) -> Call:
    call = Call(next(m.call_ids), m.view.operations["work"], b"", math.inf, session=session, **options)
    m.submit(call, NOW)
    return call


def answer(m: Machine, call: Call) -> None:
    assert call.worker is not None
    m.answered(call.worker, call.id, "ok", None, NOW, NOW + SERVICE_S, 0, NOW)
    m.outbox.clear()


def with_sessions(m: Machine, sessions: int) -> list[Any]:
    """So many sessions that answered once, of which nothing runs."""
    opened = [m.open_session(f"s{n}", None, False, NOW) for n in range(sessions)]
    for session in opened:
        answer(m, submit(m, session))
    return opened


# Each makes a pool of a size, and returns what is to be done there, again and again.


def a_call(size: int, **settings: Any) -> Act:
    m = pool(size, **settings)
    return lambda: answer(m, submit(m))


def a_call_in_a_full_pool(size: int, **settings: Any) -> Act:
    m = pool(size, **settings)
    held = [submit(m) for _ in range(size * m.view.concurrency)]
    order = itertools.cycle(range(len(held)))

    def act() -> None:
        at = next(order)
        answer(m, held[at])
        held[at] = submit(m)

    return act


def a_burst(size: int) -> Act:
    """Each worker gets a call, and only then does the first answer."""
    m = pool(size)
    held: list[Call] = []

    def act() -> None:
        held.append(submit(m))
        if len(held) == size:
            while held:
                answer(m, held.pop())

    return act


def a_refusal(size: int) -> Act:
    m = pool(size, max_queued=0)
    for _ in range(size):
        submit(m)
    return lambda: m.refusal(m.view.operations["work"], None, NOW)


def a_sessions_first_call(size: int, **settings: Any) -> Act:
    m = pool(size, **settings)
    numbers = itertools.count()

    def act() -> None:
        answer(m, submit(m, m.open_session(f"s{next(numbers)}", None, False, NOW)))

    return act


def a_private_session(size: int) -> Act:
    """From its opening to its end, with its process replaced by a fresh one."""
    m = pool(size, isolation="process")
    for session in [m.open_session(f"s{n}", None, False, NOW) for n in range(size - 4)]:
        answer(m, submit(m, session))
    numbers = itertools.count()

    def act() -> None:
        session = m.open_session(f"t{next(numbers)}", None, False, NOW)
        call = submit(m, session)
        worker = call.worker
        answer(m, call)
        m.close_session(session, NOW)
        gone(m, worker)

    return act


def a_worker_replaced(size: int) -> Act:
    m = pool(size)

    def act() -> None:
        worker = next(iter(m.view.workers.values()))
        m.replace(worker, NOW)
        get_ready(m)
        gone(m, worker)

    return act


def gone(m: Machine, worker: Worker | None) -> None:
    """A worker is gone, and the one in its place is ready."""
    assert worker is not None
    m.worker_gone(worker, Death(None, 0), (), NOW)
    get_ready(m)


def a_worker_promoted(size: int) -> Act:
    """A worker dies, a spare steps in, and another is started behind it."""
    m = pool(size, spare_workers=size)

    def act() -> None:
        call = submit(m)
        worker = call.worker
        answer(m, call)
        gone(m, worker)

    return act


def a_stall_looked_for(size: int) -> Act:
    """One worker holds calls ahead of their time; the others none."""
    m = pool(size, expected=1e-5)
    for _ in range(size + 1):
        submit(m)
    m.outbox.clear()
    return lambda: dispatch.look_for_stalls(m._records, NOW)


def a_call_retried(size: int) -> Act:
    """A call comes back from a worker that has not begun it, while others are idle."""
    m = pool(size)

    def act() -> None:
        call = submit(m)
        worker = call.worker
        assert worker is not None
        call.cancel_reason = "taken_back"
        m.withdrawn(worker, call, True, NOW)
        m.answered(worker, 0, "skipped", None, NOW, NOW, 0, NOW)
        answer(m, call)

    return act


def a_sessions_call(size: int) -> Act:
    m = pool(8)
    sessions = itertools.cycle(with_sessions(m, size))
    return lambda: answer(m, submit(m, next(sessions)))


def a_session_opened_and_closed(size: int) -> Act:
    m = pool(8)
    with_sessions(m, size)
    numbers = itertools.count()

    def act() -> None:
        m.close_session(m.open_session(f"t{next(numbers)}", None, False, NOW), NOW)
        m.outbox.clear()

    return act


def a_reading(size: int) -> Act:
    """What the metrics and `statistics()` ask of sessions."""
    m = pool(8)
    with_sessions(m, size)
    return lambda: (m.view.sessions_asleep, dict(m.view.pinned), m.view.sessions_open)


def a_look_for_the_expired(size: int) -> Act:
    m = pool(8)
    with_sessions(m, size)
    return lambda: sleeping.look_for_expired(m._records, NOW + 1)


def a_turn_of_sleepers(size: int) -> Act:
    """All are due at once."""
    m = kept_by_the_parent(size)
    return lambda: turn(m, NOW + 1000.0)


def a_turn_of_expiries(size: int) -> Act:
    m = pool(8, sleep_after=None)
    with_sessions(m, size)
    return lambda: turn(m, NOW + 10_000.0)


def a_turn_of_a_draining_worker(size: int) -> Act:
    m = kept_by_the_parent(size, 1)
    m.replace(next(iter(m.view.workers.values())), NOW)
    return lambda: get_ready(m)


def kept_by_the_parent(sessions: int, workers: int = 8) -> Machine:
    m = pool(workers, durability="reply")
    for n in range(sessions):
        session = m.open_session(f"s{n}", None, False, NOW)
        call = submit(m, session)
        assert call.worker is not None
        m.saved(call.worker, call.id, session.lease, b"x", "")
        answer(m, call)
    return m


def turn(m: Machine, now: float) -> None:
    m.tick(now)
    m.outbox.clear()


def looks(size: int) -> Act:
    """Everything that is looked at while workers live: the cost a worker."""
    m = pool(size)._records

    def act() -> None:
        upkeep.look_at_work(m, NOW)
        upkeep.look_at_health(m, NOW)
        staffing.look_for_idle(m, NOW)
        m.agenda._entries.clear()

    return act


def a_pool_shrunk(size: int) -> Act:
    """All workers above the floor were idle for long enough: the cost a worker."""
    m = pool(size)
    m.configure(replace(m.view.settings, min_workers=0), "shrunk", NOW)
    return lambda: turn(m, NOW + 1000.0)


def a_pool_closed(size: int) -> Act:
    """The cost a worker, its death included."""
    m = pool(size)

    def act() -> None:
        m.close_pool(NOW, 1.0)
        for worker in list(m.view.workers.values()):
            m.worker_gone(worker, Death(None, 0), (), NOW)

    return act


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that happens: `times` in a round, and whether what it costs is told a worker."""

    name: str
    make: Callable[..., Act]
    sizes: tuple[int, ...] = WORKERS
    times: int = CALLS
    settings: tuple[tuple[str, Any], ...] = ()
    is_per_worker: bool = False

    def prepare(self, size: int) -> Act:
        return self.make(size, **dict(self.settings))


SCENARIOS = (
    Scenario("a call", a_call),
    Scenario("a call, every worker busy", a_call_in_a_full_pool),
    Scenario("a call of a burst that takes every worker", a_burst, times=2_048),
    Scenario("a call, concurrency 8", a_call, settings=(("concurrency", 8),)),
    Scenario("a call, concurrency 8, every place taken", a_call_in_a_full_pool, settings=(("concurrency", 8),)),
    Scenario("a call taken back and sent again", a_call_retried),
    Scenario("a refusal", a_refusal),
    Scenario("a session's first call", a_sessions_first_call),
    Scenario("a private session and its process", a_private_session, times=100),
    Scenario("a worker replaced", a_worker_replaced, times=100),
    Scenario("a worker dead, and a spare in its place", a_worker_promoted, times=100),
    Scenario("a look for stalled windows", a_stall_looked_for),
    Scenario("a round of looks, a worker", looks, times=5, is_per_worker=True),
    Scenario("idle workers let go, a worker", a_pool_shrunk, times=1, is_per_worker=True),
    Scenario("a pool closed, a worker", a_pool_closed, times=1, is_per_worker=True),
    Scenario("a session's call", a_sessions_call, SESSIONS),
    Scenario("a session opened and closed", a_session_opened_and_closed, SESSIONS),
    Scenario("a reading of the sessions' counts", a_reading, SESSIONS),
    Scenario("a look for sessions that expire, none due", a_look_for_the_expired, SESSIONS),
    Scenario("a turn of the loop, all sessions due to sleep", a_turn_of_sleepers, SESSIONS, times=1),
    Scenario("a turn of the loop, all sessions expired", a_turn_of_expiries, SESSIONS, times=1),
    Scenario("a turn of the loop, a worker with all drains", a_turn_of_a_draining_worker, SESSIONS, times=1),
)


def seconds(scenario: Scenario) -> list[float]:
    """How long it takes once at each size, in the fastest of a few rounds: whatever else goes on only adds to it.

    The sizes take turns, so that a machine that gets slower does so for all. The garbage collector waits meanwhile, as
    it does for `timeit`: a pass over all there is would be told as the cost of what happened to be done then.
    """
    fastest = [math.inf] * len(scenario.sizes)
    acts = [scenario.prepare(size) for size in scenario.sizes]
    for n in range(ROUNDS if scenario.times > 1 else ROUNDS_OF_ONE):
        for at, size in enumerate(scenario.sizes):
            if n and scenario.times == 1:  # it can be done only once
                acts[at] = scenario.prepare(size)
            spent = _time(acts[at], scenario.times) / (size if scenario.is_per_worker else 1)
            fastest[at] = min(fastest[at], spent)
    return fastest


def _time(act: Act, times: int) -> float:
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    for _ in range(times):
        act()
    spent = time.perf_counter() - began
    gc.enable()
    return spent / times


def instructions(scenario: Scenario, size: int) -> float:
    """How many instructions of Python it takes once, in the middle of a few times if it can be done again."""
    act = scenario.prepare(size)
    if scenario.times == 1:
        return steps(act) / (size if scenario.is_per_worker else 1)
    for _ in range(WARM):
        act()
    return median(steps(act) for _ in range(WARM)) / (size if scenario.is_per_worker else 1)


def main() -> None:
    """Print a line a scenario: microseconds at each size, and the largest by the smallest, in time and instructions."""
    for scenario in SCENARIOS:
        found = seconds(scenario)
        counted = [instructions(scenario, size) for size in (scenario.sizes[0], scenario.sizes[-1])]
        figures = "  ".join(f"{size:>7,}: {one * 1e6:8.2f} us" for size, one in zip(scenario.sizes, found, strict=True))
        ratio, exact = found[-1] / found[0], counted[-1] / counted[0]
        told = "" if ratio <= FLAT else "  not flat"
        print(f"{scenario.name:48} {figures}   x {ratio:.2f}, in instructions x {exact:.2f}{told}", flush=True)


if __name__ == "__main__":
    main()
