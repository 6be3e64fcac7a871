"""What only the document knows of the routes that are no operations: answers, bodies, queries, statuses of problems.

The path, the roles and the words are each route's own.
"""

from __future__ import annotations

from typing import Any, get_args

from millpond.facts import SHOWN, SessionState
from millpond.http.openapi.parts import Part, json_content
from millpond.http.reports.answer import DEFAULT_S, LEAST_S, MOST_S, MOST_TIME
from millpond.http.routing import MOST_NUMBER
from millpond.http.steps import KNOWN
from millpond.http.watching import MOST_DECISIONS, MOST_SECONDS
from millpond.metrics.history import RESOLUTIONS

_TEXT: Part = {"text/plain": {"schema": {"type": "string"}}}
_PAGE: Part = {"text/html": {"schema": {"type": "string"}}}
_OBJECT = json_content({"type": "object"})
_EVENTS: Part = {"text/event-stream": {"schema": {"type": "object"}}}


def _query(name: str, description: str, schema: Part) -> Part:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _object(**properties: Part) -> Part:
    """A body of JSON: an object with these members, all of them required."""
    return json_content({"type": "object", "required": list(properties), "properties": properties})


_NO_CONTROL = r"^[^\x00-\x1F\x7F]*$"
_LIST: Part = {"type": "array", "items": {"type": "object"}}
_OWNER = _query("owner", "An administrator may name another owner of the session.", {"type": "string"})
SESSION: Part = {
    "type": "object",
    "required": ["id", "state", "generation"],
    "properties": {
        "id": {"type": "string"},
        "state": {"type": "string"},
        "generation": {"type": "integer", "minimum": 0, "description": "One higher each time it is opened anew."},
    },
}
OPENING: Part = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "id": {
            "type": ["string", "null"],
            "minLength": 1,
            "pattern": _NO_CONTROL,
            "description": "By default a random one.",
        },
        "reopen": {"type": "boolean", "default": False, "description": "Start a lost session anew."},
        "affinity": {"enum": ["strict", "fail_fast", "hint", None]},
        "on_restore": {"enum": ["raise", "continue", None]},
    },
}
_WHOLE: Part = {"type": "integer", "minimum": 0, "maximum": MOST_NUMBER}
_OF_SESSIONS: list[Any] = [
    _query("prefix", "Those whose id begins so.", {"type": "string"}),
    _query("state", "Those in this state.", {"type": "string", "enum": list(get_args(SessionState))}),
    _query("worker", "Those bound to the worker of this id.", _WHOLE),
    _query("limit", "At most so many, and 1000.", _WHOLE | {"minimum": 1, "default": 100}),
    _query("after", "Those numbered above this: where the next page begins.", _WHOLE | {"default": 0}),
]
_OF_CALLS: list[Any] = [
    _query("show", "Which of them.", {"type": "string", "enum": list(SHOWN), "default": "running"}),
    _query("operation", "Those of this operation.", {"type": "string"}),
    _query("worker", "Those of the worker of this id.", _WHOLE),
    _query("session", "Those of the session of this id, its owner's name before it.", {"type": "string"}),
    _query("code", "Those that ended with this error code.", {"type": "string"}),
    _query("limit", "At most so many, and 1000.", _WHOLE | {"minimum": 1, "default": 100}),
]
_CALL: Part = {
    "type": "object",
    "required": ["call_id", "operation", "state", "age_s"],
    "properties": {
        "call_id": {"type": "integer"},
        "operation": {"type": "string"},
        "state": {"enum": ["waiting", "running", "ended"]},
        "age_s": {"type": "number"},
    },
}
_OF_WORKER = _object(worker={"type": "integer"}, text={"type": "string"})
_OF_HISTORY: list[Any] = [
    _query("seconds", "How far back.", {"type": "number", "minimum": 0, "maximum": MOST_SECONDS, "default": 300}),
    _query(
        "resolution",
        "Seconds of each step; by default the finest there is.",
        {"type": "integer", "enum": list(RESOLUTIONS)},
    ),
    _query(
        "fields",
        "Names of figures, with commas between them; else those that are not 0.",
        {"type": "array", "items": {"enum": sorted(KNOWN)}},
    )
    | {"explode": False},
]
_OF_JOURNAL: list[Any] = [
    _query("limit", "At most so many.", {"type": "number", "minimum": 1, "maximum": MOST_DECISIONS, "default": 100}),
    _query(
        "since",
        "Those numbered above this, the first `limit` of them; else the last.",
        {"type": "number", "minimum": 0, "maximum": 2**53, "default": 0},
    ),
]
_OF_REPORT: list[Any] = [
    _query(
        "seconds",
        "How long the span is.",
        {"type": "number", "minimum": LEAST_S, "maximum": MOST_S, "default": DEFAULT_S},
    ),
    _query(
        "end", "When it ends, in Unix time; by default now.", {"type": "number", "minimum": 0, "maximum": MOST_TIME}
    ),
]
_OF_EVENTS: list[Any] = [
    _query("name", "Names of events, with commas between them.", {"type": "string"}),
    {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "description": "Go on after the event of this number.",
        "schema": {"type": "string"},
    },
]

