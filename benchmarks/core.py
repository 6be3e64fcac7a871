"""A day of a pool through the core alone, under a virtual clock: `python -m benchmarks.core`.

The simulator takes the place of processes and store, so that nothing but the core and the few lines that drive it are
measured. Once without sessions, and once with 5,000 sessions that sleep when they
are not used for a minute. Deterministic: the same seed gives the same day.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from benchmarks.machine import facts
from millpond.core import Call
from millpond.core.machine import LOOKS
from millpond.settings import Settings
from millpond.simulator.simulated_pool import SimulatedPool

DAY_S = 86_400.0
RATE = 5.0  # calls a second, at random times, as independent callers make them
DEADLINE_S = 60.0
COLD_START_S = 0.1
SERVICE_S, SIGMA = 0.15, 0.5  # mean of a call's time in its worker, and how widely it varies (lognormal)
DRAWN = 10_000  # service times that are drawn ahead, and come again and again
WORKERS = 8
SESSIONS, SLEEP_AFTER_S = 5_000, 60.0


class Day(SimulatedPool):
    """One pool, the calls that come to it, and what comes of them."""

    def __init__(self, seed: int = 1, sessions: int = 0) -> None:
        settings: dict[str, Any] = {"min_workers": 1, "max_workers": WORKERS, "max_sessions": max(1, sessions)}
        if sessions:
            settings |= {"sleep_after": SLEEP_AFTER_S, "session_ttl": DAY_S, "session_store": "memory"}
        super().__init__(Settings(**settings), ["work"], Random(seed))
        self.arrivals, services = Random(seed), Random(seed + 1)
        mean = math.log(SERVICE_S) - SIGMA * SIGMA / 2
        self.services = itertools.cycle([services.lognormvariate(mean, SIGMA) for _ in range(DRAWN)])
        self.calls = 0
        self.finished: Counter[str] = Counter()
        self.work_off()
        self.run_until(COLD_START_S)
        self.sessions = [self.machine.open_session(f"s{n}", None, False, self.now) for n in range(sessions)]
        self.work_off()

    def offer(self, seconds: float, rate: float = RATE) -> None:
        """Let calls come for so long."""
        end, at, expovariate = self.now + seconds, self.now, self.arrivals.expovariate
        while (at := at + expovariate(rate)) < end:
            self.run_until(at)
            self.offer_one()
        self.run_until(end)

    def come_to_rest(self) -> None:
        """Let every call end, and every session sleep."""
        self.run_until(self.now + DEADLINE_S + 2 * SLEEP_AFTER_S)

    def offer_one(self) -> None:
        """One call now, of any of the sessions if there are some."""
        session = None
        if self.sessions:
            session = self.sessions[int(self.arrivals.random() * len(self.sessions))]
        self.calls += 1
        deadline = self.now + DEADLINE_S
        if self.submit(Call(next(self.machine.call_ids), self.operations[0], b"", deadline, session=session)):
            self.finished["rejected"] += 1

    def start_s(self) -> float:
        return COLD_START_S

    def service_s(self, call: Call) -> float:
        return next(self.services)

    def ended(self, call: Call, value: Any) -> None:
        self.finished[call.ending or ""] += 1

    def check(self) -> None:
        """Every call ended once, as the core counts it, and nothing is held anywhere."""
        view = self.machine.view
        assert (view.unended, view.queued, view.queued_bytes) == (0, 0, 0)
        assert self.calls == view.submitted == self.finished.total()
        assert self.finished == Counter({ending: n for ending, n in view.counts.items() if n})
        assert not any(process.held or process.waiting or process.running for process in self.processes.values())
        asleep = view.sessions_asleep
        assert asleep == len(self.store), f"{asleep} sessions are asleep, and {len(self.store)} are stored"
        left = view.counters.sessions_slept - view.counters.sessions_woken
        assert asleep == left, f"{asleep} sessions are asleep, and {left} went to sleep and did not wake"


@contextlib.contextmanager
def looks() -> Iterator[Counter[str]]:
    """Count how often each verb of the agenda is looked at meanwhile."""
    counted: Counter[str] = Counter()
    before = dict(LOOKS)

    def counting(verb: str, look: Callable[..., None]) -> Callable[..., None]:
        def counted_look(*details: Any) -> None:
            counted[verb] += 1
            look(*details)

        return counted_look

    LOOKS.update({verb: counting(verb, look) for verb, look in before.items()})
    try:
        yield counted
    finally:
        LOOKS.update(before)


def measure(seconds: float, sessions: int) -> str:
    """Run a day of so many seconds, and say what it took."""
    gc.collect()
    with looks() as counted:
        began, cpu = time.perf_counter(), time.process_time()
        day = Day(sessions=sessions)
        day.offer(seconds)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    day.come_to_rest()
    day.check()
    view, answers = day.machine.view, dict(day.finished)
    return (
        f"{sessions:,} sessions: {took:.2f} s ({cpu:.2f} s of processor), {day.calls:,} calls, {view.starts:,} starts, "
        f"{day.ticks:,} ticks\n  answers: {answers}\n  looks: {dict(counted.most_common())}"
    )


def main() -> None:
    """Print what a day costs without sessions and with them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=DAY_S, help="how long the day is (default: 86,400)")
    chosen = parser.parse_args()
    print(facts())
    for sessions in (0, SESSIONS):
        print(measure(chosen.seconds, sessions))


if __name__ == "__main__":
    main()
