"""A worker process as the model has it: frames sent, calls running, sessions, answers not read yet.

Does with a frame what a real worker does; when it does it is the test's choice.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from millpond.core.records.call import Call
from millpond.core.records.worker import Worker
from millpond.core.stimuli.answers import SESSION_FAILED
from millpond.seams import CLOSE_SESSION, EXPORT_CONCURRENT, EXPORTS
from tests.core.ledger import Ledger


@dataclass
class Frame:
    """A call on its way to a process, or running there."""

    call: Call
    deadline: float
    is_withdrawn: bool = False
    is_proven: bool = False  # whether the parent was told that it never began
    is_interrupted: bool = False

    @property
    def number(self) -> int:
        return 0 if self.call.session is None else self.call.session.number


@dataclass
class Seat:
    """A session's place in a process: `state` are the tokens of the calls that ran in it, in order.

    `sent` is what of it the parent has, the same object there: a state that did not change is not sent again.
    """

    state: list[int] | None
    lease: int
    sent: list[int] | None
    is_open: bool = False


@dataclass(eq=False)
class Process:
    """One worker as it would be."""

    record: Worker
    frames: deque[Frame] = field(default_factory=deque)
    running: dict[int, Frame] = field(default_factory=dict)
    answers: deque[tuple[Any, ...]] = field(default_factory=deque)
    seats: dict[int, Seat] = field(default_factory=dict)
    saves: dict[int, tuple[int, list[int] | None, str]] = field(default_factory=dict)  # call id -> lease, state, reason
    exports: deque[Frame] = field(default_factory=deque)  # for its control thread
    exporting: Frame | None = None  # the export its control thread is at
    dropped: set[int] = field(default_factory=set)  # calls sent to it when it was deaf
    unforgotten: set[int] = field(default_factory=set)  # sessions it could not be told to forget
    is_ready: bool = False
    is_frozen: bool = False
    is_crashed: bool = False  # dead, and the parent does not know
    is_deaf: bool = False  # dead, and what is sent to it is dropped
    is_killed: bool = False
    has_bye: bool = False
    pings: int = 0

    @property
    def is_working(self) -> bool:
        return self.is_ready and not (self.is_frozen or self.is_crashed)

    def can_claim(self, concurrency: int) -> bool:
        """Whether it would look at the next frame."""
        running = {frame.number for frame in self.running.values()} - {0}
        assert not self.frames or self.frames[0].number not in running, "two calls of one session are in one worker"
        return bool(self.is_working and self.frames and len(self.running) < concurrency)

    def take(self, call: Call) -> None:
        """A frame arrives, after the one that introduces its session."""
        if self.is_deaf:
            self.dropped.add(call.id)
            return
        if call.session is not None and not call.session.introduced:
            self.seats[call.session.number] = Seat(call.session.snapshot, call.session.lease, call.session.snapshot)
            call.session.introduced = True
        where = self.exports if call.operation == EXPORT_CONCURRENT else self.frames
        where.append(Frame(call, call.deadline))

    def claim(self, now: float, ledger: Ledger, max_attempts: int) -> None:
        """Look at the next frame: pass over it, find it expired, or begin."""
        frame = self.frames.popleft()
        call = frame.call
        is_claimed = frame.is_withdrawn and not frame.is_proven  # before the time that has passed since
        if now >= frame.deadline and not is_claimed:
            self._answer(0 if frame.is_withdrawn else call.id, "expired", now)
        elif frame.is_withdrawn:
            self._answer(0 if frame.is_proven else call.id, "skipped", now)
        else:
            ledger.claims(call)
            self.running[call.id] = frame
            if call.continuation is None:
                ledger.begins(call, max_attempts)
            if call.session is not None:
                self._sit_down(frame, ledger)

    def found_late(self, call: Call) -> bool:
        """Whether it passed over the call, never claimed, and the parent has not read that: it names no call then."""
        for at, answer in enumerate(self.answers):
            if answer[:2] == (call.id, "expired"):
                self.answers[at] = (0, *answer[1:])
                return True
        return False

    @property
    def can_export(self) -> bool:
        """Whether its control thread has something to do."""
        return self.is_working and (self.exporting is not None or bool(self.exports))

    def export(self, now: float, ledger: Ledger, how: str = "ok") -> None:
        """The control thread claims the next export, or comes back from the one it is at."""
        frame, self.exporting = self.exporting, None
        if frame is None:
            frame = self.exports.popleft()
            if not frame.is_withdrawn:
                self.exporting = frame
            elif not frame.is_proven:
                self._answer(frame.call.id, "skipped", now)
            return
        busy = {other.number for other in self.running.values()}
        assert frame.number not in busy, f"{frame.call!r} takes out what a call is changing"
        if how == "ok":
            ledger.sits_down(frame.call, self.seats[frame.number].state or [])
        self._answer(frame.call.id, how, now, self._value(frame) if how == "ok" else ValueError(frame.call.id))

    def _sit_down(self, frame: Frame, ledger: Ledger) -> None:
        seat = self.seats.get(frame.number)
        assert seat is not None, f"{frame.call!r} came to a worker that knows nothing of its session"
        if not seat.is_open or seat.state is None:
            seat.state = list(seat.state or [])
        ledger.sits_down(frame.call, seat.state)

    def complete(self, frame: Frame, how: str, seconds: float, now: float, ledger: Ledger) -> None:
        """The operation comes back: ok, failed, interrupted, or because its session did not open."""
        call = frame.call
        del self.running[call.id]
        ledger.completes(call)
        seat = self.seats.get(frame.number)
        if how == "unopened" and seat is not None and not seat.is_open:
            del self.seats[frame.number]
            ledger.leaves_no_trace(call)
            self._answer(call.id, "failed", now, ValueError(call.id), seconds, SESSION_FAILED)
            return
        if seat is not None:
            seat.is_open = True
            if how == "unchanged" and call.continuation is None:
                ledger.leaves_no_trace(call)
                seat.state.remove(call.id)
            self._save(call, seat, how)
        how = {"unopened": "failed", "unsaved": "ok", "unchanged": "ok"}.get(how, how)
        self._answer(call.id, how, now, self._value(frame) if how == "ok" else ValueError(call.id), seconds)

    def _save(self, call: Call, seat: Seat, how: str) -> None:
        """What a worker sends ahead of a session's answer, if durability asks for it."""
        if call.continuation is None:
            assert seat.state is not None
            if how == "unsaved":
                seat.sent, reason = None, "it holds a lock"
            elif seat.sent != seat.state:
                seat.sent, reason = list(seat.state), ""
            else:
                reason = ""  # the parent has it
            self.saves[call.id] = (seat.lease, seat.sent, reason)

    def _value(self, frame: Frame) -> Any:
        if frame.call.operation in EXPORTS:
            return self.seats.pop(frame.number).state
        if frame.call.operation == CLOSE_SESSION:
            del self.seats[frame.number]
        return frame.call.id

    def _answer(
        self, call_id: int, kind: str, now: float, value: Any = None, seconds: float = 0.0, flags: int = 0
    ) -> None:
        self.answers.append((call_id, kind, value, now - seconds, now, flags))
