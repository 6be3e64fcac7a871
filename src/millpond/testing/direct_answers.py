"""What a fake worker's answers become: encoded and decoded by the codec like real ones, and told without a wire.

The calls are run by the worker's own code, which ends each of them here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from millpond.engine.bodies import document, fault_of
from millpond.errors import ResultNotSerializable
from millpond.seams import EXPORTS
from millpond.wire.codec import Codec, CodecError, Encoded
from millpond.wire.descriptors import OF_ITS_PROCESS
from millpond.wire.exceptions import restore
from millpond.wire.frames import EXPIRED, FAULT, INTERRUPTED, ITEM, OK, RAISED, SEGMENTED, SKIPPED
from millpond.wire.segments import Parts, joined
from millpond.worker.replies import Replies, Unsendable, document_of

if TYPE_CHECKING:
    from millpond.seams import AnswerKind
    from millpond.wire.frames import Fields
    from millpond.wire.pickling import Part
    from millpond.wire.saved import Saved
    from millpond.worker.channel import FrameChannel
    from millpond.worker.replies import Ahead

Tell = Callable[["Fields", "AnswerKind", Any, int, int], None]  # the last is the size of the value, in bytes
TellItem = Callable[["Fields", Any], None]
TellSaved = Callable[["Fields", "Saved"], None]
_WITHOUT_VALUE: dict[int, AnswerKind] = {INTERRUPTED: "interrupted", EXPIRED: "expired", SKIPPED: "skipped"}


class DirectAnswers(Replies):
    """Ends calls by calling back; the times a runner gives are the machine's and are ignored."""

    def __init__(self, codec: Codec, limit: int, tell: Tell, tell_item: TellItem, tell_saved: TellSaved) -> None:
        super().__init__(cast("FrameChannel", None), codec, 0, limit, None, 0)
        self._notify = tell
        self._tell_item = tell_item
        self._tell_saved = tell_saved

    def value(self, kind: int, fields: Fields, started: float, ended: float, value: Any, ahead: Ahead = None) -> None:
        """Tell a result or an item, or raise `Unsendable`."""
        body: bytes | Encoded
        form = 0
        if fields[5]:
            body, form = document_of(value, fields[5])
        else:
            try:
                body = self._encode(value)
            except CodecError as error:
                raise Unsendable("result_not_serializable", str(error)) from error
        if len(body) > self._limit:
            message = f"the result is {len(body)} bytes large, max_payload is {self._limit}"
            raise Unsendable("payload_too_large", message)
        if fields[4] in EXPORTS and isinstance(body, Encoded) and body.lease is not None:
            raise Unsendable("result_not_serializable", f"the session's state {OF_ITS_PROCESS}")
        self._say_ahead(fields, ahead)
        if fields[4] in EXPORTS:
            self._notify(fields, "ok", joined(body) if isinstance(body, Encoded) else body, 0, len(body))
            return
        try:
            arrived = document(form, body) if form else self._codec.decode(*parts_of(private(body)))
        except CodecError as error:
            failure = ResultNotSerializable(f"the result came, but {error}", outcome="completed")
            self._notify(fields, "failed", failure, 0, len(body))
            return
        if kind == ITEM:
            self._tell_item(fields, arrived)
        else:
            self._notify(fields, "ok", arrived, 0, len(body))

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
        """Tell a failure, an answer without a value, or a session's state that was never unpacked here."""
        self._say_ahead(fields, ahead)
        if kind == OK:
            self._notify(fields, "ok", Parts(body) if flags & SEGMENTED else body, 0, len(body))
        elif kind == RAISED:
            self._notify(fields, "failed", restore(body, self._codec.name), flags, 0)
        elif kind == FAULT:
            self._notify(fields, "failed", fault_of(body, self._codec.name), flags, 0)
        else:
            self._notify(fields, _WITHOUT_VALUE[kind], None, flags, 0)

    def _say_ahead(self, fields: Fields, ahead: Ahead) -> None:
        if ahead is not None:
            self._tell_saved(fields, ahead)


def private(payload: bytes | Encoded) -> bytes | Encoded:
    """A copy that shares nothing which anybody could still change."""
    if isinstance(payload, Encoded):
        return Encoded(payload.stream, list(payload.buffers), payload.lease).own()
    return payload


def parts_of(payload: bytes | Encoded) -> tuple[Part, Sequence[Part]]:
    """A payload's stream and buffers, as a codec decodes them."""
    return (payload.stream, payload.buffers) if isinstance(payload, Encoded) else (payload, ())
