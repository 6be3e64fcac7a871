"""The bodies of a worker's frames that are not values: each decoded to what it should be, or a `ProtocolError`."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from millpond.documents import BYTES, FORMATS, Document
from millpond.errors import CLASSES, BadArgument, HandlerError, PoolError
from millpond.wire.codec import Encoded
from millpond.wire.emitted import Number, Plain
from millpond.wire.exceptions import Carried, RemoteTraceback, restored
from millpond.wire.frames import Body, ProtocolError

T = TypeVar("T")


class Emitted(msgspec.Struct, array_like=True):
    name: str
    measurements: dict[str, Number]
    metadata: dict[str, Plain]
    suppressed: int


class Fault(Carried, kw_only=True):
    code: str
    outcome: str
    message: str
    type: str = ""
    text: str = ""
    traceback: str = ""
    field: str = ""


class Hello(msgspec.Struct):
    pid: int


class StartFailure(msgspec.Struct):
    type: str
    text: str
    traceback: str
    brief: str


def document(form: int, body: Body | Encoded) -> Document:
    """An answer that goes on as it came; `form` is the number of its format."""
    if form > BYTES:
        raise ProtocolError(f"a document came in the unknown format {form}")
    whole = b"".join((body.stream, *body.buffers)) if isinstance(body, Encoded) else bytes(body)
    return Document(whole, FORMATS[form])  # type: ignore[arg-type]


def decoded(body: Body, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"the body of a frame cannot be read: {error}") from error


def fault_of(body: Body, codec_name: str) -> PoolError:
    """The failure that the worker found in its own doing, with its traceback as the cause."""
    fault = decoded(body, Fault)
    kind = CLASSES.get(fault.code)
    if kind is None or fault.outcome not in ("not_started", "unknown", "completed"):
        raise ProtocolError(f"a failure came with the unknown code {fault.code!r} or outcome {fault.outcome!r}")
    facts: dict[str, Any] = {"outcome": fault.outcome}
    if kind is HandlerError:
        facts |= {"type_name": fault.type, "text": fault.text, "traceback": fault.traceback}
    elif kind is BadArgument:
        facts |= {"field": fault.field or None}
    error = kind(fault.message, **facts)
    if fault.traceback:
        error.__cause__ = RemoteTraceback(fault.traceback, restored(fault, codec_name))
    return error
