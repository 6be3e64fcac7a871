"""A request that asks for a call: its headers, its body, and the options it sets.

Names of headers of Millpond's own are in `OPTIONS`; a value that no call can have is a problem that names the header.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from millpond.http.problems import Problem

if TYPE_CHECKING:
    from millpond.http.access.caller import Caller
    from millpond.pool import Pool

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

SESSION = b"millpond-session"
GENERATION = b"millpond-session-generation"
IDEMPOTENCY_KEY = b"idempotency-key"
_IDS = rb"(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"  # those of zeros alone are not valid
_TRACEPARENT = re.compile(rb"00-%b|(?!00|ff)[0-9a-f]{2}-%b(?:-[!-~]*)?" % (_IDS, _IDS))
_TRACESTATE = re.compile(rb"[ -~]{1,512}")
_DECIMAL = re.compile(rb"-?[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,3})?")
_WANTED = frozenset(
    {
        b"content-type",
        b"content-encoding",
        b"content-length",
        b"accept",
        SESSION,
        GENERATION,
        IDEMPOTENCY_KEY,
        b"millpond-deadline",
        b"millpond-priority",
        b"millpond-idempotent",
        b"millpond-on-cancel",
        b"traceparent",
        b"tracestate",
    }
)


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The headers that calls go by. One that comes twice, and differs, raises `Problem` 400."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _WANTED and found.setdefault(name, value) != value:
            if name not in (b"accept", b"tracestate"):
                raise Problem(400, "bad_header", f"The header {name.decode()} comes twice.")
            found[name] += b"," + value  # lists, which may come in parts
    return found


async def body_of(receive: Receive, headers: dict[bytes, bytes], most_bytes: int) -> bytes:
    """The whole body. Raises `Problem` 413 for one that is larger, before it is read where that is declared."""
    declared = headers.get(b"content-length")
    if declared is not None and len(declared) < 20 and declared.isdigit() and int(declared) > most_bytes:
        raise too_large(most_bytes)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientLeft
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > most_bytes:
            raise too_large(most_bytes)
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most_bytes:
            raise too_large(most_bytes)
    return b"".join(parts)


def refuse_headers(headers: dict[bytes, bytes], *names: bytes) -> None:
    """Raise `Problem` 400 if one of these is there, which mean nothing for this kind of request."""
    for name in names:
        if name in headers:
            raise _bad(name, "not for this request")


def too_large(most_bytes: int) -> Problem:
    """The problem of a body that is too large."""
    return Problem(413, "payload_too_large", f"A body has at most {most_bytes} bytes.", outcome="not_started")


def options_of(headers: dict[bytes, bytes]) -> dict[str, Any]:
    """The options of a call that headers set, but for its session. Raises `Problem` 400."""
    return {name: read(headers[header], header) for header, (name, read) in OPTIONS.items() if header in headers}


def session_of(headers: dict[bytes, bytes], caller: Caller) -> str | None:
    """The id, in the pool, of the session that a header names."""
    given = headers.get(SESSION)
    if given is None:
        return None
    try:
        return owned(given.decode("utf-8"), caller.owner)
    except UnicodeDecodeError:
        raise _bad(SESSION, "text in UTF-8") from None


def owned(session_id: str, owner: str) -> str:
    """A session's id as the pool knows it: each owner has ids of its own."""
    return prefix_of(owner) + session_id


def check_session(pool: Pool, session_id: str) -> None:
    """Raise `Problem` 404 if no session of that id is open or lost: it may be another owner's, which is not told.

    Raises `PoolClosed` where there can be none.
    """
    pool.check_open()
    if pool.driver.view.session(session_id) is None:
        raise Problem(404, "session_lost", "No session of that name is open.", outcome="not_started")


def shown(session_id: str, owner: str) -> str:
    """A session's id as its owner knows it."""
    return session_id.removeprefix(prefix_of(owner))


def prefix_of(owner: str) -> str:
    """What stands before the ids of an owner's sessions in the pool; nothing before the program's own."""
    if not owner:
        return ""
    # An owner that a program names may have a colon: session `b:c` of `a` is not session `c` of `a:b`.
    return f"{owner.replace('%', '%25').replace(':', '%3A')}:"


def trace_of(headers: dict[bytes, bytes]) -> str:
    """The caller's W3C trace context, as calls take it; what is malformed is no context."""
    parent = headers.get(b"traceparent")
    if parent is None or _TRACEPARENT.fullmatch(parent) is None:
        return ""
    state = headers.get(b"tracestate", b"").strip()
    text = parent.decode("ascii")
    return f"{text}\n{state.decode('ascii')}" if _TRACESTATE.fullmatch(state) else text


def _seconds(value: bytes, header: bytes) -> float | None:
    if value == b"inf":
        return None
    if _DECIMAL.fullmatch(value) is None:
        raise _bad(header, "seconds from now, such as 2.5")
    seconds = float(value)
    if not 0 <= seconds <= 1e8:
        raise _bad(header, "0 to 100000000 seconds, or inf for no deadline")
    return seconds


def _whole(value: bytes, header: bytes) -> int:
    if re.fullmatch(rb"-?[0-9]{1,10}", value) is None or abs(int(value)) > 2**31:
        raise _bad(header, "a whole number")
    return int(value)


def _yes_or_no(value: bytes, header: bytes) -> bool:
    if value.lower() not in (b"true", b"false"):
        raise _bad(header, "true or false")
    return value.lower() == b"true"


def _on_cancel(value: bytes, header: bytes) -> str:
    if value not in (b"interrupt", b"abandon"):
        raise _bad(header, "interrupt or abandon")
    return value.decode()


def _bad(header: bytes, expected: str) -> Problem:
    name = "-".join(part.capitalize() for part in header.decode().split("-"))
    return Problem(400, "bad_header", f"{name} is {expected}.", header=name, outcome="not_started")


OPTIONS: dict[bytes, tuple[str, Callable[[bytes, bytes], Any]]] = {
    b"millpond-deadline": ("deadline", _seconds),
    b"millpond-priority": ("priority", _whole),
    b"millpond-idempotent": ("idempotent", _yes_or_no),
    b"millpond-on-cancel": ("on_cancel", _on_cancel),
}
