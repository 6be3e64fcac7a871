"""A worker process as the core's model has it: the simulated worker, its answers not read yet, and the ledger's tokens.

Does with a call what a real worker does; when it does it is the test's choice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from millpond.core.records.call import Call
from millpond.core.records.worker import Worker
from millpond.core.stimuli.answers import SESSION_FAILED
from millpond.seams import CLOSE_SESSION, EXPORTS
from millpond.simulator.simulated_worker import LATE, RUNNING, WITHDRAWN, HeldCall, SimulatedWorker
from tests.core.ledger import Ledger


@dataclass
class SessionState:
    """What a process has of a session: the tokens of the calls that ran in it, in order.

    `sent` is what of it the parent has, the same object there: a state that did not change is not sent again.
    """

    tokens: list[int] | None
    lease: int
    sent: list[int] | None
    is_open: bool = False


def number_of(held: HeldCall) -> int:
    """The number of a call's session, 0 for none."""
    return 0 if held.call.session is None else held.call.session.number


class Process(SimulatedWorker):
    """One worker as it would be."""

    def __init__(self, record: Worker, concurrency: int) -> None:
        super().__init__(concurrency)
        self.record = record
        self.answers: deque[tuple[Any, ...]] = deque()
        self.states: dict[int, SessionState] = {}
        self.saves: dict[int, tuple[int, list[int] | None, str]] = {}  # call id -> lease, state, reason
        self.unforgotten: set[int] = set()  # sessions it could not be told to forget
        self.is_killed = False
        self.pings = 0

    def take(self, call: Call) -> HeldCall:
        """A call arrives, after the frame that introduces its session."""
        session = call.session
        if session is not None and not self.knows(session):
            self.states[session.number] = SessionState(session.snapshot, session.lease, session.snapshot)
        return super().take(call)

    def claim(self, now: float, ledger: Ledger, max_attempts: int) -> None:
        """Come to the next call: pass over it, find it late, or begin."""
        running = {number_of(held) for held in self.running.values()} - {0}
        assert number_of(self.waiting[0]) not in running, "two calls of one session are in one worker"
        held = self.begin(now)
        call = held.call
        if held.state != RUNNING:
            self._answer(held, "expired" if held.state == LATE else "skipped", now)
            return
        ledger.claims(call)
        if call.continuation is None:
            ledger.begins(call, max_attempts)
        if call.session is not None:
            self._enter_session(held, ledger)

    @property
    def can_export(self) -> bool:
        """Whether its control thread has something to do."""
        return self.can_begin_export or (self.is_working and self.exporting is not None)

    def export(self, now: float, ledger: Ledger, how: str = "ok") -> None:
        """The control thread comes to the next export, or back from the one it is at."""
        held = self.exporting
        if held is None:
            held = self.begin_export(now)
            if held.state not in (RUNNING, WITHDRAWN):
                self._answer(held, "expired" if held.state == LATE else "skipped", now)
            return
        busy = {number_of(other) for other in self.running.values()}
        assert number_of(held) not in busy, f"{held!r} takes out what a call is changing"
        if how == "ok":
            ledger.sits_down(held.call, self.states[number_of(held)].tokens or [])
        self.end(held, how)
        self._answer(held, how, now, self._value(held, how))

    def _enter_session(self, held: HeldCall, ledger: Ledger) -> None:
        state = self.states.get(number_of(held))
        assert state is not None, f"{held!r} came to a worker that knows nothing of its session"
        if not state.is_open or state.tokens is None:
            state.tokens = list(state.tokens or [])
        ledger.sits_down(held.call, state.tokens)

    def complete(self, held: HeldCall, how: str, seconds: float, now: float, ledger: Ledger) -> None:
        """The operation comes back: ok, failed, interrupted, or because its session did not open."""
        call = held.call
        kind = {"unopened": "failed", "unsaved": "ok", "unchanged": "ok"}.get(how, how)
        self.end(held, kind)
        ledger.completes(call)
        state = self.states.get(number_of(held))
        flags = 0
        if how == "unopened" and state is not None and not state.is_open:
            flags = SESSION_FAILED
            self.forget_session(number_of(held))
            ledger.leaves_no_trace(call)
        elif state is not None:
            state.is_open = True
            if how == "unchanged" and call.continuation is None:
                ledger.leaves_no_trace(call)
                state.tokens.remove(call.id)
            self._save(call, state, how)
        self._answer(held, kind, now, self._value(held, kind), seconds, flags)

    def forget_session(self, number: int) -> None:
        super().forget_session(number)
        self.states.pop(number, None)

    def _save(self, call: Call, state: SessionState, how: str) -> None:
        """What a worker sends ahead of a session's answer, if durability asks for it."""
        if call.continuation is None:
            assert state.tokens is not None
            reason = "it holds a lock" if how == "unsaved" else ""
            if reason:
                state.sent = None
            elif state.sent != state.tokens:  # else the parent has it
                state.sent = list(state.tokens)
            self.saves[call.id] = (state.lease, state.sent, reason)

    def _value(self, held: HeldCall, kind: str) -> Any:
        if kind != "ok":
            return ValueError(held.call.id)
        if held.call.operation in EXPORTS:
            return self.states.pop(number_of(held)).tokens
        if held.call.operation == CLOSE_SESSION:
            del self.states[number_of(held)]
        return held.call.id

    def _answer(
        self, held: HeldCall, kind: str, now: float, value: Any = None, seconds: float = 0.0, flags: int = 0
    ) -> None:
        self.answers.append((held, kind, value, now - seconds, now, flags))
