"""What a server's answer says went wrong, as the error that the pool itself would raise.

A problem (RFC 9457) with a known code becomes that code's class with all that it says. Other answers come from the
server's access rules, from a proxy, or from a server that is none of Millpond's: their status decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from millpond.errors import (
    CLASSES,
    AccessDenied,
    BadArgument,
    InternalError,
    Outcome,
    PayloadTooLarge,
    PoolError,
    Unreachable,
)

PROBLEM = b"application/problem+json"
LONGEST_TEXT = 500  # characters of an answer that is no problem
_OUTCOMES = ("not_started", "unknown", "completed")
_decode = msgspec.json.Decoder(dict[str, Any]).decode

# Statuses of answers with a code that is none of the pool's, or without: the error, and its outcome.
_BY_STATUS: dict[int, tuple[type[PoolError], Outcome]] = {
    401: (AccessDenied, "not_started"),
    403: (AccessDenied, "not_started"),
    404: (Unreachable, "not_started"),  # no such route: another server, or another prefix
    405: (Unreachable, "not_started"),
    408: (Unreachable, "not_started"),  # the request came too slowly
    413: (PayloadTooLarge, "not_started"),
    421: (AccessDenied, "not_started"),
    429: (AccessDenied, "not_started"),
    502: (Unreachable, "unknown"),  # a proxy's
    503: (Unreachable, "unknown"),
    504: (Unreachable, "unknown"),
}


_NOT_THERE = ("unknown_pool", "unknown_verb", "not_found", "method_not_allowed")  # what a server of Millpond has not


class StillRunning(Unreachable):
    """An earlier attempt of a repeated call, whose connection broke, has not ended yet."""


def error_of(status: int, headers: Mapping[bytes, bytes], body: bytes) -> PoolError:
    """The error of an answer that is no success."""
    problem = _problem(headers, body)
    text = str(problem.get("detail") or problem.get("title") or "") or _text_of(status, headers, body)
    kind = CLASSES.get(str(problem.get("code")))
    error = _by_status(status, str(problem.get("code")), text) if kind is None else kind(text)
    for name, before in vars(error).items():
        if name in problem and _fits(problem[name], before):
            setattr(error, name, problem[name])
    if error.outcome not in _OUTCOMES:
        error.outcome = "unknown"
    if not isinstance(error.retry_after, int | float):
        error.retry_after = _seconds(headers.get(b"retry-after", b""))
    return error


def error_of_problem(problem: Mapping[str, Any]) -> PoolError:
    """The error of a problem that came inside an answer: in a stream's frame, say."""
    status = problem.get("status")
    body = msgspec.json.encode(problem)
    return error_of(status if isinstance(status, int) else 500, {b"content-type": PROBLEM}, body)


def _fits(value: object, before: object) -> bool:
    """Whether an error may say this, which says that without it; what it does not say may be a number or a text."""
    kinds = (str,) if isinstance(before, str) else (int, float) if before is not None else (str, int, float, type(None))
    return isinstance(value, kinds) and not isinstance(value, bool)


def _problem(headers: Mapping[bytes, bytes], body: bytes) -> dict[str, Any]:
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != PROBLEM:
        return {}
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _by_status(status: int, code: str, text: str) -> PoolError:
    if code in _NOT_THERE:
        return BadArgument(text)
    if code == "idempotency_running":
        return StillRunning("an earlier attempt of the call, whose connection broke, still runs")
    if status in _BY_STATUS:
        kind, outcome = _BY_STATUS[status]
        return kind(text, outcome=outcome)
    if 300 <= status < 500:
        return BadArgument(text) if status >= 400 else Unreachable(text, outcome="not_started")
    return InternalError(text)


def _text_of(status: int, headers: Mapping[bytes, bytes], body: bytes) -> str:
    """What an answer says that is no problem; a page for a browser says nothing."""
    said = f"the server answered {status}"
    if 300 <= status < 400:
        return f"{said}, to go elsewhere, which a client does not"
    kind = headers.get(b"content-type", b"")
    text = body[:LONGEST_TEXT].decode("utf-8", "replace").strip() if kind.startswith(b"text/plain") else ""
    return f"{said}: {text}" if text else f"{said}; is it a server of Millpond, and the pool's name right?"


def _seconds(value: bytes) -> float | None:
    try:
        seconds = float(value)
    except ValueError:  # a date, which a clock that differs would misread
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
