"""Content types: in which format a request's document is, in which its answer shall be, and whether it is well formed.

Nothing here builds the values of a document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
_JSON: dict[bytes, Format] = {b"application/json": "json"}
_MOST_DIGITS = 4300  # of an integer: Python reads no longer one, since that takes time that grows with its square
_PIECE = 1024 * 1024
_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_TOO_MANY = b"0" * (_MOST_DIGITS + 1)
_DIGITS = re.compile(rb"[0-9]++")
_CHARSET = re.compile(rb";\s*charset\s*=\s*\"?([^\";\s]*)\"?", re.IGNORECASE)
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")

_skim_json = msgspec.json.Decoder(msgspec.Raw).decode
_skim_msgpack = msgspec.msgpack.Decoder(msgspec.Raw).decode


def format_of(headers: Mapping[bytes, bytes], body: bytes, kinds: Mapping[bytes, Format] = _KNOWN) -> Format:
    """The format of a request's body, one of `kinds`. Raises `Problem` 415, also if it is compressed or in no UTF-8."""
    content_type = headers.get(b"content-type", b"")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise _unsupported("A body is not compressed.", {"Accept-Encoding": "identity"})
    known = kinds.get(content_type)
    if known is not None:
        return known
    name = content_type.partition(b";")[0].strip().lower()
    if not name and not body:
        return "json"
    known = kinds.get(name)
    if known is None:
        types = b", ".join(kinds).decode()
        raise _unsupported(f"A body is one of {types}.", {"Accept": types})
    charset = _CHARSET.search(content_type)
    if known == "json" and charset is not None and charset[1].lower() not in (b"utf-8", b"utf8"):
        raise _unsupported("JSON is in UTF-8.", {})
    return known


def check_json(headers: Mapping[bytes, bytes], body: bytes) -> None:
    """Raise `Problem` 415 for the body of a request of the server's own that is no JSON."""
    format_of(headers, body, _JSON)


def _unsupported(detail: str, headers: dict[str, str]) -> Problem:
    return Problem(415, "unsupported_media_type", detail, headers=headers, outcome="not_started")


def answer_format(accept: bytes | None, given: Format) -> Format:
    """The format of the answer: the one that `Accept` likes best, by default that of the request. Raises 406."""
    if not accept or accept == b"*/*":
        return given
    known = _KNOWN.get(accept)
    if known is not None:
        return known
    offers = list(dict.fromkeys((CONTENT_TYPES[given].decode(), *MEDIA_TYPES)))
    return MEDIA_TYPES[liked(accept.decode("latin-1"), offers, "Answers")]


def liked(accept: str, offers: Sequence[str], what: str) -> str:
    """The media type that an `Accept` header likes best; among equals one it names, then the first. Raises 406."""
    ranges = accepted(accept)
    best, best_weight = "", (0.0, 0)
    for offer in offers:
        # The most specific range that fits an offer has its weight.
        fitting = [(_narrowness(media_range, offer), weight) for media_range, weight in ranges]
        narrowness, weight = max(fitting, default=(0, 0.0))
        if narrowness and weight > 0 and (weight, narrowness) > best_weight:
            best, best_weight = offer, (weight, narrowness)
    if not best:
        raise Problem(406, "not_acceptable", f"{what} are {', '.join(offers)}.", outcome="not_started")
    return best


def _narrowness(media_range: str, offer: str) -> int:
    """How closely a media range names what it fits; 0 if it does not fit."""
    return {offer: 3, f"{offer.partition('/')[0]}/*": 2, "*/*": 1}.get(media_range, 0)


def accepted(accept: str) -> list[tuple[str, float]]:
    """The media ranges of an `Accept` header with their weights, in their order; what is malformed has none."""
    found: list[tuple[str, float]] = []
    for part in accept.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for name, _, value in (parameter.partition("=") for parameter in parameters):
            if name.strip() == "q":
                weight = float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
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
                if len(body) > _MOST_DIGITS and _has_long_run(body) and has_long_integer(body):
                    raise malformed(f"an integer has more than {_MOST_DIGITS} digits")
        except RecursionError:
            raise malformed("it is nested too deeply") from None
        except (ValueError, OverflowError) as error:
            raise malformed(str(error)) from None
    return Document(body, format)


def _has_long_run(body: bytes) -> bool:
    """Whether there are that many digits in a row anywhere; in pieces, so that no large body is copied for it."""
    starts = range(0, len(body), _PIECE)
    return any(_TOO_MANY in body[start : start + _PIECE + _MOST_DIGITS].translate(_TO_ZEROS) for start in starts)


def has_long_integer(body: bytes) -> bool:
    """Whether well-formed JSON has an integer that Python would not read; in time that grows with its length."""
    digits, at, looked, is_text = body.translate(_TO_ZEROS), 0, 0, False
    while (at := digits.find(_TOO_MANY, at)) >= 0:
        # A quote that no backslash stands before begins or ends a text.
        between = body[looked:at].replace(b"\\\\", b"").replace(b'\\"', b"")
        is_text ^= between.count(b'"') % 2 == 1
        run = _DIGITS.match(body, at)
        assert run is not None
        looked = end = run.end()
        if not is_text and _is_whole(body[max(0, at - 2) : at], body[end : end + 1]):
            return True
        at = end
    return False


def _is_whole(before: bytes, after: bytes) -> bool:
    """Whether digits between these are an integer, neither part of a fraction nor of an exponent."""
    is_part = before[-1:] in (b".", b"e", b"E", b"+") or before in (b"e-", b"E-")
    return not is_part and after not in (b".", b"e", b"E")


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
