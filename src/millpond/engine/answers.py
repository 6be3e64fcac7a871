"""What a worker's frames mean: each becomes one fact for whoever decides, with its value decoded.

A worker runs foreign code and is not believed: a frame that no correct worker sends raises `ProtocolError`, and under
msgpack nothing it sent is unpickled. Reading comes before (`inbox`), deciding after (`EngineEvents`).
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from millpond.engine.link import FAILED, READY, STARTING, WARMING, Link
from millpond.engine.numbering import Numbering
from millpond.errors import CLASSES, HandlerError, PoolError, ResultNotSerializable
from millpond.seams import AnswerKind, EngineEvents, HandlerFacts
from millpond.wire import frames, segments
from millpond.wire.codec import Codec, CodecError, Frozen
from millpond.wire.emitted import Number, Plain, check_name
from millpond.wire.exceptions import RemoteTraceback, restore
from millpond.wire.frames import Body, Fields, ProtocolError
from millpond.wire.logbook import POSITIONS

T = TypeVar("T")

_WITHOUT_VALUE: dict[int, AnswerKind] = {
    frames.INTERRUPTED: "interrupted",
    frames.EXPIRED: "expired",
    frames.SKIPPED: "skipped",
}


class _Emitted(msgspec.Struct, array_like=True):
    name: str
    measurements: dict[str, Number]
    metadata: dict[str, Plain]
    suppressed: int


class _Fault(msgspec.Struct):
    code: str
    outcome: str
    message: str
    type: str = ""
    text: str = ""
    traceback: str = ""


class _Hello(msgspec.Struct):
    pid: int


class _StartFailure(msgspec.Struct):
    type: str
    text: str
    traceback: str
    brief: str


class Answers:
    """Decodes and tells. `strays` counts answers nobody here was waiting for; `facts` are what a worker reported."""

    def __init__(self, codec: Codec, events: EngineEvents, numbering: Numbering) -> None:
        self.strays = 0
        self.facts: HandlerFacts | None = None
        self._codec = codec
        self._events = events
        self._numbering = numbering
        self._notices = {
            frames.ITEM: self._item,
            frames.SAVED: self._saved,
            frames.PONG: self._pong,
            frames.LOG: self._log,
            frames.EVENT: self._event,
            frames.WARMING: self._warming,
            frames.READY: self._ready,
            frames.START_FAILED: self._start_failed,
        }

    def tell(self, link: Link, got: list[tuple[Fields, Body]]) -> None:
        """Tell of every frame, in order; raises `ProtocolError` at the first that is wrong."""
        try:
            self._tell_each(link, got)
        finally:
            self._events.all_told()

    def _tell_each(self, link: Link, got: list[tuple[Fields, Body]]) -> None:
        calls, free, worker, incarnation = link.calls, link.free, link.worker, link.id
        thaw, answered = self._codec.thaw, self._events.answered
        ok, positions = frames.OK, POSITIONS
        for fields, body in got:
            length, kind, flags, position, _, _, sender, call_id, _, began, ended = fields
            # The way of nearly every frame; what is anything else or in any doubt goes the long way.
            if (
                kind == ok
                and not flags
                and sender == incarnation
                and position < positions
                and calls[position] == call_id
                and link.is_plain
            ):
                try:
                    value = thaw(body)
                except CodecError:
                    self._tell_other(link, fields, body)
                    continue
                calls[position] = None
                free.append(position)
                worker.answer_bytes = length
                answered(worker, call_id, "ok", value, began, ended, 0)
            else:
                self._tell_other(link, fields, body)

    def _tell_other(self, link: Link, fields: Fields, body: Body) -> None:
        kind, sender = fields[1], fields[6]
        if sender != link.id:
            raise ProtocolError(f"a frame came from incarnation {sender}")
        if frames.OK <= kind <= frames.SKIPPED:
            self._answer(link, fields, body)
        elif kind in self._notices:
            self._notices[kind](link, fields, body)
        else:
            raise ProtocolError(f"a frame came of the unknown kind {kind}")

    def _answer(self, link: Link, fields: Fields, body: Body) -> None:
        _, kind, flags, position, _, _, _, call_id, _, began, ended = fields
        held = link.calls[position] if position < POSITIONS else None
        if held is None or abs(held) != call_id:
            self._drop_stray(link, flags, body)
            return
        is_export, saved = link.unravel(call_id)
        if kind == frames.OK and is_export:
            told, value = self._exported(link, flags, body)
        else:
            told, value = self._verdict(link, kind, flags, body)
        link.settle(position)
        if call_id in link.asides:
            link.asides.discard(call_id)
            if held < 0:
                return  # it was given up, and takes no place that could be free now
        if saved is not None and held > 0:
            self._events.saved(link.worker, call_id, *saved)
        # Nobody waits for the answer of a call that was taken back, but that the worker passed over it is news. It
        # finds it late if the deadline passed before it got there.
        if held > 0 or told in ("skipped", "expired"):
            # It names no call: the same call may have been sent here again meanwhile, under another position.
            self._events.answered(link.worker, call_id if held > 0 else 0, told, value, began, ended, flags)

    def _verdict(self, link: Link, kind: int, flags: int, body: Body) -> tuple[AnswerKind, Any]:
        if kind == frames.OK:
            try:
                return "ok", self._thaw(link, flags, body)
            except CodecError as error:
                return "failed", ResultNotSerializable(f"the result came, but {error}", outcome="completed")
        if kind == frames.RAISED:
            return "failed", restore(body, self._codec.name)
        if kind == frames.FAULT:
            return "failed", _fault(body)
        return _WITHOUT_VALUE[kind], None

    def _exported(self, link: Link, flags: int, body: Body) -> tuple[AnswerKind, bytes]:
        """A session's state: never decoded here, it goes on to the next worker as it came."""
        if flags & frames.SEGMENTED:
            streams, buffers = segments.unpack(body, link.replies)
            return "ok", segments.joined(Frozen([bytes(stream) for stream in streams], buffers))
        return "ok", bytes(body)

    def _saved(self, link: Link, fields: Fields, body: Body) -> None:
        """A session's state comes ahead of an answer, and is told with it: without the answer it is nobody's."""
        _, _, flags, position, _, _, _, call_id, _, lease, _ = fields
        held = link.calls[position] if position < POSITIONS else None
        if held is None or abs(held) != call_id:
            self.strays += 1
            return
        link.saves[call_id] = (int(lease) if lease.is_integer() else 0, flags, bytes(body))
        link.is_plain = False

    def _thaw(self, link: Link, flags: int, body: Body) -> Any:
        """The value; what under msgpack cannot be decoded is no worker's honest answer."""
        try:
            if flags & frames.SEGMENTED:
                streams, buffers = segments.unpack(body, link.replies)
                link.worker.answer_bytes = sum(memoryview(one).nbytes for one in (*streams, *buffers))
                return self._codec.thaw_parts(streams, buffers)
            link.worker.answer_bytes = len(body)
            return self._codec.thaw(body)
        except CodecError as error:
            if self._codec.name == "msgpack":
                raise ProtocolError(str(error)) from error
            raise

    def _drop_stray(self, link: Link, flags: int, body: Body) -> None:
        self.strays += 1
        self._events.answered(link.worker, 0, "ok", None, 0.0, 0.0, 0)  # the answer of no call: counted there as well
        if flags & frames.SEGMENTED:
            segments.release(body, link.replies)

    def _item(self, link: Link, fields: Fields, body: Body) -> None:
        _, _, flags, position, _, _, _, call_id, _, began, ended = fields
        if position >= POSITIONS or link.calls[position] != call_id:
            self._drop_stray(link, flags, body)
            return
        try:
            value = self._thaw(link, flags, body)
        except CodecError as error:
            # The stream ends here for its caller; the worker is told to end it too, and its last word is dropped.
            link.calls[position] = -call_id
            link.write(frames.CANCEL, call_id, position=position)
            failure = ResultNotSerializable(f"an item came, but {error}", outcome="unknown")
            self._events.answered(link.worker, call_id, "failed", failure, began, ended, 0)
            return
        self._events.item(link.worker, call_id, value)

    def _pong(self, link: Link, fields: Fields, body: Body) -> None:
        self._events.ponged(link.worker, int(fields[9]) if fields[9].is_integer() else 0)

    def _log(self, link: Link, fields: Fields, body: Body) -> None:
        level, logger, message, call_id = _decoded(body, tuple[int, str, str, int])
        self._events.logged(link.worker, call_id, level, logger, message)

    def _event(self, link: Link, fields: Fields, body: Body) -> None:
        told = _decoded(body, _Emitted)
        try:
            check_name(told.name)
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        self._events.emitted(link.worker, fields[7], told.name, told.measurements, told.metadata, told.suppressed)

    def _warming(self, link: Link, fields: Fields, body: Body) -> None:
        pid = _decoded(body, _Hello).pid
        _advance(link, WARMING, after=(STARTING,))
        self._events.warming(link.worker, link.pid or pid)

    def _ready(self, link: Link, fields: Fields, body: Body) -> None:
        pid = _decoded(body, _Hello).pid
        facts = _decoded(body, HandlerFacts)
        link.renumbered = self._numbering.translation(facts)
        if self.facts is None:
            self.facts = self._numbering.lasting(facts)
        _advance(link, READY, after=(WARMING,))
        self._events.ready(link.worker, link.pid or pid)

    def _start_failed(self, link: Link, fields: Fields, body: Body) -> None:
        failure = _decoded(body, _StartFailure)
        _advance(link, FAILED, after=(STARTING, WARMING))
        message = f"{failure.type}: {failure.text}\n\n{failure.traceback.rstrip()}"
        self._events.start_failed(link.worker, message, failure.brief)


def _advance(link: Link, stage: str, after: tuple[str, ...]) -> None:
    """A worker says each of these once, and in order."""
    if link.stage not in after:
        raise ProtocolError(f"a worker that is {link.stage} said that it is {stage}")
    link.stage = stage


def decode_facts(body: bytes) -> HandlerFacts | None:
    """The facts as the warden reports them; it too runs foreign code. Empty: a worker will tell."""
    return _decoded(body, HandlerFacts) if body else None


def _decoded(body: Body, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the body of a frame cannot be read: {error}") from error


def _fault(body: Body) -> PoolError:
    """The failure that the worker found in its own doing, with its traceback as the cause."""
    fault = _decoded(body, _Fault)
    kind = CLASSES.get(fault.code)
    if kind is None or fault.outcome not in ("not_started", "unknown", "completed"):
        raise ProtocolError(f"a failure came with the unknown code {fault.code!r} or outcome {fault.outcome!r}")
    facts: dict[str, Any] = {"outcome": fault.outcome}
    if kind is HandlerError:
        facts |= {"type_name": fault.type, "text": fault.text, "traceback": fault.traceback}
    error = kind(fault.message, **facts)
    if fault.traceback:
        error.__cause__ = RemoteTraceback(fault.traceback)
    return error
