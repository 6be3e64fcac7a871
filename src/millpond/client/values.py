"""Values and msgpack: a call's arguments become a body, a body becomes its result. Data only; nothing is unpickled.

The same as with the pool's setting `codec="msgpack"`: tuples arrive as lists, dataclasses as dictionaries.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from millpond.errors import BadArgument, InternalError, OutOfMemory
from millpond.facts import SessionFacts, Statistics
from millpond.texts import text_of

TYPE = b"application/msgpack"
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode
_NO_ARGUMENTS = _pack({})


def encode_arguments(operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """A call's body. Raises `BadArgument` for what is no data."""
    if not kwargs:
        return encode_value(operation, args) if args else _NO_ARGUMENTS
    if "*" in kwargs:  # where those by position go
        raise BadArgument(f"{operation}() got an unexpected keyword argument '*'")
    return encode_value(operation, {"*": args, **kwargs} if args else kwargs)


def encode_value(operation: str, value: Any) -> bytes:
    """Bytes of a value that is sent for an operation. Raises as `encode_arguments`."""
    try:
        return _pack(value)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # whatever the value's own methods raise
        kind = OutOfMemory if isinstance(error, MemoryError) else BadArgument
        raise kind(
            f"the arguments of {operation!r} cannot be sent: msgpack cannot carry this value: {text_of(error)}"
        ) from error


def decode_result(content_type: bytes, body: bytes) -> Any:
    """What an operation returned. Raises `InternalError` if the answer is none of a pool's."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind == b"application/octet-stream":
        return body
    try:
        if kind == b"application/json":
            return msgspec.json.decode(body)
        if kind == TYPE:
            return _unpack(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise InternalError(f"the server's answer cannot be read: {text_of(error)}", outcome="completed") from error
    raise InternalError(f"the server answered {kind.decode('latin-1')!r}, which is no result", outcome="completed")


def decode_page(content_type: bytes, body: bytes) -> str:
    """A page of HTML. Raises `InternalError` if the answer is none."""
    if content_type.partition(b";")[0].strip().lower() != b"text/html":
        raise InternalError(f"the server answered {content_type.decode('latin-1')!r}, which is no page")
    return body.decode(errors="replace")


def decode_statistics(told: Any) -> Statistics:
    """The record that a server tells of its pool. Raises `InternalError` if it is none."""
    try:
        for kinds in told["percentiles"].values():
            for figures in kinds.values():
                figures |= {name: math.nan for name, value in figures.items() if value is None}  # no number in JSON
        return msgspec.convert(told, Statistics, str_keys=True)
    except (msgspec.ValidationError, LookupError, TypeError, AttributeError) as error:
        raise InternalError(f"the server's statistics cannot be read: {text_of(error)}") from error


def decode_sessions(told: Any) -> tuple[SessionFacts, ...]:
    """The records that a server tells of sessions. Raises as `decode_statistics`."""
    try:
        return msgspec.convert(told["sessions"], tuple[SessionFacts, ...])
    except (msgspec.ValidationError, LookupError, TypeError) as error:
        raise InternalError(f"the server's list of sessions cannot be read: {text_of(error)}") from error
