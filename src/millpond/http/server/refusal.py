"""Refusals of the server's own, as bytes: for what never becomes a request, and for requests it cuts short.

They are problem+json as the application's are, name no part of what the client sent, and close the connection.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import NamedTuple


class Refusal(NamedTuple):
    """Why the server does not hand a request on."""

    status: HTTPStatus
    code: str
    detail: str
    retry_after_s: int | None = None

    def answer(self, date: bytes) -> bytes:
        """The whole response, with the line that says the date."""
        status = self.status
        body = json.dumps(
            {
                "type": "about:blank",
                "title": status.phrase,
                "status": int(status),
                "detail": self.detail,
                "code": self.code,
                "outcome": "not_started",
            }
        ).encode()
        again = b"" if self.retry_after_s is None else b"retry-after: %d\r\n" % self.retry_after_s
        return b"HTTP/1.1 %d %b\r\n%b%bcontent-type: application/problem+json\r\ncontent-length: %d\r\n%b\r\n%b" % (
            status,
            status.phrase.encode(),
            date,
            again,
            len(body),
            b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n",
            body,
        )


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
