"""The operations of pools in the document: each has paths of its own, for a call, a stream, and those in a session."""

from __future__ import annotations

from urllib.parse import quote

from millpond.http.batches import MOST_CALLS
from millpond.http.openapi.parts import (
    ANY_CALL,
    Part,
    call_problems,
    document_content,
    json_content,
    parameters,
    problems,
    tag_of,
)
from millpond.http.openapi.schemas import Schema, component, reference, takes_bytes
from millpond.http.streams import ENCODINGS
from millpond.seams import OperationFacts

# What the server takes in a path: see `routing.check_path`.
IN_A_PATH = r"^[^/\\.\x00-\x1F\x7F][^/\\\x00-\x1F\x7F]*$"
SESSION_ID: Part = {
    "name": "session",
    "in": "path",
    "required": True,
    "description": "The id of an open session. One with a slash or a dot in front goes into Millpond-Session.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": IN_A_PATH},
}


_ENCODED: dict[str, Part] = {  # of server-sent events: of each
    "text/event-stream": {
        "type": "object",
        "properties": {
            "event": {"enum": ["message", "end", "error"], "description": "`message`, which is not sent, is an item."},
            "data": {"type": "string", "description": "The item as JSON; of `error` the problem."},
        },
    },
    "application/x-ndjson": {
        "type": "string",
        "description": 'Lines: `{"item": ...}`; last `{"end": true}` or a problem.',
    },
    "application/vnd.millpond.stream": {
        "description": "Frames: a length (4 bytes), a kind (0 item, 1 end, 2 problem), msgpack."
    },
}


def pool_path(pool: str) -> str:
    """Where a pool's routes are."""
    return f"/v1/pools/{quote(pool, safe='')}"


def paths_of(pool: str, operation: OperationFacts, components: dict[str, Schema]) -> Part:
    """The paths of one operation."""
    verb = "stream" if is_stream(operation) else "call"
    base, name = pool_path(pool), quote(operation.name, safe="")
    made = _Item(pool, operation, components)
    found: Part = {}
    if not operation.session or operation.session_optional:
        found[f"{base}/{verb}/{name}"] = {"post": made.post(verb, in_session=False)}
    if operation.session or operation.session_optional:
        found[f"{base}/sessions/{{session}}/{verb}/{name}"] = {"post": made.post(verb, in_session=True)}
    return found


def is_stream(operation: OperationFacts) -> bool:
    """Whether it answers with a stream of items."""
    return operation.kind.endswith("stream")


class _Item:
    """Writes the entries of one operation."""

    def __init__(self, pool: str, operation: OperationFacts, components: dict[str, Schema]) -> None:
        self._pool = pool
        self._operation = operation
        self._arguments = components[component(pool, operation.name, "Arguments")]
        self._result = components[component(pool, operation.name, "Result")]

    def post(self, verb: str, *, in_session: bool) -> Part:
        operation = self._operation
        summary, _, more = operation.doc.strip().partition("\n")
        entry: Part = {
            "operationId": component(self._pool, verb, operation.name, *(["session"] if in_session else [])),
            "tags": [tag_of(self._pool)],
            "summary": summary or f"{operation.name}",
            "parameters": self._parameters(verb, in_session),
            "requestBody": self._body(),
            "responses": {"200": self._answer(), **call_problems()},
        }
        if more.strip():
            entry["description"] = more.strip()
        return entry

    def _parameters(self, verb: str, in_session: bool) -> list[Part]:
        keys = ("IdempotencyKey",) if verb == "call" else ()
        found = parameters(*ANY_CALL, *keys)
        if in_session:
            return [SESSION_ID, *found]
        return found + (parameters("Session") if self._operation.session else [])

    def _body(self) -> Part:
        operation, properties = self._operation, self._arguments.get("properties", {})
        first = properties.get(operation.positional[0], {}) if operation.positional else None
        schema = reference(self._pool, operation.name, "Body")
        return {
            "required": bool(operation.required or operation.required_keywords),
            "content": document_content(schema, is_bytes=first is not None and takes_bytes(first)),
        }

    def _answer(self) -> Part:
        result = reference(self._pool, self._operation.name, "Result")
        if is_stream(self._operation):
            return {
                "description": "The items, each as soon as it is there; then that it ended, or why.",
                "content": {one.media_type: {"schema": _ENCODED[one.media_type]} for one in ENCODINGS},
                "x-millpond-item": result,
            }
        replayed: Part = {
            "description": "`true` if this is the answer of an earlier request with the same Idempotency-Key.",
            "schema": {"const": "true"},
        }
        return {
            "description": "What the operation returned.",
            "headers": {"Idempotency-Replayed": replayed},
            "content": document_content(result, is_bytes=takes_bytes(self._result)),
        }


# What does not fit an operation is that call's own problem, and no reason to refuse the batch.
_CALL: Part = {
    "type": "object",
    "required": ["operation"],
    "additionalProperties": False,
    "properties": {
        "operation": {"type": "string"},
        "arguments": {"description": "As in the body of a call of the operation."},
        "session": {"type": ["string", "null"], "description": "The id of an open session."},
        "deadline": {"type": ["number", "null"], "minimum": 0, "maximum": 100_000_000, "description": "Seconds."},
        "priority": {"type": ["integer", "null"], "minimum": -(2**31), "maximum": 2**31},
        "idempotent": {"type": ["boolean", "null"]},
    },
}
_BATCH: Part = {
    "type": "object",
    "required": ["calls"],
    "additionalProperties": False,
    "properties": {"calls": {"type": "array", "maxItems": MOST_CALLS, "items": _CALL}},
}
_RESULT: Part = {
    "type": "object",
    "description": "One of the two.",
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {"result": {}, "problem": {"$ref": "#/components/schemas/Problem"}},
}
_RESULTS: Part = {
    "type": "object",
    "required": ["results"],
    "properties": {"results": {"type": "array", "items": _RESULT}},
}


def batch_path(pool: str) -> Part:
    """The path of a pool's batches."""
    entry: Part = {
        "operationId": component(pool, "batch"),
        "tags": [tag_of(pool)],
        "summary": "Run several calls, and answer each with its result or its problem, in their order.",
        "parameters": parameters(*ANY_CALL),
        "requestBody": {"required": True, "content": json_content(_BATCH)},
        "responses": {
            "200": {"description": "All are answered.", "content": json_content(_RESULTS)},
            **problems(413, 415, 499, 500),
        },
    }
    return {f"{pool_path(pool)}/batch": {"post": entry}}
