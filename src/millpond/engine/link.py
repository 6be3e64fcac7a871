"""One worker as the parent holds it: what joins the two, and which call has which position of the logbook.

Writes calls and the small requests about them; what comes back is read in `inbox` and handled in `frame_handlers`.
Decides nothing: it keeps the record that shows, after a death, which calls had started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import Any

import msgspec

from millpond.engine.endpoints import STDERR_TAIL_BYTES, Endpoints, OutputRing
from millpond.engine.outbox import LARGE_BYTES, MSG_NOSIGNAL, Outbox
from millpond.seams import EXPORT_CONCURRENT, EXPORTS
from millpond.wire import frames, segments, trace_header
from millpond.wire.buffers import SlotReader, SlotWriter
from millpond.wire.codec import Encoded
from millpond.wire.definitions import Definitions, Entries
from millpond.wire.logbook import POSITIONS, Logbook

_pack = frames.pack
# A turn of the loop that sends many calls writes after each 16 of them (two parts a call), so that the worker begins
# while the rest is being made: 9 % more calls a second with 64 in flight than with one write a turn.
FLUSH_PARTS = 32
_NO_DEADLINE = float("inf")

STARTING, WARMING, READY, FAILED = "starting", "warming", "ready", "failed"


@dataclass(slots=True, eq=False)
class Reading:
    """A frame whose value is being decoded apart, how large it was, and the frames of the same call that came since."""

    fields: frames.Fields
    nbytes: int
    behind: list[tuple[frames.Fields, frames.Body]] = field(default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class Link:
    """Everything that belongs to one worker and is freed with it; raises `OSError` when it cannot be made."""

    worker: Any
    settings: InitVar[Any]
    limit: InitVar[int]
    loop: InitVar[asyncio.AbstractEventLoop]
    definitions: Definitions
    id: int = field(init=False)
    defined: Entries = field(init=False)  # what it has of the definitions
    pid: int = 0  # until the warden reports it
    supervisor: Any = None  # of the warden whose child it is
    renumbered: dict[int, int] | None = None  # number of an operation -> in its image, where they differ
    stage: str = STARTING  # as the worker last reported
    is_distrusted: bool = False  # it broke the protocol: nothing more is read
    answer_bytes: int = 0  # of the result that was decoded last
    still: int = 0  # looks in a row that found half a frame standing still
    is_at_end: bool = False  # its socket is closed
    is_gone: bool = False
    # Per position: the id of the call there, negated when nobody waits for its answer any more.
    calls: list[int | None] = field(default_factory=lambda: [None] * POSITIONS)
    # A stack: the positions used last are warm.
    free: list[int] = field(default_factory=lambda: list(range(POSITIONS - 1, -1, -1)))
    sessions: dict[int, int] = field(default_factory=dict)  # number of each it has -> the lease it was introduced under
    exports: dict[int, int] = field(default_factory=dict)  # id of a call that takes a session's state out -> its number
    saves: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)  # call id -> lease, flags, what came ahead
    concurrent_exports: set[int] = field(default_factory=set)  # ids of the internal calls that the control thread has
    reading: dict[int, Reading] = field(default_factory=dict)  # call id -> what came of it and is being decoded apart
    when_read: Callable[[], None] | None = None  # its death is reported then
    is_plain: bool = True  # nothing is in `exports`, `saves` and `reading`: an answer is what it looks like
    room: int = 64 * 1024  # bytes of the next read
    asking: asyncio.Task[str] | None = None  # for the stacks of its threads
    endpoints: Endpoints = field(init=False)
    logbook: Logbook = field(init=False)
    outbox: Outbox = field(init=False)
    reader: frames.FrameReader = field(init=False)
    replies: SlotReader | None = field(init=False)
    ring: OutputRing = field(init=False)
    stderr: OutputRing = field(init=False)
    _slots: SlotWriter | None = field(init=False)
    _threshold: int = field(init=False)

    def __post_init__(self, settings: Any, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        self.id, self.defined = self.worker.id, self.definitions.newest
        ends = self.endpoints = Endpoints(settings.buffer_bytes, settings.output == "inherit")
        self.logbook, self.outbox = ends.logbook, Outbox(loop, ends.socket)
        self.reader = frames.FrameReader(limit, self.id)
        self.replies = SlotReader(ends.outbound) if ends.outbound is not None else None
        self.ring, self.stderr = OutputRing(settings.log_ring_bytes), OutputRing(STDERR_TAIL_BYTES)
        self._slots = SlotWriter(ends.inbound) if ends.inbound is not None else None
        self._threshold = settings.buffer_threshold

    def send(self, call: Any) -> None:
        """Give a call a position and write it: at once if the worker has nothing else, or with this turn's others."""
        if self.definitions.newest is not self.defined:
            self._define(self.definitions.newest)
        session = call.session
        number = 0
        if session is not None:
            number = session.number
            # The introduction goes by the same socket, so that the worker reads it first. A concurrent export goes by
            # another and may overtake what was written before it: it is only ordered for a session whose state is in
            # the worker, which has read the introduction then.
            if self.sessions.get(number) != session.lease:
                self._introduce(session)
            if call.operation in EXPORTS:
                self.exports[call.id] = number
                self.is_plain = False
                if call.operation == EXPORT_CONCURRENT:
                    self._send_concurrent_export(call, number)
                    return
        is_idle = len(self.free) == POSITIONS
        position = self.free.pop()
        # The line is reset before the call is written, and the position is free only when the answer was read; that of
        # a withdrawn call when the worker has passed over it. So no claim or request of an earlier call at this
        # position is ever taken for one of this call.
        try:
            self.logbook.reset(position)
            self.calls[position] = call.id
            operation = call.operation
            if self.renumbered is not None:
                operation = self.renumbered.get(operation, operation)
            body = call.payload
            if type(body) is bytes and len(body) <= LARGE_BYTES and call.trace is None:
                size, form = len(body), call.form
                header = _pack(
                    size, frames.CALL, 0, position, operation, form, self.id, call.id, number, call.deadline, 0.0
                )
                self.outbox.parts += (header, body)
            else:
                self._add_uncommon(call, position, operation, number)
        except BaseException:  # nothing of it was collected: the position is free again
            self.settle(position)
            raise
        if is_idle or len(self.outbox.parts) >= FLUSH_PARTS:
            self.outbox.flush()
        else:
            self.outbox.schedule()

    def holds(self, call_id: int) -> bool:
        """Whether this call is here and not answered."""
        return call_id in self.calls

    def withdraw(self, call_id: int) -> bool:
        """Take a call back, if it is here; its position stays taken until the worker reports that it passed over it."""
        if call_id not in self.calls:
            return False
        position = self.calls.index(call_id)
        # Parent and worker race for the call: whoever marks its line first has it. If that was the parent, the worker
        # will pass over it. If not, it was claimed: it may run or have ended, and its answer is on the way.
        if not self.logbook.withdraw(position):
            return False
        self.calls[position] = -call_id
        return True

    def request_interrupt(self, call_id: int) -> None:
        """Mark the call and notify a worker that listens; the signal for one that does not is the warden's to send."""
        position = self.calls.index(call_id)
        self.logbook.request_interrupt(position)
        self.write(frames.CANCEL, call_id, position=position)

    def forget_session(self, number: int) -> None:
        """Have the worker drop its record of a session, if it has one."""
        if self.sessions.pop(number, None) is not None:
            self.write(frames.FORGET_SESSION, number=number)

    def write(self, kind: int, call_id: int = 0, number: int = 0, amount: int = 0, position: int = 0) -> None:
        """Write a frame without a body."""
        self.outbox.write(_pack(0, kind, 0, position, 0, amount, self.id, call_id, number, _NO_DEADLINE, 0.0))

    def give_back(self, now: float, most: int) -> int:
        """Give back shared memory that a burst of large arguments left, `most` bytes at a time; how many it was."""
        return self._slots.give_back(now, most) if self._slots is not None else 0

    def settle(self, position: int) -> None:
        """Free a position: its call was answered."""
        self.calls[position] = None
        self.free.append(position)

    def _send_concurrent_export(self, call: Any, number: int) -> None:
        """Give an internal call to the control thread; if its socket is full, to the worker, as any other."""
        position = self.free.pop()
        self.logbook.reset(position)
        self.calls[position] = call.id
        self.concurrent_exports.add(call.id)
        header = _pack(0, frames.CALL, 0, position, EXPORT_CONCURRENT, 0, self.id, call.id, number, call.deadline, 0.0)
        try:
            self.endpoints.side.send(header, MSG_NOSIGNAL)
        except OSError:
            self.outbox.write(header)

    def unravel(self, call_id: int) -> tuple[int, int, bytes] | None:
        """An answer came: what came ahead of it."""
        self.exports.pop(call_id, None)
        saved = self.saves.pop(call_id, None)
        self.look_plain()
        return saved

    def look_plain(self) -> None:
        """Something was taken out of what keeps answers from being what they look like."""
        self.is_plain = not (self.exports or self.saves or self.reading)

    def started_calls(self) -> list[int]:
        """The unanswered calls that may have run, by what the worker wrote into the logbook."""
        is_claimed = self.logbook.is_claimed
        return [
            held for position, held in enumerate(self.calls) if held is not None and held > 0 and is_claimed(position)
        ]

    def close(self) -> None:
        """Free everything; the rings stay readable."""
        self.outbox.close()
        self.endpoints.close()

    def _add_uncommon(self, call: Any, position: int, operation: int, number: int) -> None:
        parts, flags = self._parts(call.payload)
        if call.trace is not None and len(call.trace.header) <= trace_header.LONGEST:
            parts, flags = [trace_header.prefix(call.trace.header), *parts], flags | frames.TRACED
        length = sum(map(len, parts))
        header = _pack(
            length, frames.CALL, flags, position, operation, call.form, self.id, call.id, number, call.deadline, 0.0
        )
        self._add(header, parts, length)

    def _parts(self, payload: bytes | Encoded) -> tuple[list[bytes | memoryview], int]:
        if isinstance(payload, Encoded):
            return segments.pack(payload, self._slots, self._threshold), frames.SEGMENTED
        return [payload], 0

    def _add(self, header: bytes, parts: list[bytes | memoryview], length: int) -> None:
        if length <= LARGE_BYTES:
            self.outbox.parts += [header, *(bytes(part) for part in parts)]
        else:
            self.outbox.write_large([header, *parts])

    def _define(self, newest: Entries) -> None:
        """Tell the worker what changed in the program's `__main__`; an empty entry is of a name that is gone."""
        before, self.defined = self.defined, newest
        for name in newest.keys() | before.keys():
            entry = newest.get(name, b"")
            if entry is not before.get(name, b""):
                head = name.encode()
                length = len(head) + len(entry)
                header = _pack(length, frames.DEFINE, 0, 0, len(head), 0, self.id, 0, 0, _NO_DEADLINE, 0.0)
                self._add(header, [head, entry], length)

    def _introduce(self, session: Any) -> None:
        """Tell the worker of a session before its first call there, with the state it had elsewhere, if any."""
        head = msgspec.msgpack.encode([session.id, session.generation, session.lease])
        parts: list[bytes | memoryview] = [head]
        snapshot, flags = session.snapshot, 0
        if snapshot is not None:
            parts.append(snapshot)
            flags = frames.HAS_SNAPSHOT | (frames.SEGMENTED if isinstance(snapshot, segments.Parts) else 0)
        length = sum(map(len, parts))
        header = _pack(
            length, frames.OPEN_SESSION, flags, 0, len(head), 0, self.id, 0, session.number, _NO_DEADLINE, 0.0
        )
        self._add(header, parts, length)
        self.sessions[session.number] = session.lease
