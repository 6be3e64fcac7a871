"""Codecs: how values become bytes. `pickle` for a program and its own children, `msgpack` for data only.

Large buffers leave the stream un-copied and travel beside it (`Encoded`); `segments` then decides how. A codec never
looks at frames. Both are thread-safe.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import msgspec

from millpond.errors import Interrupted
from millpond.wire import sharing
from millpond.wire.descriptors import Lease
from millpond.wire.importable import is_importable
from millpond.wire.imports import CALLS_A_NAME, needs_import
from millpond.wire.pickling import Part, PartsPickler, gather, parts_pickler
from millpond.wire.sharing import table as plain_table
from millpond.wire.wording import error_text, is_from_signal, type_name

if TYPE_CHECKING:
    from millpond.wire.definitions import Definitions

# A pickler's memo keeps the size it grew to, and clearing it costs that much each time: after a longer stream than
# this (bytes; at most half as many entries) making a new pickler, 1 us, is cheaper.
_REUSE_UP_TO = 512
_NO_BUFFERS: list[Part] = []

# Values of exactly these types, and short text and bytes, are the same after msgpack as after pickle, in a third of the
# time. A stream's first byte tells which it is: msgpack begins an empty map so, and no such value is a map.
_ATOMS = frozenset({int, float, bool, type(None)})
_SHORT = 1024  # characters or bytes
_NO_MSGPACK = (OverflowError, UnicodeEncodeError)  # an integer of more than 64 bits, a lone surrogate
_PICKLED = 0x80

Refuse = Callable[[str, BaseException], NoReturn]  # raises what a value's methods raised, as a codec says it


class CodecError(Exception):
    """A value that cannot be encoded, or bytes that cannot be decoded; the reason is the `__cause__`."""


class NotLoaded(CodecError):
    """A value that can be decoded, but not without importing a module first."""


class Encoded:
    """A value in parts: the stream, and the buffers it refers to in order.

    A buffer that is `bytes` arrives as `bytes`; any other arrives as a writable `bytearray`. Stream and buffers are
    views of the caller's objects until `own` is called. `lease` holds the descriptors that the stream refers to.
    """

    __slots__ = ("buffers", "lease", "nbytes", "stream")

    def __init__(self, stream: Part, buffers: list[Part], lease: Lease | None = None) -> None:
        self.stream = stream
        self.buffers = buffers
        self.lease = lease
        self.nbytes = len(stream) + sum(map(len, buffers))

    def __len__(self) -> int:
        return self.nbytes

    def __repr__(self) -> str:
        return f"<Encoded {self.nbytes} bytes with {len(self.buffers)} buffers>"

    def own(self) -> Encoded:
        """Copy what the caller could still change, so that the value stays as it is now; returns itself."""
        self.buffers = [part if type(part) is bytes else bytearray(part) for part in self.buffers]
        self.stream = bytes(self.stream)
        return self


class MsgpackCodec:
    """Data only: numbers, text, bytes, lists, mappings, dates, dataclasses. Never pickles, never unpickles.

    What arrives is plain: tuples and sets as lists, dataclasses as dictionaries. Nesting is bounded by Python's
    recursion limit. Its methods are described at `PickleCodec`.
    """

    name = "msgpack"

    def __init__(self, threshold: int = 64 * 1024) -> None:
        self._threshold = threshold
        self._pack = msgspec.msgpack.Encoder().encode
        self._unpack = msgspec.msgpack.Decoder().decode

    def encode(self, value: Any) -> bytes | Encoded:
        """See `PickleCodec`; `CodecError` for what is no data."""
        return self._encode(value, refuse_all)

    def encode_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | Encoded:
        """See `PickleCodec`."""
        return self._encode((args, kwargs), refuse)

    def _encode(self, value: Any, refuse: Refuse) -> bytes | Encoded:
        try:
            stream = self._pack(value)
        except BaseException as error:
            refuse("msgpack cannot carry this value", error)
        return stream if len(stream) <= self._threshold else Encoded(stream, [])

    def decode_arguments(self, stream: Part, buffers: Sequence[Part] = ()) -> tuple[Sequence[Any], dict[str, Any]]:
        """See `PickleCodec`."""
        args, kwargs = self.decode(stream, buffers)
        return args, kwargs

    def decode(self, stream: Part, buffers: Sequence[Part] = (), may_import: bool = False) -> Any:
        """The value of a stream, which has no buffers; `CodecError` if it is no msgpack. Imports nothing."""
        if buffers:
            raise CodecError("a msgpack payload came with buffers")
        try:
            return self._unpack(stream)
        except BaseException as error:
            refuse("these bytes are no msgpack", error)

    decode_result = decode  # which runs nobody's code


class PickleCodec:
    """Pickle protocol 5, with cloudpickle for what cannot be imported by name. For peers that trust each other.

    Buffers above the threshold (arrays, and `bytes` and `bytearray` above 64 KiB) leave the stream un-copied; they
    arrive private, and writable unless they were `bytes` or read-only, and become part of the value without another
    copy. What a codec raises is a `CodecError`, whatever the value's own methods do. Only `encode_arguments` and what
    the worker decodes let `KeyboardInterrupt` and `Interrupted` pass, meant for who called.
    """

    name = "pickle"

    def __init__(self, threshold: int = 64 * 1024, definitions: Definitions | None = None) -> None:
        self._threshold = threshold
        self._definitions = definitions
        self._encode_plain = msgspec.msgpack.Encoder().encode
        self._decode_plain = msgspec.msgpack.Decoder().decode
        self._decode_plain_arguments = msgspec.msgpack.Decoder(list).decode
        # Idle picklers. A list's pop and append are atomic, so that two threads, or a `__reduce__` that encodes
        # something itself, never share one.
        self._idle: list[PartsPickler] = []
        self._table: sharing.Table | None = None  # what they dispatch by

    def encode_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | Encoded:
        """What a call is given, for `decode_arguments`."""
        if not kwargs:
            for value in args:
                kind = type(value)
                if kind not in _ATOMS and ((kind is not str and kind is not bytes) or len(value) > _SHORT):
                    break
            else:
                try:
                    stream: bytes = self._encode_plain(args)
                    if len(stream) <= self._threshold:
                        return stream
                except _NO_MSGPACK:
                    pass
        return self._encode((args, kwargs), refuse)

    def encode(self, value: Any) -> bytes | Encoded:
        """The value as bytes, or in parts if it is larger than the threshold; `CodecError` if nothing carries it."""
        kind = type(value)
        if kind in _ATOMS or ((kind is str or kind is bytes) and len(value) <= _SHORT):
            try:
                stream: bytes = self._encode_plain(value)
                if len(stream) <= self._threshold:
                    return stream
            except _NO_MSGPACK:
                pass
        return self._encode(value, refuse_all)

    def _encode(self, value: Any, refuse: Refuse) -> bytes | Encoded:
        table = plain_table()
        if table is not self._table:
            self._idle = []  # first: who finds the table in its place takes no pickler with another
            self._table = table
        idle = self._idle
        try:
            made = idle.pop()
        except IndexError:
            made = parts_pickler(pickle.Pickler, self._threshold, table)
        dump, clear_memo, parts = made
        try:
            dump(value)
        except _UNPICKLABLE:
            return self._encode_by_value(value, refuse)
        except BaseException as error:
            if type(error) is RuntimeError and sharing.classes():
                return self._encode_by_value(value, refuse)
            refuse("this value cannot be pickled", error)
        stream, buffers = (parts.pop(), _NO_BUFFERS) if len(parts) == 1 else gather(parts, self._threshold)
        if len(stream) <= _REUSE_UP_TO:
            clear_memo()
            idle.append(made)
        if not is_importable(stream):
            return self._encode_by_value(value, refuse)
        return Encoded(stream, buffers) if buffers or len(stream) > self._threshold else stream

    def decode(self, stream: Part, buffers: Sequence[Part] = ()) -> Any:
        """The value of a stream and its buffers. Runs whatever the stream asks for."""
        try:
            return pickle.loads(stream, buffers=buffers) if stream[0] == _PICKLED else self._decode_plain(stream)
        except BaseException as error:
            refuse("this value cannot be unpickled", error)

    def decode_result(self, stream: Part, buffers: Sequence[Part] = (), may_import: bool = False) -> Any:
        """The value that a worker sent; `NotLoaded` where that would import a module, unless it `may_import`.

        Whatever the value's own code raises is a `CodecError`: it is nobody's interrupt here.
        """
        try:
            if stream[0] != _PICKLED:
                return self._decode_plain(stream)
            if (type(stream) is bytes and CALLS_A_NAME not in stream) or may_import or not needs_import(stream):
                return pickle.loads(stream, buffers=buffers) if buffers else pickle.loads(stream)
        except BaseException as error:
            refuse_all("this value cannot be unpickled", error)
        raise NotLoaded("a module has to be imported first")

    def decode_arguments(self, stream: Part, buffers: Sequence[Part] = ()) -> tuple[Sequence[Any], dict[str, Any]]:
        """Positional and keyword arguments; the caller may change the dictionary."""
        try:
            if stream[0] != _PICKLED:
                return self._decode_plain_arguments(stream), {}
            args, kwargs = pickle.loads(stream, buffers=buffers) if buffers else pickle.loads(stream)
        except BaseException as error:
            refuse("these arguments cannot be unpickled", error)
        return args, kwargs

    def _encode_by_value(self, value: Any, refuse: Refuse) -> bytes | Encoded:
        """Classes and functions that the other end cannot import travel by value, what is shared by its handle."""
        from millpond.wire.byvalue import ByValuePickler

        if self._definitions is not None:
            self._definitions.look()
        lease = Lease()
        dump, _, parts = parts_pickler(partial(ByValuePickler, lease=lease), self._threshold)
        try:
            dump(value)
        except BaseException as error:
            refuse("this value cannot be pickled", error)
        stream, buffers = gather(parts, self._threshold)
        if lease or buffers or len(stream) > self._threshold:
            return Encoded(stream, buffers, lease or None)
        return stream


Codec: TypeAlias = PickleCodec | MsgpackCodec


def make_codec(name: str, threshold: int, definitions: Definitions | None = None) -> Codec:
    """The codec of the setting `codec`; buffers above `threshold` bytes travel beside the stream.

    `definitions` take note of what the program's `__main__` defines when values of it are encoded.
    """
    return PickleCodec(threshold, definitions) if name == "pickle" else MsgpackCodec(threshold)


# What a pickler says of a value that cloudpickle may still carry.
_UNPICKLABLE = (pickle.PicklingError, AttributeError, TypeError)


def refuse(what: str, error: BaseException) -> NoReturn:
    """Turn whatever a value's methods raised, `SystemExit` too, into a `CodecError`; let true interrupts pass."""
    if isinstance(error, KeyboardInterrupt | Interrupted):
        raise error
    raise CodecError(f"{what}: {type_name(type(error))}: {error_text(error)}") from error


def refuse_all(what: str, error: BaseException) -> NoReturn:
    """As `refuse`, where nobody can mean an interrupt for who called: a worker's results, on both sides of the wire.
    What their code raises is none; only Ctrl-C passes.
    """
    if isinstance(error, KeyboardInterrupt) and is_from_signal(error):
        raise error
    raise CodecError(f"{what}: {type_name(type(error))}: {error_text(error)}") from error
