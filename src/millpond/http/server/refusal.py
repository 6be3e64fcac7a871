"""Refusals of the server's own, as bytes: for what never becomes a request, and for requests it cuts short.

They are problem+json as the application's are, name no part of what the client sent, and close the connection.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from millpond.http.problems import Problem


class Refusal(NamedTuple):
    """Why the server does not hand a request on."""

    status: HTTPStatus
    code: str
    detail: str
    retry_after_s: int | None = None

    def answer(self, date: bytes) -> bytes:
        """The whole response, with the line that says the date."""
        again = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        problem = Problem(self.status, self.code, self.detail, headers=again, outcome="not_started")
        body = problem.body()
        lines = [f"{name.lower()}: {value}\r\n".encode() for name, value in problem.all_headers().items()]
        lines.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        return b"".join((STATUS_LINE[self.status], date, *lines, body))


class Refused(Exception):
    """Raised in the parser's callbacks, which ends the parsing."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


BAD_REQUEST = HTTPStatus.BAD_REQUEST
MALFORMED = Refusal(BAD_REQUEST, "malformed_request", "This is no HTTP/1.1 request.")
BAD_TARGET = Refusal(BAD_REQUEST, "malformed_request", "The target of a request is a path, which begins with '/'.")
BAD_VERSION = Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "version_not_supported", "HTTP/1.1 and 1.0 are served.")
BAD_ENCODING = Refusal(
    HTTPStatus.NOT_IMPLEMENTED, "transfer_encoding", "The only transfer encoding is 'chunked', of HTTP/1.1."
)
TARGET_TOO_LONG = Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "target_too_long", "The target exceeds `limit_target`.")
HEADERS_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "headers_too_large",
    "The headers exceed `limit_header_bytes` or `limit_header_count`.",
)
BODY_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "payload_too_large", "The body exceeds the server's `limit_body`."
)
HEADERS_TOO_SLOW = Refusal(
    HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The headers were not complete within `timeout_headers`."
)
BODY_TOO_SLOW = Refusal(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The body came slower than `min_rate`.")
TOO_MANY_CONNECTIONS = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE, "too_many_connections", "The server has `limit_connections` connections.", 1
)
