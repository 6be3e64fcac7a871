"""What operations of the document share: headers of requests, problems by status, and how requests show who asks."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from millpond.errors import TABLE
from millpond.http.formats import MEDIA_TYPES
from millpond.http.problems import MEDIA_TYPE, title_of

Part = dict[str, Any]

_OWN_CODES: dict[int, tuple[str, ...]] = {
    400: ("malformed_body", "bad_header", "bad_path", "bad_query"),
    401: ("unauthorized",),
    403: ("forbidden", "foreign_origin"),
    404: (
        "not_found",
        "unknown_pool",
        "unknown_session",
        "unknown_call",
        "unknown_worker",
        "bad_argument (no such operation)",
    ),
    405: ("method_not_allowed",),
    406: ("not_acceptable",),
    409: ("idempotency_running", "no_stack"),
    415: ("unsupported_media_type",),
    421: ("misdirected",),
    422: ("idempotency_mismatch",),
    429: ("too_many_attempts",),
    503: ("idempotency_full", "access_unavailable"),
}
REFUSALS = (400, 401, 403, 404, 405, 421, 429, 503)  # of whatever request
_CALLS = (406, 409, 410, 413, 415, 422, 499, 500, 502, 504)  # beside them, of a call


def _header(name: str, description: str, schema: Part) -> Part:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


PARAMETERS: dict[str, Part] = {
    "Deadline": _header(
        "Millpond-Deadline",
        "Seconds from now until which the answer is of use; `inf` for no deadline. What still runs then is stopped.",
        {"anyOf": [{"type": "number", "minimum": 0, "maximum": 100_000_000}, {"const": "inf"}]},
    ),
    "Priority": _header(
        "Millpond-Priority",
        "Calls of a higher priority are first in the queue.",
        {"type": "integer", "minimum": -(2**31), "maximum": 2**31},
    ),
    "Idempotent": _header(
        "Millpond-Idempotent",
        "Whether the call may be tried again after its worker died.",
        {"type": "string", "enum": ["true", "false"]},
    ),
    "OnCancel": _header(
        "Millpond-On-Cancel",
        "What becomes of the work when the client leaves.",
        {"type": "string", "enum": ["interrupt", "abandon"]},
    ),
    "Session": _header(
        "Millpond-Session",
        "The id of the open session that the call is for.",
        {"type": "string", "minLength": 1, "maxLength": 256},
    ),
    "IdempotencyKey": _header(
        "Idempotency-Key",
        "A request that is sent again with the same key gets the answer of the first, for ten minutes.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+( +[!-~]+)*$"},
    ),
    "TraceParent": _header("traceparent", "The W3C trace context that the call is part of.", {"type": "string"}),
    "TraceState": _header("tracestate", "What vendors add to the trace context.", {"type": "string"}),
}
ANY_CALL = ("Deadline", "Priority", "Idempotent", "OnCancel", "TraceParent", "TraceState")


def parameters(*names: str) -> list[Part]:
    """References to headers of requests."""
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


PROBLEM: Part = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request failed (RFC 9457). Programs go by `code`; other members belong to the code.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "description": "`urn:millpond:` and the code."},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "For people."},
        "code": {"type": "string"},
        "outcome": {
            "enum": ["not_started", "unknown", "completed"],
            "description": "Whether the work may have run: only `not_started` is always safe to send again.",
        },
        "call_id": {"type": ["integer", "string", "null"]},
        "attempts": {"type": "integer", "minimum": 0},
        "retry_after": {"type": "number", "description": "Seconds after which to try again."},
        "field": {"type": "string", "description": "The part of the body that does not fit, such as `$.texts[3]`."},
        "header": {"type": "string", "description": "The header that does not fit."},
        "type_name": {"type": "string", "description": "The class of what the handler raised."},
        "text": {"type": "string", "description": "What the handler's exception says."},
    },
}

_RETRY_AFTER: Part = {
    "description": "Whole seconds after which to try again.",
    "required": False,
    "schema": {"type": "integer", "minimum": 1},
}


def _response(status: int) -> Part:
    codes = [code for code, row in TABLE.items() if row.http == status] + list(_OWN_CODES.get(status, ()))
    said = f"{title_of(status)}: {', '.join(f'`{code}`' for code in codes)}" if codes else title_of(status)
    response: Part = {
        "description": said,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in (409, 429, 503):
        response["headers"] = {"Retry-After": _RETRY_AFTER}
    if status == HTTPStatus.UNAUTHORIZED:
        response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "`Bearer`."}}
    return response


RESPONSES: dict[str, Part] = {f"Problem{status}": _response(status) for status in sorted((*REFUSALS, *_CALLS))}


def problems(*more: int) -> Part:
    """The problems that a request may be answered with: those of every request, and more."""
    return {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted({*REFUSALS, *more})}


def call_problems() -> Part:
    """Those of a call."""
    return problems(*_CALLS)


def json_content(schema: Part) -> Part:
    """A body of JSON."""
    return {"application/json": {"schema": schema}}


def document_content(schema: Part, *, is_bytes: bool) -> Part:
    """A body in each of the formats in which documents travel."""
    content = json_content(schema)
    content["application/msgpack"] = {"schema": schema}
    if is_bytes:
        content["application/octet-stream"] = {}
    assert content.keys() <= MEDIA_TYPES.keys()
    return content


def tag_of(pool: str) -> str:
    """The tag of a pool's operations; `server` is that of all others."""
    return f"pool {pool}"


def security_schemes(cookie: str) -> Part:
    """How requests show who asks, on a server with tokens."""
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "A token: `mp_` and 43 characters."},
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "Set by `/login`. All but GET and HEAD then need this server's own Origin, and JSON.",
        },
    }
