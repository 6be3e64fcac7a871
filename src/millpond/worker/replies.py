"""Replies: turns what came of a call into the one frame that tells the parent.

Encodes and sends, decides nothing about the call. What cannot be sent raises `Unsendable`, and the runner sends that
instead. Used from any thread.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from millpond.logger.escaping import traceback_of
from millpond.seams import EXPORTS
from millpond.wire import segments
from millpond.wire.codec import CodecError, Encoded, refuse_all
from millpond.wire.descriptors import OF_ITS_PROCESS
from millpond.wire.exceptions import carry, describe, told_of
from millpond.wire.frames import FAULT, RAISED, SAVED, SEGMENTED, pack
from millpond.worker.documents import encode_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.errors import Outcome
    from millpond.wire.buffers import SlotWriter
    from millpond.wire.codec import Codec
    from millpond.wire.descriptors import Lease
    from millpond.wire.frames import Fields
    from millpond.wire.saved import Saved
    from millpond.worker.channel import FrameChannel

    Ahead = Saved | None

_JOIN_BYTES = 32 * 1024  # bodies up to here are copied behind their header
_UNFETCHED = 64  # results whose descriptors wait for the parent to fetch them
_OUR_FRAMES = os.path.dirname(__file__) + os.sep


class Unsendable(Exception):
    """A result that cannot reach the caller: `code` says why, the codec's error is the `__cause__`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Fault(NamedTuple):
    """A failure that is Millpond's to report; `error` is what it came from."""

    code: str
    message: str
    error: BaseException | None = None
    outcome: Outcome = "not_started"
    field: str = ""  # of a document: the path of what does not fit


@dataclass(slots=True, eq=False, repr=False)
class Replies:
    """Sends answers for one worker. Times are CLOCK_MONOTONIC seconds: start and end of the operation.

    What goes `ahead` of an answer, in the same write, is the state of its session, where durability asks for it.
    """

    _channel: FrameChannel
    _codec: Codec
    _incarnation: int
    _limit: int
    _writer: SlotWriter | None
    _threshold: int
    _leases: deque[Lease] = field(default_factory=partial(deque, maxlen=_UNFETCHED))
    _packing: threading.Lock = field(default_factory=threading.Lock)  # the arena has one writer: one thread at a time
    _encode: Callable[[Any], bytes | Encoded] = field(init=False)
    _quick: int = field(init=False)

    def __post_init__(self) -> None:
        self._encode = self._codec.encode
        self._quick = min(self._limit, _JOIN_BYTES)

    def value(self, kind: int, fields: Fields, started: float, ended: float, value: Any, ahead: Ahead = None) -> None:
        """Send a result (`OK`) or an item (`ITEM`), or raise `Unsendable`."""
        form = 0
        if fields[5]:
            body, form = self._document(value, fields[5])
        else:
            try:
                body = self._encode(value)
            except CodecError as error:
                raise Unsendable("result_not_serializable", str(error)) from error
        if len(body) > self._quick or type(body) is not bytes or ahead is not None:
            self._large(kind, fields, started, ended, body, ahead, form)
            return
        self._channel.send(self._header(len(body), kind, 0, fields, started, ended, form) + body)

    def _document(self, value: Any, form: int) -> tuple[bytes | Encoded, int]:
        """The value as the document that its caller asked for, and the number of its format."""
        body, form = document_of(value, form)
        return body if len(body) <= self._threshold else Encoded(b"", [body]), form

    def raised(
        self, fields: Fields, started: float, ended: float, error: BaseException, flags: int = 0, ahead: Ahead = None
    ) -> None:
        """Send the handler's exception; what describes it is bounded, and never fails."""
        body = describe(without_our_frames(error), self._codec.name)
        self.send(RAISED, fields, started, ended, body, flags, ahead)

    def fault(
        self, fields: Fields, started: float, ended: float, fault: Fault, flags: int = 0, ahead: Ahead = None
    ) -> None:
        """Send a failure of the pool's own."""
        code, message, error, outcome, field_path = fault
        text: dict[str, Any] = {"code": code, "outcome": outcome, "message": message, "field": field_path}
        if error is not None:
            text |= told_of(error)
            if code == "result_not_serializable" and error.__cause__ is not None:
                text |= carry(error.__cause__, self._codec.name)
        self.send(FAULT, fields, started, ended, msgspec.msgpack.encode(text), flags, ahead)

    def send(
        self,
        kind: int,
        fields: Fields,
        started: float = 0.0,
        ended: float = 0.0,
        body: bytes = b"",
        flags: int = 0,
        ahead: Ahead = None,
    ) -> None:
        """Send an answer whose body is encoded already, or that has none."""
        header = self._header(len(body), kind, flags, fields, started, ended)
        self._channel.send_parts([*self._ahead(fields, ahead), header, body])

    def _ahead(self, fields: Fields, saved: Ahead) -> list[bytes]:
        if saved is None:
            return []
        lease, flags, body = saved
        return [self._header(len(body), SAVED, flags, fields, float(lease), 0.0), body]

    def _large(
        self,
        kind: int,
        fields: Fields,
        started: float,
        ended: float,
        body: bytes | Encoded,
        ahead: Ahead,
        form: int = 0,
    ) -> None:
        nbytes = len(body)
        if nbytes > self._limit:
            raise Unsendable("payload_too_large", f"the result is {nbytes} bytes large, max_payload is {self._limit}")
        if type(body) is bytes:
            header = self._header(nbytes, kind, 0, fields, started, ended, form)
            self._channel.send_parts([*self._ahead(fields, ahead), header, body])
            return
        assert isinstance(body, Encoded)
        if body.lease is not None:
            if fields[4] in EXPORTS:
                raise Unsendable("result_not_serializable", f"the session's state {OF_ITS_PROCESS}")
            self._leases.append(body.lease)
        # Only the arena has to be left to one thread. Frames may go out in another order than their slots were filled
        # in: a slot is the frame's that names it.
        with self._packing:
            parts = segments.pack(body, self._writer, self._threshold)
        header = self._header(sum(map(len, parts)), kind, SEGMENTED, fields, started, ended, form)
        self._channel.send_parts([*self._ahead(fields, ahead), header, *parts])

    def _header(
        self, nbytes: int, kind: int, flags: int, fields: Fields, started: float, ended: float, form: int = 0
    ) -> bytes:
        return pack(
            nbytes, kind, flags, fields[3], fields[4], form, self._incarnation, fields[7], fields[8], started, ended
        )


def document_of(value: Any, form: int) -> tuple[bytes, int]:
    """The value as a document and the number of its format, or `Unsendable`."""
    try:
        return encode_document(value, form)
    except BaseException as error:
        try:
            refuse_all("this value cannot be written into a document", error)
        except CodecError as refused:
            raise Unsendable("result_not_serializable", str(refused)) from refused


def without_our_frames(error: BaseException) -> BaseException:
    """The exception with a traceback that begins in the handler's code."""
    trace = traceback_of(error)
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OUR_FRAMES):
        trace = trace.tb_next
    # Not by assignment: the class may have a __setattr__ of its own.
    return BaseException.with_traceback(error, trace)
