"""Values that are encoded already, as a gateway receives and forwards them: the pool carries them and never looks in.

A worker decodes the arguments by the operation's type hints and encodes what it returns. Part of the vocabulary: the
numbers stand in frames.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Format = Literal["json", "msgpack", "bytes"]

FORMATS: tuple[str, Format, Format, Format] = ("", "json", "msgpack", "bytes")  # by number; 0: no document
JSON, MSGPACK, BYTES = 1, 2, 3
ANSWER = 2  # bits by which the number of the answer's format is shifted in that of a call


class Document(NamedTuple):
    """An encoded value: of an operation's arguments, or its result.

    Arguments are a map of them by name, a list of them by position, or a map by name whose key `"*"` holds the list of
    those by position; an empty body is no arguments. In the format `bytes` the body is the first argument itself.
    """

    body: bytes
    format: Format = "json"


def check_document(document: Any, answer: Any) -> tuple[bytes, int]:
    """The body and the number of both formats. Raises `TypeError` or `ValueError` for what is no document."""
    if not isinstance(document, Document):
        raise TypeError(f"a document is a millpond.Document, not {document!r}")
    body, given = document
    if type(body) is not bytes:
        raise TypeError(f"a document's body is bytes, not {type(body).__name__}")
    return body, number_of(given) | number_of(answer) << ANSWER


def number_of(format: Any) -> int:
    """A format's number. Raises `ValueError` for one that is not known."""
    number = _NUMBERS.get(format)
    if number is None:
        raise ValueError(f"a document's format is one of {', '.join(FORMATS[1:])}, not {format!r}")
    return number


_NUMBERS = {name: number for number, name in enumerate(FORMATS) if number}
