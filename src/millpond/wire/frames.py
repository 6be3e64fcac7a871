"""Frames: the 48-byte header in front of every message, and the reader that finds frames in what a socket gives.

Carries bodies as they come and never looks into them (`codec`, `segments` and `exceptions` do). A frame over the limit
is refused before any byte of its body is kept.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

# body length, kind, flags, position, operation, amount, incarnation, call id, session number, first, second.
# Requests: first = the deadline (inf for none). Replies: first and second = when the operation started and ended.
# Times are CLOCK_MONOTONIC seconds.
HEADER = struct.Struct("<IBBHHHIQQdd")

Fields: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, float, float]
Body: TypeAlias = bytes | memoryview

# Parent to worker
CALL = 1
OPEN_SESSION = 2
FORGET_SESSION = 3
CREDIT = 4
CANCEL = 5
PING = 6
BYE = 7
DEFINE = 8  # a name of the program's `__main__`, which is the first `operation` bytes of the body; its entry follows
STACKS = 9  # to the control thread: write the stacks of all threads; the call id is the number of the request

# Worker to parent
READY = 32
WARMING = 33
START_FAILED = 34
OK = 40
RAISED = 41
FAULT = 42
INTERRUPTED = 43
EXPIRED = 44
SKIPPED = 45
ITEM = 46
PONG = 47  # first = the calls it holds: those that came before the PING, and whose answer does not come before this
LOG = 48
EVENT = 49
SAVED = 50  # ahead of a session's answer, with its position and call id: the state it leaves; first = the lease

# Flags
SEGMENTED = 1  # the body starts with a segment table
HAS_SNAPSHOT = 2  # OPEN_SESSION: exported state follows the first `operation` bytes of the body
SESSION_FAILED = 4  # RAISED, FAULT, INTERRUPTED: the session did not open, and the worker has forgotten it
TRACED = 8  # CALL: the body starts with a trace header, behind its length (two bytes)

pack = HEADER.pack
_unpack_from = HEADER.unpack_from

_HEADER_BYTES = HEADER.size
# Above this a body is handed out as a view: copying it would cost more than keeping the whole piece alive.
_VIEW_BYTES = 16 * 1024
# A frame is written with one system call: between two looks at it either more than this comes, or the rest of it.
_LEAST_GROWTH_BYTES = 4 * 1024


class ProtocolError(Exception):
    """The other end sent what no correct peer sends; `frames` are the complete ones that came before it."""

    def __init__(self, message: str, frames: list[tuple[Fields, Body]] | None = None) -> None:
        super().__init__(message)
        self.frames = frames or []


class FrameReader:
    """Cuts a byte stream into frames.

    `limit` bounds the body of one frame, in bytes; `incarnation` is the worker whose channel it is, which every header
    names. After a `ProtocolError` the stream is out of step: close it.
    """

    __slots__ = ("_body", "_head", "_incarnation", "_limit", "_look_above", "_seen", "_waiting")

    def __init__(self, limit: int, incarnation: int) -> None:
        self._limit = limit
        self._incarnation = incarnation
        self._look_above = min(limit, _VIEW_BYTES)  # up to here a complete body needs no second look
        self._head = b""  # the beginning of a header
        self._waiting: Fields | None = None  # the header whose body is being collected in `_body`
        self._body = bytearray()
        self._seen: tuple[Fields | None, bytes, int] = (None, b"", 0)  # what was under way at the last look

    def feed(self, data: bytes) -> list[tuple[Fields, Body]]:
        """The frames that `data` completes, in order; raises `ProtocolError` on a header that cannot be one.

        Only frames that are large or incomplete are looked at: a stream out of step makes those sooner or later, and
        whoever acts on a frame checks it anyway.
        """
        frames: list[tuple[Fields, Body]] = []
        at = 0
        end = len(data)
        if self._waiting is not None:
            at = self._continue_body(data, frames)
        elif self._head:
            data = self._head + data
            end = len(data)
            self._head = b""
        last_header = end - _HEADER_BYTES
        while at <= last_header:
            fields: Fields = _unpack_from(data, at)
            length = fields[0]
            start = at + _HEADER_BYTES
            at = start + length
            if at > end or length > self._look_above:
                self._check(fields, frames)
                if at > end:
                    self._waiting = fields
                    self._body = bytearray(memoryview(data)[start:])
                    return frames
                frames.append((fields, memoryview(data)[start:at]))
            else:
                frames.append((fields, data[start:at]))
        if at < end:
            self._head = data[at:]
        return frames

    def is_between_frames(self) -> bool:
        """Whether everything fed so far was handed out."""
        return self._waiting is None and not self._head

    def stands_still(self) -> bool:
        """Whether a frame is under way of which nothing to speak of came since this was last asked."""
        waiting, head, size = now = self._waiting, self._head, len(self._body)
        before, self._seen = self._seen, now
        if waiting is None:
            return bool(head) and head is before[1]
        return waiting is before[0] and size - before[2] < _LEAST_GROWTH_BYTES

    def _check(self, fields: Fields, before: list[tuple[Fields, Body]]) -> None:
        length, incarnation = fields[0], fields[6]
        if length > self._limit:
            raise ProtocolError(f"a frame of {length} bytes is over the limit of {self._limit}", before)
        if incarnation != self._incarnation:
            raise ProtocolError(f"a frame came from incarnation {incarnation}", before)

    def _continue_body(self, data: bytes, frames: list[tuple[Fields, Body]]) -> int:
        """Add `data` to the body being collected; return where the next frame starts in it."""
        assert self._waiting is not None
        missing = self._waiting[0] - len(self._body)
        if len(data) < missing:
            self._body += data
            return len(data)
        self._body += memoryview(data)[:missing]
        frames.append((self._waiting, memoryview(self._body)))
        self._waiting = None
        self._body = bytearray()
        return missing
