"""Handlers for a worker's frames: each frame becomes one event of `EngineEvents`, with its value decoded.

A worker runs foreign code and is not trusted: a frame that no correct worker sends raises `ProtocolError`, and under
msgpack nothing it sent is unpickled. The bytes are read before (`inbox`), the core decides after.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any

from millpond.engine.bodies import Emitted, Hello, StartFailure, decoded, document, fault_of
from millpond.engine.decoder_thread import DecoderThread
from millpond.engine.image_set import OperationNumbers
from millpond.engine.link import FAILED, READY, STARTING, WARMING, Link, Reading
from millpond.errors import InternalError, ResultNotSerializable
from millpond.seams import AnswerKind, EngineEvents, HandlerFacts
from millpond.wire import frames, segments
from millpond.wire.codec import Codec, CodecError, Encoded, NotLoaded
from millpond.wire.emitted import check_name
from millpond.wire.exceptions import restore
from millpond.wire.frames import Body, Fields, ProtocolError
from millpond.wire.logbook import POSITIONS

_DECODING: Any = object()  # instead of a value: the decoder thread has it

_WITHOUT_VALUE: dict[int, AnswerKind] = {
    frames.INTERRUPTED: "interrupted",
    frames.EXPIRED: "expired",
    frames.SKIPPED: "skipped",
}


class FrameHandlers:
    """Decodes values and emits events; `facts` are a worker's report.

    `distrust` is given a link that broke the protocol in a frame that was handled later than it was read.
    """

    def __init__(
        self,
        codec: Codec,
        events: EngineEvents,
        numbers: OperationNumbers,
        distrust: Callable[[Link, ProtocolError], None],
    ) -> None:
        self.facts: HandlerFacts | None = None
        self._codec = codec
        self._events = events
        self._numbers = numbers
        self._distrust = distrust
        self._decoder = DecoderThread()
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

    def handle(self, link: Link, got: list[tuple[Fields, Body]]) -> None:
        """Handle every frame, in order; raises `ProtocolError` at the first that is wrong.

        One that cannot be handled for any other reason costs its own call; a true interrupt is raised after the others.
        """
        calls, free, worker, incarnation = link.calls, link.free, link.worker, link.id
        decode, answered = self._codec.decode_result, self._events.answered
        ok, positions, interrupt = frames.OK, POSITIONS, None
        try:
            for fields, body in got:
                try:
                    length, kind, flags, position, _, form, sender, call_id, _, began, ended = fields
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
                            value = decode(body) if not form else document(form, body)
                        except CodecError:
                            self._handle_uncommon(link, fields, body)
                            continue
                        # Free before the answer is delivered: the next call may be sent here because of it.
                        calls[position] = None
                        free.append(position)
                        answered(worker, call_id, "ok", value, began, ended, 0, monotonic(), length)
                    else:
                        self._handle_uncommon(link, fields, body)
                except ProtocolError:
                    raise
                except BaseException as error:
                    if not issubclass(type(error), Exception):
                        interrupt = error
                    self._undelivered(link, fields, error)
        finally:
            self._events.batch_end()
        if interrupt is not None:
            raise interrupt

    def _undelivered(self, link: Link, fields: Fields, error: BaseException) -> None:
        """Handling a frame raised: the call that it was to answer ends all the same."""
        _, kind, flags, position, _, _, _, call_id, _, began, ended = fields
        self._events.undelivered(error)
        # It may have raised before its position was freed or after. A call that still has one has not reached the core,
        # and is ended here. One without was handed on already, and what the core did with it stands.
        is_answer = frames.OK <= kind <= frames.SKIPPED and position < POSITIONS
        if is_answer and link.calls[position] == call_id and call_id not in link.reading:
            link.unravel(call_id)
            link.settle(position)
            link.concurrent_exports.discard(call_id)
            failure = InternalError("the answer came, and could not be delivered", outcome="completed")
            self._events.answered(link.worker, call_id, "failed", failure, began, ended, flags, monotonic())

    def _handle_uncommon(self, link: Link, fields: Fields, body: Body) -> None:
        kind, sender = fields[1], fields[6]
        if sender != link.id:
            raise ProtocolError(f"a frame came from incarnation {sender}")
        if frames.OK <= kind <= frames.SKIPPED:
            self._answer(link, fields, body)
        elif kind in self._notices:
            self._notices[kind](link, fields, body)
        else:
            raise ProtocolError(f"a frame came of the unknown kind {kind}")

    def give_up(self, link: Link, call_id: int) -> bool:
        """A call whose answer is being decoded was given up: emit the answer without its value.

        Whether that was all there is to the call; what is being decoded may also be an item of a stream that goes on.
        """
        reading = link.reading.pop(call_id, None)
        if reading is None:
            return False
        is_answer = reading.fields[1] != frames.ITEM
        if is_answer:
            failure = ResultNotSerializable("the result came, and was given up while its module was imported")
            self._read(link, reading, ("failed", failure))
        else:
            self._go_on(link, reading)
        return is_answer

    def _answer(self, link: Link, fields: Fields, body: Body, verdict: tuple[AnswerKind, Any] | None = None) -> None:
        _, kind, flags, position, _, _, _, call_id, _, began, ended = fields
        held = link.calls[position] if position < POSITIONS else None
        if held is None or abs(held) != call_id:
            self._drop_stray(link, flags, body)
            return
        # The decoder thread has an item of this stream: what came after it waits, so that items and end keep their
        # order. Frames of other calls go ahead of it.
        if call_id in link.reading:
            link.reading[call_id].behind.append((fields, body))
            return
        if verdict is None:
            is_export = kind == frames.OK and call_id in link.exports
            verdict = self._exported(link, call_id, flags, body) if is_export else self._verdict(link, fields, body)
        outcome, value = verdict
        if value is _DECODING:
            return
        saved = None if link.is_plain else link.unravel(call_id)
        link.settle(position)
        if call_id in link.concurrent_exports:
            link.concurrent_exports.discard(call_id)
            if held < 0:
                return  # it was given up, and takes no slot that could be free now
        # The state goes to the core before its answer: an answer is acknowledged with the state that it left, or not at
        # all. A worker that dies between the two frames has given no answer, and its state is dropped with the link.
        if saved is not None and held > 0:
            self._events.saved(link.worker, call_id, *saved)
        # Nobody waits for the answer of a call that was taken back, but the core counts those that the worker has yet
        # to pass over. It finds one expired if the deadline passed before it got there. The event names no call then:
        # the same call may have been sent here again meanwhile, under another position.
        if held > 0 or outcome in ("skipped", "expired"):
            answered_id, nbytes = call_id if held > 0 else 0, link.answer_bytes
            self._events.answered(link.worker, answered_id, outcome, value, began, ended, flags, monotonic(), nbytes)

    def _verdict(self, link: Link, fields: Fields, body: Body) -> tuple[AnswerKind, Any]:
        kind = fields[1]
        if kind == frames.OK:
            try:
                return "ok", self._decode(link, fields, body)
            except CodecError as error:
                return "failed", _unreadable(error)
        if kind == frames.RAISED:
            return "failed", restore(body, self._codec.name)
        if kind == frames.FAULT:
            return "failed", fault_of(body, self._codec.name)
        return _WITHOUT_VALUE[kind], None

    def _exported(self, link: Link, call_id: int, flags: int, body: Body) -> tuple[AnswerKind, bytes]:
        """A session's state: never decoded here, it goes on to the next worker as it came. This one has it no more."""
        link.sessions.pop(link.exports[call_id], None)
        if flags & frames.SEGMENTED:
            return "ok", segments.joined(Encoded(*segments.unpack(body, link.replies)))
        return "ok", bytes(body)

    def _saved(self, link: Link, fields: Fields, body: Body) -> None:
        """A session's state comes ahead of an answer, and is emitted with it: without the answer it is dropped."""
        _, _, flags, position, _, _, _, call_id, _, lease, _ = fields
        held = link.calls[position] if position < POSITIONS else None
        if held is None or abs(held) != call_id:
            return
        link.saves[call_id] = (int(lease) if lease.is_integer() else 0, flags, bytes(body))
        link.is_plain = False

    def _decode(self, link: Link, fields: Fields, body: Body) -> Any:
        """The value, or `_DECODING`; what under msgpack cannot be decoded is no worker's honest answer."""
        is_segmented, form = fields[2] & frames.SEGMENTED, fields[5]
        stream, buffers = segments.unpack(body, link.replies) if is_segmented else (body, ())
        nbytes = link.answer_bytes = len(stream) + sum(map(len, buffers))
        if form:
            return document(form, b"".join((stream, *buffers)))
        try:
            return self._codec.decode_result(stream, buffers)
        except NotLoaded:
            decode = partial(self._codec.decode_result, stream, buffers, may_import=True)
            self._decode_on_thread(link, Reading(fields, nbytes), decode)
            return _DECODING
        except CodecError as error:
            if self._codec.name == "msgpack":
                raise ProtocolError(str(error)) from error
            raise

    def _decode_on_thread(self, link: Link, reading: Reading, decode: Callable[[], Any]) -> None:
        """Let a thread decode a value; what else comes of the same call waits for it."""

        def notify(value: Any, failure: CodecError | None) -> None:
            # The call may have been given up while the thread was at it, or the engine closed. Then nothing, or another
            # frame of the call, stands here, and the value is dropped.
            if link.reading.get(call_id) is reading and not link.is_gone:
                del link.reading[call_id]
                link.answer_bytes = reading.nbytes
                self._read(link, reading, ("ok", value) if failure is None else ("failed", failure))

        call_id = reading.fields[7]
        try:
            self._decoder.submit(decode, notify)
        except RuntimeError as error:
            raise CodecError(f"its module is not imported, and no thread could be had for that: {error}") from error
        link.reading[call_id] = reading
        link.is_plain = False

    def _read(self, link: Link, reading: Reading, verdict: tuple[AnswerKind, Any]) -> None:
        """A value was decoded: emit it, and handle what came behind it."""
        fields, (outcome, value) = reading.fields, verdict
        link.look_plain()
        if fields[1] == frames.ITEM:
            self._emit_item(link, fields, value, value if outcome == "failed" else None)
        else:
            verdict = (outcome, _unreadable(value)) if isinstance(value, CodecError) else verdict
            self._answer(link, fields, b"", verdict)
        self._go_on(link, reading)

    def _go_on(self, link: Link, reading: Reading) -> None:
        link.look_plain()
        try:
            self.handle(link, reading.behind)
        except ProtocolError as error:
            self._distrust(link, error)
        if not link.reading and link.when_read is not None:
            link.when_read()

    def _drop_stray(self, link: Link, flags: int, body: Body) -> None:
        self._events.answered(link.worker, 0, "ok", None, 0.0, 0.0, 0, monotonic())  # counted in the core
        if flags & frames.SEGMENTED:
            segments.release(body, link.replies)

    def _item(self, link: Link, fields: Fields, body: Body) -> None:
        flags, position, call_id = fields[2], fields[3], fields[7]
        if position >= POSITIONS or link.calls[position] != call_id:
            self._drop_stray(link, flags, body)
            return
        if call_id in link.reading:
            link.reading[call_id].behind.append((fields, body))
            return
        try:
            value = self._decode(link, fields, body)
        except CodecError as error:
            self._emit_item(link, fields, None, error)
            return
        if value is not _DECODING:
            self._emit_item(link, fields, value, None)

    def _emit_item(self, link: Link, fields: Fields, value: Any, error: CodecError | None) -> None:
        position, call_id, began, ended = fields[3], fields[7], fields[9], fields[10]
        if error is None:
            self._events.item(link.worker, call_id, value)
            return
        # The stream ends here for its caller; the worker is asked to end it too, and its last answer is dropped.
        link.calls[position] = -call_id
        link.write(frames.CANCEL, call_id, position=position)
        failure = ResultNotSerializable(f"an item came, but {error}", outcome="unknown")
        self._events.answered(link.worker, call_id, "failed", failure, began, ended, 0, monotonic())

    def _pong(self, link: Link, fields: Fields, body: Body) -> None:
        held = int(fields[9]) if fields[9].is_integer() else 0
        # What is being decoded was answered, and the core still waits for it: it counts as held, or a worker whose
        # result takes long to decode would be taken for one that lost a call.
        self._events.ponged(link.worker, held + len(link.reading))

    def _log(self, link: Link, fields: Fields, body: Body) -> None:
        level, logger, message, call_id = decoded(body, tuple[int, str, str, int])
        self._events.logged(link.worker, call_id, level, logger, message)

    def _event(self, link: Link, fields: Fields, body: Body) -> None:
        event = decoded(body, Emitted)
        try:
            check_name(event.name)
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        self._events.emitted(link.worker, fields[7], event.name, event.measurements, event.metadata, event.suppressed)

    def _warming(self, link: Link, fields: Fields, body: Body) -> None:
        pid = decoded(body, Hello).pid
        _advance(link, WARMING, after=(STARTING,))
        # This comes by the worker's own socket and may overtake the warden's report of the pid, which is preferred.
        self._events.warming(link.worker, link.pid or pid)

    def _ready(self, link: Link, fields: Fields, body: Body) -> None:
        pid = decoded(body, Hello).pid
        facts = decoded(body, HandlerFacts)
        link.renumbered = self._numbers.translation(facts)
        if self.facts is None:
            self.facts = self._numbers.lasting(facts)
        _advance(link, READY, after=(WARMING,))
        self._events.ready(link.worker, link.pid or pid)

    def _start_failed(self, link: Link, fields: Fields, body: Body) -> None:
        failure = decoded(body, StartFailure)
        _advance(link, FAILED, after=(STARTING, WARMING))
        message = f"{failure.type}: {failure.text}\n\n{failure.traceback.rstrip()}"
        self._events.start_failed(link.worker, message, failure.brief)


def _unreadable(error: CodecError) -> ResultNotSerializable:
    return ResultNotSerializable(f"the result came, but {error}", outcome="completed")


def _advance(link: Link, stage: str, after: tuple[str, ...]) -> None:
    """A worker reports each of these once, and in order."""
    if link.stage not in after:
        raise ProtocolError(f"a worker that is {link.stage} reported that it is {stage}")
    link.stage = stage
