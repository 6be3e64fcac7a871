"""What is wrong with a request, or with the call it asked for, as RFC 9457 tells it: `application/problem+json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec

from millpond.errors import TABLE, HandlerError, PoolError
from millpond.http.headers import ANSWER

MEDIA_TYPE = "application/problem+json"
# What an error says beyond `PoolError`, as far as it is for whoever made the call. What a worker wrote is not: it may
# be of others' calls.
_MEMBERS = ("field", "signal", "exit_code", "type_name", "text", "wait_s", "service_s", "allowed_s")
_FOR_ADMINISTRATORS = ("stderr_tail", "traceback")


class Problem(Exception):
    """A request that is answered with an error: `status`, a `code` that programs go by, and `detail` for people."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        **members: Any,
    ) -> None:
        super().__init__(detail or code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.members = members

    def body(self) -> bytes:
        """The answer's body."""
        return msgspec.json.encode(self.content())

    def content(self) -> dict[str, Any]:
        """The members of the problem, as they stand in its body: texts, numbers, and `None`."""
        said = {
            "type": f"urn:millpond:{self.code}",
            "title": title_of(self.status),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.members,
        }
        return {name: _plain(value) for name, value in said.items()}

    def again(self, *, tells_all: bool, headers: Mapping[str, str]) -> Problem:
        """The same for another request, with `headers` added; less what is for administrators unless it tells all."""
        members = {name: self.members[name] for name in self.members if tells_all or name not in _FOR_ADMINISTRATORS}
        return Problem(self.status, self.code, self.detail, headers={**self.headers, **headers}, **members)

    def all_headers(self) -> dict[str, str]:
        """The answer's headers, but for the length of its body."""
        return {"Content-Type": MEDIA_TYPE, **ANSWER, **self.headers}


def title_of(status: int) -> str:
    """The words that go with a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Client Closed Request" if status == 499 else "Error"


def problem_of(error: Exception, *, tells_all: bool = False) -> Problem:
    """The problem that a failed call is: a `PoolError` by its row of the table of errors, else the handler's exception.

    `tells_all` adds what only administrators shall read: the worker's traceback and the end of what it wrote.
    """
    if isinstance(error, Problem):
        return error
    if not isinstance(error, PoolError) or error.code not in TABLE:
        error = as_handler_error(error)
    row, members = TABLE[error.code], _MEMBERS + _FOR_ADMINISTRATORS * tells_all
    said = {name: value for name in members if (value := getattr(error, name, None)) not in (None, "")}
    if error.retry_after is not None:
        said["retry_after"] = error.retry_after
    return Problem(
        row.http,
        error.code,
        str(error),
        headers=_retry_headers(row.http, error.retry_after),
        outcome=error.outcome,
        call_id=error.call_id,
        attempts=error.attempts,
        **said,
    )


def as_handler_error(error: Exception) -> HandlerError:
    """A handler's exception that reached the server as itself, as it is told to those it cannot reach so."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = str(error)
    except Exception:
        text = ""
    cause = error.__cause__
    traceback = "" if cause is None else str(getattr(cause, "tb", ""))
    return HandlerError(f"{name}: {text}", type_name=name, text=text, traceback=traceback)


def _plain(value: Any) -> Any:
    """The value as any encoder takes it: a handler may have made it, of whatever it liked."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if value is None or isinstance(value, int | float) else None


def _retry_headers(status: int, retry_after: float | None) -> dict[str, str]:
    """`Retry-After` in whole seconds, at least one: always with 429 and 503, so that nobody asks again at once."""
    if retry_after is None and status not in (429, 503):
        return {}
    is_known = isinstance(retry_after, int | float) and math.isfinite(retry_after)
    return {"Retry-After": str(max(1, math.ceil(retry_after) if is_known and retry_after is not None else 1))}
