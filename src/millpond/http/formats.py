"""Content types: in which format a request's document is, in which its answer shall be, and whether it is well formed.

Nothing here builds the values of a document.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from millpond.documents import Document, Format
from millpond.http.problems import Problem

MEDIA_TYPES: dict[str, Format] = {
    "application/json": "json",
    "application/msgpack": "msgpack",
    "application/x-msgpack": "msgpack",
    "application/vnd.msgpack": "msgpack",
    "application/octet-stream": "bytes",
}
CONTENT_TYPES: dict[Format, bytes] = {
    "json": b"application/json",
    "msgpack": b"application/msgpack",
    "bytes": b"application/octet-stream",
}
_KNOWN: dict[bytes, Format] = {name.encode(): format for name, format in MEDIA_TYPES.items()}
_MOST_DIGITS = 4300  # of an integer: Python reads no longer one, since that takes time that grows with its square
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % (_MOST_DIGITS + 1))

_skim_json = msgspec.json.Decoder(msgspec.Raw).decode
_skim_msgpack = msgspec.msgpack.Decoder(msgspec.Raw).decode


def format_of(content_type: bytes | None, body: bytes) -> Format:
    """The format of a request's body. Raises `Problem` 415."""
    known = _KNOWN.get(content_type or b"")
    if known is not None:
        return known
    name = (content_type or b"").partition(b";")[0].strip().lower()
    if not name and not body:
        return "json"
    known = _KNOWN.get(name)
    if known is None:
        raise Problem(
            415,
            "unsupported_media_type",
            f"A body is one of {', '.join(MEDIA_TYPES)}.",
            headers={"Accept": ", ".join(MEDIA_TYPES)},
        )
    return known


def answer_format(accept: bytes | None, given: Format) -> Format:
    """The format of the answer: the one that `Accept` likes best, by default that of the request. Raises 406."""
    if accept is None or accept == b"*/*":
        return given
    known = _KNOWN.get(accept)
    return known if known is not None else _liked(accept.decode("latin-1"), given)


def _liked(accept: str, given: Format) -> Format:
    best: tuple[float, Format] | None = None
    for media_range, weight in accepted(accept):
        for name, format in (("", given), *MEDIA_TYPES.items()):
            main, _, _ = (name or CONTENT_TYPES[given].decode()).partition("/")
            if weight > 0 and media_range in (name, f"{main}/*", "*/*") and (best is None or weight > best[0]):
                best = (weight, format)
    if best is None:
        raise Problem(406, "not_acceptable", f"Answers are {', '.join(MEDIA_TYPES)}.")
    return best[1]


def accepted(accept: str) -> list[tuple[str, float]]:
    """The media ranges of an `Accept` header with their weights, in their order; what is malformed is left out."""
    found: list[tuple[str, float]] = []
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for name, _, value in (parameter.partition("=") for parameter in parameters):
            if name.strip() == "q":
                try:
                    weight = min(1.0, max(0.0, float(value)))
                except ValueError:
                    weight = 0.0
        if media_range:
            found.append((media_range, weight))
    return found


def document(body: bytes, format: Format) -> Document:
    """The body as a document. Raises `Problem` 400 unless it is well formed: then no worker is given it."""
    if body and format != "bytes":
        try:
            if format == "msgpack":
                _skim_msgpack(body)
            else:
                _skim_json(body)
                if len(body) > _MOST_DIGITS and _LONG_NUMBER.search(body):
                    msgspec.json.decode(body)  # it may stand in a text
        except RecursionError:
            raise malformed("it is nested too deeply") from None
        except (ValueError, OverflowError) as error:
            raise malformed(str(error)) from None
    return Document(body, format)


def malformed(why: str) -> Problem:
    """The problem of a body that cannot be read."""
    return Problem(400, "malformed_body", f"The body cannot be read: {why}.", outcome="not_started")


def decoded(body: bytes, kind: Any) -> Any:
    """A body of this server's own kinds, as JSON, checked. Raises `Problem` 400 that names the field."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `")
        raise Problem(400, "bad_argument", text, field=path.rstrip("`") or "$", outcome="not_started") from None
    except RecursionError:
        raise malformed("it is nested too deeply") from None
    except (ValueError, OverflowError) as error:
        raise malformed(str(error)) from None
