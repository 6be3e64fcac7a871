"""A handler's exception on its way to the caller: the exception itself where that is safe, else what can be said of it.

The worker describes, the parent restores. Nothing but an exception class that the parent has already loaded is ever
called, with plain data, and under codecs other than pickle not even that: nothing here unpickles.
"""

from __future__ import annotations

import msgspec

from millpond.errors import HandlerError, PoolError
from millpond.logger.escaping import told_of
from millpond.wire.frames import ProtocolError
from millpond.wire.plain import freeze_exception, thaw_exception
from millpond.wire.wording import error_text, is_from_signal, traceback_text, type_name

# With text and traceback less than the room a frame has beyond `max_payload`.
CARRIED_LIMIT = 512 * 1024

# As a future's exception the first two mean something else to Python, and a PoolError would claim to be the pool's own.
_NEVER_THEMSELVES = (StopIteration, StopAsyncIteration, PoolError)


class RemoteTraceback(Exception):
    """The cause of an exception that was raised in a worker: its text is the worker's traceback."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.tb = text  # as the standard pool names it

    def __str__(self) -> str:
        return f'\n"""\n{self.tb}"""'


class _Description(msgspec.Struct):
    type: str
    text: str
    traceback: str
    carried: bytes | None = None  # the exception as `plain` takes it apart


_set_cause = BaseException.__dict__["__cause__"].__set__
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Description).decode


def describe(error: BaseException, codec_name: str) -> bytes:
    """The body of a RAISED frame. Never fails, whatever the exception's own methods do."""
    carried = _carried(error) if codec_name == "pickle" else None
    return _encode(_Description(type_name(type(error)), error_text(error), traceback_text(error), carried))


def describe_start(error: BaseException) -> bytes:
    """The body of a START_FAILED frame; `brief` is what may be logged of it. Never fails."""
    told = {"type": type_name(type(error)), "text": error_text(error), "traceback": traceback_text(error)}
    return _encode(told | {"brief": told_of(error)})


def restore(body: bytes | memoryview, codec_name: str) -> BaseException:
    """The exception to raise at the caller, with the worker's traceback as its cause.

    Raises `ProtocolError` if `body` is no description.
    """
    try:
        description = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as reason:
        raise ProtocolError("the description of an exception cannot be read") from reason
    carried = _restored(description.carried) if codec_name == "pickle" else None
    error = _as_handler_error(description) if carried is None else carried
    _set_cause(error, RemoteTraceback(description.traceback))  # whatever the exception's own `__setattr__` does
    return error


def _as_handler_error(description: _Description) -> HandlerError:
    return HandlerError(
        f"the handler raised {description.type}: {description.text}",
        type_name=description.type,
        text=description.text,
        traceback=description.traceback,
    )


def _carried(error: BaseException) -> bytes | None:
    """The exception taken apart, if a trial puts it together again, as what it was and fit to be printed."""
    kind = type(error)  # not `isinstance`, which would run its `__class__`
    if not issubclass(kind, Exception) or issubclass(kind, _NEVER_THEMSELVES):
        return None
    try:
        data, classes = freeze_exception(error)
        twin = thaw_exception(data, classes)
        repr(twin), str(twin)
    except BaseException:
        return None
    return data if type(twin) is kind and len(data) <= CARRIED_LIMIT else None


def _restored(carried: bytes | None) -> Exception | None:
    """The exception, or `None` if the data asks for anything but loaded exception classes and plain data."""
    if not carried or len(carried) > CARRIED_LIMIT:
        return None
    try:
        error = thaw_exception(carried)
        return None if isinstance(error, _NEVER_THEMSELVES) else error  # which may run its `__class__`
    except KeyboardInterrupt as interrupt:
        if is_from_signal(interrupt):
            raise
        return None
    except BaseException:
        return None
