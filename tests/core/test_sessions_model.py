"""Sessions that sleep, wake, move, and are restored, in any order, while calls arrive, leave, and workers die.

The world is that of the pool's model; here its sessions have state from the start, workers are often busy, and every
rule is about sessions, so that what needs several of these at once does happen.
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from millpond.core.records.session import Session
from tests.core.model import SIZING_RULES, World
from tests.core.process import Process

PICK = st.integers(0, 2**16)
HOW = st.sampled_from(["ok", "ok", "ok", "unchanged", "failed", "unsaved", "interrupted"])


class Sessions(RuleBasedStateMachine):
    """A few sessions in a pool of a few workers."""

    world: World

    @initialize(
        seed=PICK,
        close_hook=st.booleans(),
        doubtful=st.booleans(),
        workers=st.integers(1, 3),
        concurrency=st.integers(1, 2),
        affinity=st.sampled_from(["hint", "hint", "strict", "fail_fast"]),
        durability=st.sampled_from(["none", "none", "reply", "disk"]),
        on_restore=st.sampled_from(["raise", "raise", "continue"]),
        sleep_after=st.sampled_from([0.02, 0.02, 1.0, None]),
        session_ttl=st.sampled_from([None, None, 3.0]),
        has_export_hook=st.booleans(),
    )
    def open_pool(
        self,
        seed: int,
        close_hook: bool,
        doubtful: bool,
        workers: int,
        affinity: str,
        has_export_hook: bool,
        **others: Any,
    ) -> None:
        """Three sessions have answered once."""
        self.world = World(
            seed,
            close_hook,
            min_workers=workers,
            max_workers=workers + 1,
            idle_timeout=1.0,
            max_sessions=6,
            restart_backoff=0.01,
            session_store="a file",
            affinity=affinity,
            cancel_grace=0.2,
            **others,
        ).begin()
        self.world.doubtful_withdrawals = doubtful
        self.world.records.exports_concurrently = not has_export_hook
        self.sessions: list[Session] = []
        for name in "abc":
            self.open_session(name, reopen=False)
        for session in self.sessions:
            self.world.submit("say", session=session)
        self.serve_all()

    def _session(self, pick: int) -> Session:
        return self.sessions[pick % len(self.sessions)]

    def _some(self, pick: int, **traits: bool) -> Process | None:
        found = [p for p in self.world.all if all(bool(getattr(p, name)) is value for name, value in traits.items())]
        return found[pick % len(found)] if found else None

    # Callers

    @rule(pick=PICK, count=st.integers(1, 3), deadline=st.sampled_from([float("inf"), float("inf"), 0.05]))
    def call(self, pick: int, count: int, deadline: float) -> None:
        for _ in range(count):
            self.world.submit("say", session=self._session(pick), deadline=deadline)

    @rule(count=st.integers(1, 3))
    def occupy(self, count: int) -> None:
        """Workers get work that is expected to take long, and begin it."""
        for _ in range(count):
            self.world.submit("tokens")
        for process in self.world.all:
            if process.can_begin:
                self.world.claim(process)

    @rule(pick=PICK, count=st.integers(1, 3), is_free_later=st.booleans())
    def block(self, pick: int, count: int, is_free_later: bool) -> None:
        """The worker of a session is busy for long when calls of it come, and another is free, or becomes so."""
        session = self._session(pick)
        self.occupy(len(self.world.all) * self.world.records.concurrency)
        if not is_free_later:
            self._finish_work_beside(session)
        self.call(pick, count, float("inf"))
        if is_free_later:
            self.world.advance(0.02)
            self._finish_work_beside(session)

    def _finish_work_beside(self, session: Session) -> None:
        for process in self.world.all:
            if session.worker is not process.record and process.is_working:
                for frame in list(process.running.values()):
                    self.world.complete(process, frame, "ok", 0.001)
                while process.answers:
                    self.world.deliver(process)

    @precondition(lambda self: any(not p.told for p in self.world.promises.values()))
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        waiting = [p.call for p in self.world.promises.values() if not p.told]
        self.world.cancel(waiting[pick % len(waiting)])

    @rule(name=st.sampled_from("abcd"), reopen=st.booleans())
    def open_session(self, name: str, reopen: bool) -> None:
        found = self.world.open_session(name, None, reopen)
        if isinstance(found, Session) and found not in self.sessions:
            self.sessions.append(found)

    @rule(pick=PICK, really=st.integers(0, 2))
    def close_session(self, pick: int, really: int) -> None:
        if not really:
            self.world.close_session(self._session(pick))

    # Time and the store

    @rule(seconds=st.sampled_from([0.001, 0.011, 0.03, 0.03, 0.2, 1.2]))
    def advance(self, seconds: float) -> None:
        self.world.advance(seconds)

    @precondition(lambda self: self.world.store.orders)
    @rule(count=st.integers(1, 4), is_failing=st.sampled_from([False, False, False, True]))
    def answer_store(self, count: int, is_failing: bool) -> None:
        while count and self.world.store.orders:
            self.world.answer_store(is_failing)
            count -= 1

    # Orders

    @rule(verb=st.sampled_from(["send", "withdraw", "store", "recall", "erase", "forget"]), count=st.integers(1, 3))
    def break_orders(self, verb: str, count: int) -> None:
        """Any order may raise: the next few of this kind do."""
        self.world.broken[verb] = count

    # Workers

    @rule(steps=st.integers(1, 6))
    def serve(self, steps: int) -> None:
        for _ in range(steps):
            for process in self.world.all:
                self.world.serve(process)

    @rule()
    def serve_all(self) -> None:
        """Everybody who waits is served, and a little time passes: sessions rest."""
        self.world.serve_all()
        self.world.advance(0.03)

    @rule(pick=PICK)
    def begin(self, pick: int) -> None:
        process = self._some(pick, is_ready=True)
        if process is not None and process.can_begin:
            self.world.claim(process)

    @rule(pick=PICK, which=PICK, how=HOW, seconds=st.sampled_from([1e-5, 0.02, 1.0]))
    def complete(self, pick: int, which: int, how: str, seconds: float) -> None:
        process = self._some(pick, is_working=True, running=True)
        if process is not None:
            frames = list(process.running.values())
            frame = frames[which % len(frames)]
            how = "ok" if how == "interrupted" and not frame.is_interrupted else how
            self.world.complete(process, frame, how, seconds)

    @rule(pick=PICK)
    def deliver(self, pick: int) -> None:
        process = self._some(pick, answers=True)
        if process is not None:
            self.world.deliver(process)

    @rule(pick=PICK, how=st.sampled_from(["ok", "ok", "ok", "failed"]))
    def export(self, pick: int, how: str) -> None:
        process = self._some(pick, can_export=True)
        if process is not None:
            process.export(self.world.now, self.world.ledger, how)

    @rule(pick=PICK, is_told=st.booleans())
    def die(self, pick: int, is_told: bool) -> None:
        process = self._some(pick)
        if process is not None and is_told:
            self.world.reap(process)
        elif process is not None:
            self.world.crash(process)

    @rule(pick=PICK)
    def drain(self, pick: int) -> None:
        process = self._some(pick, is_ready=True)
        if process is not None:
            self.world.drain(process)

    @rule(low=st.integers(0, 2), more=st.integers(0, 2))
    def resize(self, low: int, more: int) -> None:
        self.world.resize(low, max(1, low + more))

    @rule(**SIZING_RULES)
    def size_by(self, floor: int, more: int, **rule: Any) -> None:
        """The rule is another from now on, whatever it says."""
        self.world.size_by(floor=floor, ceiling=floor + more, **rule)

    def teardown(self) -> None:
        """Whatever happened, everybody is told, no session lost what it acknowledged, and nothing is left."""
        world = getattr(self, "world", None)
        if world is None:
            return
        world.broken.clear()
        world.serve_all()
        for session in self.sessions:
            if session.pinned_because:  # it may keep the only worker there is room for
                world.close_session(session)
        world.run_out()
        for session in self.sessions:
            if session.state == "open":
                world.submit("say", session=session)
                world.submit("say", session=session)
        world.run_out()
        for session in self.sessions:
            world.close_session(session)
        world.run_out()
        world.machine.drain_pool(world.now)
        world.close(1.0)
        world.advance(1.0)
        world.serve_all()
        world.check_over()
        assert not world.store.kept, f"the store keeps {world.store.kept} of sessions that were closed"


TestSessions = Sessions.TestCase
TestSessions.settings = settings(
    max_examples=300,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
