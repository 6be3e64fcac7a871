"""The machine under random submits, answers, cancels, deadlines, deaths, resizes and session moves.

The processes and the promises made to callers live in `model`, which raises at the step that breaks one; the machine's
invariants are checked after each step as well.
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from millpond.core.records import states
from millpond.core.records.call import Call
from millpond.core.records.session import Session
from millpond.core.stimuli.failures import FAILED
from tests.core.model import SIZING_RULES, World
from tests.core.process import Process

DURATIONS = st.sampled_from([1e-5, 1e-5, 2e-4, 0.02, 3.0])
PAUSES = st.sampled_from([0.0, 0.001, 0.009, 0.011, 0.06, 0.3, 1.1, 2.6, 7.0])
DEADLINES = st.sampled_from([float("inf"), float("inf"), 0.0, 0.005, 0.1, 2.0])
NAMES = st.sampled_from("abcd")
PICK = st.integers(0, 2**16)


class Pool(RuleBasedStateMachine):
    """Everything that can happen to a pool, in any order."""

    world: World

    @initialize(
        seed=st.integers(0, 2**16),
        close_hook=st.booleans(),
        doubtful=st.booleans(),
        concurrency=st.integers(1, 4),
        low=st.integers(0, 2),
        more=st.integers(0, 2),
        warmups=st.sampled_from(["", "", "r", "b", "brb"]),
        spare_workers=st.sampled_from([0, 0, 1, 2]),
        isolation=st.sampled_from(["shared", "shared", "process"]),
        max_queued=st.sampled_from([None, 0, 3, 12]),
        on_interrupt=st.sampled_from(["keep", "keep", "replace"]),
        max_calls=st.sampled_from([None, None, 5]),
        max_lifetime=st.sampled_from([None, None, 3.0]),
        max_memory=st.sampled_from([None, None, 2**30]),
        session_ttl=st.sampled_from([None, 2.0]),
        breaker_faults=st.integers(1, 5),
        sleep_after=st.sampled_from([None, 0.05, 0.5, 60.0]),
        durability=st.sampled_from(["none", "none", "reply", "disk"]),
        on_restore=st.sampled_from(["raise", "raise", "continue"]),
        early=st.integers(0, 3),
    )
    def open_pool(
        self,
        seed: int,
        close_hook: bool,
        doubtful: bool,
        concurrency: int,
        low: int,
        more: int,
        early: int,
        **others: Any,
    ) -> None:
        """Any pool is opened and serves, those who called meanwhile first."""
        self.world = World(
            seed,
            close_hook,
            concurrency=concurrency,
            min_workers=low,
            max_workers=max(1, low + more),
            idle_timeout=1.0,
            health_interval=0.4,
            breaker_reset=0.5,
            max_queued_bytes=40,
            max_sessions=5,
            restart_backoff=0.1,
            start_timeout=4.0,
            session_store="a file",
            **others,
        )
        for number in range(early):
            self.world.submit(deadline=60.0 * number)
        self.world.begin()
        for call in self.world.machine.early():
            self.world.machine.let_in(call, None, self.world.now)
            self.world.settle()
        self.world.doubtful_withdrawals = doubtful
        self.sessions: list[Session] = []

    def _some(self, pick: int, of: list[Any]) -> Any:
        return of[pick % len(of)]

    def _processes(self, **traits: bool) -> list[Process]:
        processes = (getattr(self, "world", None) and self.world.processes.values()) or []
        return [p for p in processes if all(bool(getattr(p, name)) is value for name, value in traits.items())]

    def _unended(self) -> list[Call]:
        return [p.call for p in self.world.promises.values() if not p.told]

    # Callers

    @rule(
        count=st.sampled_from([1, 1, 2, 5, 20]),
        deadline=DEADLINES,
        priority=st.integers(-1, 2),
        idempotent=st.booleans(),
        on_cancel=st.sampled_from(["interrupt", "interrupt", "abandon"]),
    )
    def submit(self, count: int, **options: Any) -> None:
        for _ in range(count):
            self.world.submit("work", **options)

    @rule(deadline=DEADLINES, idempotent=st.booleans())
    def submit_stream(self, **options: Any) -> None:
        self.world.submit("tokens", **options)

    @precondition(lambda self: self.sessions)
    @rule(pick=PICK, count=st.integers(1, 4), deadline=DEADLINES, idempotent=st.booleans(), priority=st.integers(0, 1))
    def submit_in_session(self, pick: int, count: int, **options: Any) -> None:
        session = self._some(pick, self.sessions)
        for _ in range(count):
            self.world.submit("say", session=session, **options)

    @rule(name=NAMES, affinity=st.sampled_from(["strict", "strict", "fail_fast", "hint"]), reopen=st.booleans())
    def open_session(self, name: str, affinity: str, reopen: bool) -> None:
        found = self.world.open_session(name, affinity, reopen)
        if isinstance(found, Session) and found not in self.sessions:
            self.sessions.append(found)

    @precondition(lambda self: self.sessions)
    @rule(pick=PICK)
    def close_session(self, pick: int) -> None:
        self.world.close_session(self._some(pick, self.sessions))

    @precondition(lambda self: self._unended())
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        self.world.cancel(self._some(pick, self._unended()))

    @precondition(lambda self: self._unended())
    @rule(pick=PICK)
    def cancel_future(self, pick: int) -> None:
        """A `concurrent.futures` future is cancelled: if its call was not sent, it never will be."""
        call = self._some(pick, self._unended())
        if call.state == "queued" and not call.attempts:
            self.world.marked.add(call.id)

    @rule(low=st.integers(0, 3), more=st.integers(0, 2))
    def resize(self, low: int, more: int) -> None:
        self.world.resize(low, max(1, low + more))

    @rule(**SIZING_RULES)
    def size_by(self, floor: int, more: int, **rule: Any) -> None:
        """The rule is another from now on, whatever it says."""
        self.world.size_by(floor=floor, ceiling=floor + more, **rule)

    # Time

    @rule(seconds=PAUSES)
    def advance(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(seconds=PAUSES)
    def sleep_through(self, seconds: float) -> None:
        self.world.sleep_through(seconds)

    @rule(seconds=PAUSES)
    def stand_still(self, seconds: float) -> None:
        """Time passes, and whatever comes next is heard before the machine is woken."""
        self.world.stand_still(seconds)

    # Processes

    @precondition(lambda self: self._processes())
    @rule(steps=st.integers(1, 12))
    def serve(self, steps: int) -> None:
        """Everybody gets on by a few steps."""
        for _ in range(steps):
            for process in list(self.world.processes.values()):
                self.world.serve(process)

    @precondition(lambda self: self._processes(is_ready=False))
    @rule(pick=PICK)
    def get_ready(self, pick: int) -> None:
        process = self._some(pick, self._processes(is_ready=False))
        if not (not process.is_alive or process.is_killed):
            self.world.get_ready(process)

    @precondition(lambda self: self._processes(is_ready=False))
    @rule(pick=PICK)
    def fail_to_start(self, pick: int) -> None:
        self.world.fail_to_start(self._some(pick, self._processes(is_ready=False)))

    @precondition(lambda self: self._processes(can_begin=True))
    @rule(pick=PICK, count=st.integers(1, 4))
    def claim(self, pick: int, count: int) -> None:
        process = self._some(pick, self._processes(can_begin=True))
        while count and process.can_begin:
            self.world.claim(process)
            count -= 1

    @precondition(lambda self: self._processes(is_working=True, running=True))
    @rule(
        pick=PICK,
        which=PICK,
        how=st.sampled_from(["ok", "ok", "ok", "ok", "failed", "interrupted", "unopened", "unsaved"]),
        seconds=DURATIONS,
    )
    def complete(self, pick: int, which: int, how: str, seconds: float) -> None:
        process = self._some(pick, self._processes(is_working=True, running=True))
        frame = self._some(which, list(process.running.values()))
        if how == "interrupted" and not frame.is_interrupted:
            how = "ok"
        self.world.complete(process, frame, how, seconds)

    @precondition(lambda self: self._processes(can_export=True))
    @rule(pick=PICK, how=st.sampled_from(["ok", "ok", "ok", "failed"]))
    def export(self, pick: int, how: str) -> None:
        """A thread beside the main one gets on with taking a session's state out."""
        self._some(pick, self._processes(can_export=True)).export(self.world.now, self.world.ledger, how)

    @precondition(lambda self: self._processes(answers=True))
    @rule(pick=PICK, count=st.integers(1, 4))
    def deliver(self, pick: int, count: int) -> None:
        process = self._some(pick, self._processes(answers=True))
        while count and process.answers:
            self.world.deliver(process)
            count -= 1

    @precondition(lambda self: self._processes(is_alive=True))
    @rule(pick=PICK)
    def crash(self, pick: int) -> None:
        self.world.crash(self._some(pick, self._processes(is_alive=True)))

    @precondition(lambda self: self._processes())
    @rule(pick=PICK)
    def reap(self, pick: int) -> None:
        self.world.reap(self._some(pick, self._processes()))

    @precondition(lambda self: self._processes())
    @rule(pick=PICK)
    def break_protocol(self, pick: int) -> None:
        self.world.break_protocol(self._some(pick, self._processes()))

    @precondition(lambda self: self._processes(is_alive=True))
    @rule(pick=PICK, is_frozen=st.booleans())
    def freeze(self, pick: int, is_frozen: bool) -> None:
        self.world.freeze(self._some(pick, self._processes(is_alive=True)), is_frozen)

    @precondition(lambda self: self._processes())
    @rule(pick=PICK)
    def warm(self, pick: int) -> None:
        """A worker's warm-up is begun, or begun again on one that serves; also on one that is in no state for it."""
        self.world.warm(self._some(pick, self._processes()).record)

    @precondition(lambda self: getattr(self, "world", None) and self.world.runs)
    @rule(pick=PICK)
    def give_up_warmup(self, pick: int) -> None:
        self.world.give_up_warmup(self._some(pick, self.world.runs[-3:]))

    @precondition(lambda self: getattr(self, "world", None) and self.world.unwarmed)
    @rule(pick=PICK)
    def refuse_warmup(self, pick: int) -> None:
        self.world.refuse_warmup(self._some(pick, self.world.unwarmed))

    @precondition(lambda self: self._processes())
    @rule(pick=PICK)
    def replace(self, pick: int) -> None:
        """A worker is drained, its sessions taken along."""
        self.world.drain(self._some(pick, self._processes()))

    @precondition(lambda self: self._processes())
    @rule(pick=PICK)
    def replace_when_another_serves(self, pick: int) -> None:
        """Another is to take a worker's place first."""
        self.world.replace(self._some(pick, self._processes()))

    @precondition(lambda self: self._processes())
    @rule(pick=PICK)
    def keep(self, pick: int) -> None:
        self.world.keep(self._some(pick, self._processes()))

    # The engine

    @precondition(lambda self: hasattr(self, "world") and not self.world.is_reviving)
    @rule(really=st.integers(0, 3))
    def lose_engine(self, really: int) -> None:
        if not really:
            self.world.lose_engine()

    @precondition(lambda self: hasattr(self, "world") and self.world.is_reviving)
    @rule(is_failing=st.booleans())
    def revive_engine(self, is_failing: bool) -> None:
        self.world.revive_engine(is_failing)

    # The store

    @precondition(lambda self: hasattr(self, "world") and self.world.store.orders)
    @rule(count=st.integers(1, 3), is_failing=st.sampled_from([False, False, False, True]))
    def answer_store(self, count: int, is_failing: bool) -> None:
        while count and self.world.store.orders:
            self.world.answer_store(is_failing)
            count -= 1

    # Orders

    @precondition(lambda self: hasattr(self, "world"))
    @rule(kind=st.sampled_from(sorted(FAILED, key=str)), count=st.integers(1, 4))
    def break_orders(self, kind: type, count: int) -> None:
        """Any order may raise: the next few of this kind do."""
        self.world.broken[kind] = count

    # The end

    @precondition(lambda self: self.world.records.state == states.SERVING)
    @rule(really=st.integers(0, 7))
    def drain_pool(self, really: int) -> None:
        if not really:
            self.world.machine.drain_pool(self.world.now)

    @rule(really=st.integers(0, 15), drain_s=st.sampled_from([0.0, 0.3, 3.0]))
    def close_pool(self, really: int, drain_s: float) -> None:
        if not really:
            self.world.close(drain_s)

    def teardown(self) -> None:
        """Whatever happened: let go, everybody is told; closed, nothing is left."""
        world = getattr(self, "world", None)
        if world is None:
            return
        world.broken.clear()
        if world.records.state != states.CLOSING:
            for session in self.sessions:
                world.close_session(session)
            world.run_out()
        world.close(1.0)
        world.advance(1.0)
        world.serve_store()  # an answer that waits for its state to be committed waits longer than the drain
        assert not world.records.unended, "the drain is over and somebody waits"
        world.serve_all()
        world.check_over()


TestPool = Pool.TestCase
TestPool.settings = settings(
    max_examples=300,
    stateful_step_count=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
