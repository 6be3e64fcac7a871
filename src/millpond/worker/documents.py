"""Calls whose arguments and results are documents: decoded by the operation's type hints, encoded as asked for.

What the hints do not allow raises `ArgumentError`, which names the field, before the operation begins. The runner and
the replies ask it instead of the codec.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from millpond.documents import ANSWER, BYTES, JSON, MSGPACK
from millpond.worker.handler import bound_parameters
from millpond.worker.hints import Arguments, dec_hook, hints_of, own_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from millpond.worker.handler import BoundOperation

BY_POSITION = "*"  # the key of arguments by position beside those by name
_KEY = b'"*"', b"\xa1*"  # how it stands in a JSON and in a msgpack document
_NATIVE = (bytes, bytearray, memoryview)  # what msgpack carries beside JSON's types
_PATH = re.compile(r" - at `(?:key` in `)?(\$.*?)`$", re.DOTALL)
_GIVEN = re.compile(r"^Invalid enum value .*(?= - at `)", re.DOTALL)  # arguments are in no error
_NAMED = re.compile(r"(?:required|unknown) field `(.*)`", re.DOTALL)

Decoded = tuple[list[Any], dict[str, Any]]


class ArgumentError(ValueError):
    """Arguments that do not fit the operation; `field` is the path of the first that does not, from `$`."""

    def __init__(self, operation: str, message: str, field: str = "$") -> None:
        super().__init__(f"{operation}(): {message}")
        self.field = field


class Reader:
    """Decodes the arguments of one operation."""

    def __init__(self, operation: BoundOperation) -> None:
        self._name = operation.name
        found, hints = bound_parameters(operation.function), hints_of(operation.function)
        self._arguments = Arguments(found, hints, own_names(operation.function))
        kind = self._arguments.struct
        self._decoders: dict[int, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
            JSON: (msgspec.json.Decoder(kind, dec_hook=dec_hook).decode, msgspec.json.decode),
            MSGPACK: (msgspec.msgpack.Decoder(kind, dec_hook=dec_hook).decode, msgspec.msgpack.decode),
        }

    def read(self, body: Any, form: int) -> Decoded:
        """Positional and keyword arguments. Raises `ArgumentError`, and `MemoryError`."""
        try:
            if form == BYTES:
                return self._arguments.from_bytes(bytes(body))
            return self._read(body if len(body) else (b"{}", b"\x80")[form - 1], form)
        except msgspec.ValidationError as error:
            raise self._misfit(str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ArgumentError(self._name, f"the body cannot be read: {error}") from None
        except RecursionError:
            raise ArgumentError(self._name, "the body is nested too deeply") from None
        except ArgumentError:
            raise
        except (TypeError, ValueError, OverflowError) as error:
            raise ArgumentError(self._name, str(error)) from None

    def _read(self, body: Any, form: int) -> Decoded:
        typed, untyped = self._decoders[form]
        is_by_name = body[0] == 0x7B if form == JSON else body[0] >> 4 == 8 or body[0] in (0xDE, 0xDF)
        if is_by_name and not self._arguments.more_keywords and _KEY[form - 1] not in bytes(body):
            return self._arguments.split(typed(body))
        given = untyped(body)
        if isinstance(given, dict):
            by_position = given.pop(BY_POSITION, [])
        else:
            by_position, given = given, {}
        if not isinstance(by_position, list):
            raise ArgumentError(self._name, f"arguments are a map by name or a list, not {type(by_position).__name__}")
        return self._arguments.convert(by_position, given, _NATIVE if form == MSGPACK else ())

    def _misfit(self, text: str) -> ArgumentError:
        """The path of what does not fit; a field that is missing, or that nobody knows, is named by the text."""
        text = _GIVEN.sub("Invalid enum value", text)
        path = _PATH.search(text)
        field = path[1] if path is not None else "$"
        if named := _NAMED.search(text if path is None else text[: path.start()]):
            field = f"{field}.{named[1]}"
        return ArgumentError(self._name, text, field)


class Documents:
    """Reads the documents of one worker's calls."""

    def __init__(self) -> None:
        self._readers: dict[int, Reader] = {}

    def read(self, operation: BoundOperation, number: int, body: Any, form: int) -> Decoded:
        """Positional and keyword arguments of a call of the operation of this number."""
        reader = self._readers.get(number)
        if reader is None:
            reader = self._readers[number] = Reader(operation)
        return reader.read(body, form & BYTES)


def encode_document(value: Any, form: int) -> tuple[bytes, int]:
    """The value as the document that was asked for, and the number of its format: bytes are what is bytes already.

    Raises what cannot be encoded: `TypeError`, `ValueError` and whatever the value's own methods raise.
    """
    wanted = form >> ANSWER & BYTES
    if wanted == BYTES:
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value), BYTES
        wanted = JSON
    return _ENCODERS[wanted](value), wanted


def _plain(value: Any) -> Any:
    """What is no data of itself, as data: models of pydantic, results of DSPy, numbers and arrays of numpy."""
    for method in ("model_dump", "toDict", "tolist"):
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    raise TypeError(f"a {type(value).__qualname__} cannot be written into a document; return plain data")


_ENCODERS: dict[int, Callable[[Any], bytes]] = {
    JSON: msgspec.json.Encoder(enc_hook=_plain).encode,
    MSGPACK: msgspec.msgpack.Encoder(enc_hook=_plain).encode,
}
