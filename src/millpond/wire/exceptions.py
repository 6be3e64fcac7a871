"""A handler's exception on its way to the caller: the exception itself where that is safe, else what can be said of it.

The worker describes, the parent restores. Exceptions of classes that the parent has already loaded are made, with plain
data and without running their code, and under codecs other than pickle not even that. Only `as_raised`, for an
executor, which trusts its workers as the standard pool does, unpickles.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from millpond.errors import BadArgument, HandlerError, Interrupted, OutOfMemory, PoolError
from millpond.wire import sharing
from millpond.wire.codec import CodecError
from millpond.wire.frames import ProtocolError
from millpond.wire.imports import needs_import
from millpond.wire.plain import decode_exception, encode_exception
from millpond.wire.wording import error_text, is_from_signal, traceback_text, type_name

# With text and traceback less than the room a frame has beyond `max_payload`.
CARRIED_LIMIT = 512 * 1024

# They would claim to be the pool's own.
_NEVER_CARRIED = (PoolError, Interrupted)
# As a future's exception these mean something else to Python.
_NEVER_THEMSELVES = (StopIteration, StopAsyncIteration)


class RemoteTraceback(Exception):
    """The cause of an exception that was raised in a worker: its text is the worker's traceback.

    For `as_raised` it keeps what was raised, where that is not the exception it is the cause of, or its pickle.
    """

    def __init__(self, text: str, raised: BaseException | None = None, pickled: bytes | None = None) -> None:
        super().__init__(text)
        self.tb = text  # as the standard pool names it
        self._raised = raised
        self._pickled = pickled

    def __str__(self) -> str:
        return f'\n"""\n{self.tb}"""'

    def __reduce__(self) -> tuple[type[RemoteTraceback], tuple[str]]:
        return RemoteTraceback, (self.tb,)

    def raised(self) -> BaseException | None:
        """What it keeps; unpickles."""
        return _unpickled(self._pickled) or self._raised


class Carried(msgspec.Struct):
    """The exception as `plain` takes it apart, and its pickle where that says more."""

    carried: bytes | None = None
    pickled: bytes | None = None


class _Description(Carried, kw_only=True):
    type: str
    text: str
    traceback: str


# Whatever the exception's own `__setattr__` and `__getattribute__` do.
_set_cause, _cause_of = BaseException.__dict__["__cause__"].__set__, BaseException.__dict__["__cause__"].__get__
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Description).decode


def told_of(error: BaseException) -> dict[str, Any]:
    """What can be said of an exception. Never fails."""
    return {"type": type_name(type(error)), "text": error_text(error), "traceback": traceback_text(error)}


def describe(error: BaseException, codec_name: str) -> bytes:
    """The body of a RAISED frame. Never fails, whatever the exception's own methods do."""
    return _encode(told_of(error) | carry(error, codec_name))


def restore(body: bytes | memoryview, codec_name: str) -> BaseException:
    """The exception to raise at the caller, with the worker's traceback as its cause.

    Raises `ProtocolError` if `body` is no description.
    """
    try:
        description = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as reason:
        raise ProtocolError("the description of an exception cannot be read") from reason
    raised, kept = restored(description, codec_name), None
    if raised is None or not issubclass(type(raised), Exception) or issubclass(type(raised), _NEVER_THEMSELVES):
        raised, kept = _as_handler_error(description), raised
    pickled = description.pickled if codec_name == "pickle" else None
    _set_cause(raised, RemoteTraceback(description.traceback, kept, pickled))
    return raised


def carry(error: BaseException, codec_name: str) -> dict[str, bytes | None]:
    """The exception as it may travel: as data, if a trial puts it together again, as what it was and fit to be printed.

    Where the data is less than the exception, its pickle goes along. One that exits when it is tried, or whose pickle
    calls something else, does not travel. Never fails.
    """
    if codec_name != "pickle" or issubclass(type(error), _NEVER_CARRIED):  # not `isinstance`, which runs `__class__`
        return {"carried": None}
    try:
        if not _is_made_by_itself(error):
            return {"carried": None}
        carried, is_whole = _as_data(error)
        return {"carried": carried, "pickled": None if is_whole else _as_pickle(error, len(carried or b""))}
    except BaseException:
        return {"carried": None}


def restored(came: Carried, codec_name: str) -> BaseException | None:
    """The exception, or `None` if the data asks for anything but loaded exception classes and plain data."""
    if codec_name != "pickle" or not came.carried or len(came.carried) > CARRIED_LIMIT:
        return None
    try:
        error = decode_exception(came.carried)
    except Exception:
        return None
    return None if issubclass(type(error), _NEVER_CARRIED) else error


def as_raised(error: BaseException) -> BaseException:
    """What the standard pool would give for it: what the function, or the pickler, raised.

    Other errors of the pool are what they are.
    """
    kind, cause = type(error), _cause_of(error)
    if isinstance(cause, RemoteTraceback):
        raised, text = cause.raised(), cause.tb
    elif issubclass(kind, BadArgument | OutOfMemory) and cause is not None:  # before anything left
        raised, text = cause.__cause__ if isinstance(cause, CodecError) else cause, traceback_text(cause)
    else:
        return error
    if raised is None:
        return error
    _set_cause(raised, RemoteTraceback(text))
    return raised


def _as_handler_error(description: _Description) -> HandlerError:
    return HandlerError(
        f"the handler raised {description.type}: {description.text}",
        type_name=description.type,
        text=description.text,
        traceback=description.traceback,
    )


def _as_data(error: BaseException) -> tuple[bytes | None, bool]:
    """The data, and whether it is all there is to say."""
    try:
        data, classes, is_whole = encode_exception(error, CARRIED_LIMIT)
        twin = decode_exception(data, classes)
    except Exception:
        return None, False
    # One that never could be printed may be so again.
    if any(_is_printed(error, text_of) and not _is_printed(twin, text_of) for text_of in (repr, str)):
        return None, False
    return data, is_whole


def _is_printed(error: BaseException, text_of: Callable[[object], str]) -> bool:
    try:
        text_of(error)
    except Exception:
        return False
    return True


def _as_pickle(error: BaseException, sent: int) -> bytes | None:
    try:
        pickled = sharing.dumps(error)  # no descriptor travels as its number
    except Exception:
        return None
    return pickled if len(pickled) + sent <= CARRIED_LIMIT else None


def _is_made_by_itself(error: BaseException) -> bool:
    """Whether what its pickle calls is its class, or of the same package: a trial calls it too."""
    kind = type(error)
    try:
        maker: Any = error.__reduce_ex__(5)[0]
    except Exception:
        return True  # nothing is called
    while type(maker) is partial:
        maker = maker.func
    home = str(maker.__module__).partition(".")[0]
    return maker is kind or getattr(maker, "__self__", None) is kind or home == kind.__module__.partition(".")[0]


def _unpickled(pickled: bytes | None) -> BaseException | None:
    """The exception, or `None` where that fails or would import a module. Its code may raise anything."""
    if not pickled or needs_import(pickled):
        return None
    try:
        error = pickle.loads(pickled)
    except KeyboardInterrupt as interrupt:
        if is_from_signal(interrupt):
            raise
        return None
    except BaseException:
        return None
    is_raisable = issubclass(type(error), BaseException) and not issubclass(type(error), _NEVER_CARRIED)
    return error if is_raisable else None