# (method, path) -> what is answered (by status), the body, more statuses of problems, and parameters.
_POOL = "/v1/pools/{pool}"
SAID: dict[tuple[str, str], Part] = {
    ("GET", "/v1/pools"): {"answers": {"200": ("The pools.", _object(pools=_LIST))}},
    ("GET", f"{_POOL}/statistics"): {"answers": {"200": ("The figures.", _OBJECT)}},
    ("GET", f"{_POOL}/history"): {
        "answers": {"200": ("The figures, a list for each name.", _OBJECT)},
        "parameters": _OF_HISTORY,
    },
    ("GET", f"{_POOL}/journal"): {
        "answers": {"200": ("The decisions, or a text about them.", _object(decisions=_LIST) | _TEXT)},
        "parameters": _OF_JOURNAL,
    },
    ("GET", f"{_POOL}/alerts"): {"answers": {"200": ("Alerts.", _object(firing=_LIST, pending=_LIST, rules=_LIST))}},
    ("GET", f"{_POOL}/events"): {"answers": {"200": ("Events, as they happen.", _EVENTS)}, "parameters": _OF_EVENTS},
    ("GET", f"{_POOL}/sessions"): {
        "answers": {"200": ("The sessions.", _object(sessions=_LIST))},
        "parameters": _OF_SESSIONS,
    },
    ("GET", f"{_POOL}/calls"): {
        "answers": {
            "200": (
                "Calls, and how many there are.",
                _object(calls={"type": "array", "items": _CALL}, of={"type": "integer"}),
            )
        },
        "parameters": _OF_CALLS,
    },
    ("GET", f"{_POOL}/calls/{{call_id}}"): {"answers": {"200": ("The call.", json_content(_CALL))}},
    ("GET", f"{_POOL}/workers"): {
        "answers": {"200": ("The workers.", _object(workers=_LIST, gone=_LIST))},
    },
    ("GET", f"{_POOL}/workers/{{worker}}/logs"): {"answers": {"200": ("The kept end.", _OF_WORKER)}},
    ("GET", f"{_POOL}/workers/{{worker}}/stack"): {
        "answers": {"200": ("The stacks, as text.", _OF_WORKER)},
        "problems": (409,),
    },
    ("GET", f"{_POOL}/report"): {"answers": {"200": ("The file.", _PAGE)}, "parameters": _OF_REPORT},
    ("POST", f"{_POOL}/sessions"): {
        "answers": {"200": ("It was open.", json_content(SESSION)), "201": ("It is new.", json_content(SESSION))},
        "body": OPENING,
        "problems": (409, 410, 413, 499, 500, 502, 504),
    },
    ("GET", f"{_POOL}/sessions/{{session}}"): {
        "answers": {"200": ("The session.", json_content(SESSION))},
        "parameters": [_OWNER],
    },
    ("DELETE", f"{_POOL}/sessions/{{session}}"): {
        "answers": {"204": ("It is closed.", None)},
        "parameters": [_OWNER],
        "problems": (409, 410, 499, 500, 502, 504),
    },
    ("GET", "/openapi.json"): {"answers": {"200": ("This document.", _OBJECT), "304": ("It has not changed.", None)}},
    ("GET", "/docs"): {"answers": {"200": ("The page.", _PAGE)}},
    ("GET", "/"): {"answers": {"200": ("The page.", _PAGE)}},
    ("GET", "/login"): {"answers": {"200": ("The page.", _PAGE)}},
    ("POST", "/login"): {
        "answers": {"204": ("Logged in; the cookie is set.", None)},
        "body": {
            "type": "object",
            "required": ["code"],
            "additionalProperties": False,
            "properties": {"code": {"type": "string"}},
        },
        "problems": (413, 415),
    },
    ("POST", "/logout"): {"answers": {"204": ("Logged out; the cookie is taken back.", None)}, "problems": (415,)},
    ("GET", "/healthz"): {"answers": {"200": ("It lives.", _TEXT)}},
    ("GET", "/readyz"): {"answers": {"200": ("A call would be served.", _TEXT), "503": ("It would not.", _TEXT)}},
    ("GET", "/metrics"): {
        "answers": {"200": ("The metrics.", _TEXT | {"application/openmetrics-text": _TEXT["text/plain"]})}
    },
}
OF_COMMANDS: Part = {
    "answers": {"200": ("What holds now.", _OBJECT)},
    "problems": (409, 413, 415, 499, 500, 502, 504),
}
