"""The paths of the document that are no user's operations: every other route of the application.

A route without a row in `said.SAID` is described by its path, its roles and its doc string alone.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

from millpond.http.access.caller import NOBODY
from millpond.http.administration import COMMANDS
from millpond.http.openapi.operations import SESSION_ID
from millpond.http.openapi.parts import Part, json_content, problems
from millpond.http.openapi.said import OF_COMMANDS, SAID
from millpond.http.routing import MOST_NUMBER, RoleRoute

HIDDEN = re.compile(r".*/(call|stream)/\{operation\}|.*/batch|/assets/.*")  # described by operation, or not at all


def paths_of(routes: list[RoleRoute], role: str, pools: list[str], *, with_tokens: bool) -> Part:
    """The paths of all routes that this role may use."""
    found: Part = {}
    for route in routes:
        if role not in route.roles or HIDDEN.fullmatch(route.path):
            continue
        path = re.sub(r":\w+\}", "}", route.path)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            if path.endswith("/{verb}"):
                found |= _commands(path, pools)
                continue
            said = SAID.get((method, path), {})
            entry = _entry(path, method, route.doc or route.name, said, pools)
            if with_tokens and NOBODY.role in route.roles:
                entry["security"] = []
            found.setdefault(path, {})[method.lower()] = entry
    return found


def _commands(path: str, pools: list[str]) -> Part:
    """Each of an administrator's commands."""
    found: Part = {}
    for verb, (kind, carry_out) in COMMANDS.items():
        schema, shared = msgspec.json.schema_components([kind])
        body = shared.get(getattr(kind, "__name__", ""), schema[0])
        own = path.replace("{verb}", verb)
        words = inspect.getdoc(carry_out) or verb
        found[own] = {"post": _entry(own, "POST", words, OF_COMMANDS | {"body": body}, pools)}
    return found


def _entry(path: str, method: str, words: str, said: Part, pools: list[str]) -> Part:
    summary, _, more = words.partition("\n")
    entry: Part = {
        "operationId": f"{method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', path)}".rstrip("_"),
        "tags": ["server"],
        "summary": summary.strip(),
        "parameters": [*_in_path(path, pools), *said.get("parameters", ())],
        "responses": _responses(said),
    }
    if more.strip():
        entry["description"] = " ".join(more.split())
    if "body" in said:
        entry["requestBody"] = {"required": bool(said["body"].get("required")), "content": json_content(said["body"])}
    return entry


def _responses(said: Part) -> Part:
    answers: dict[str, Any] = said.get("answers", {"200": ("The answer.", json_content({}))})
    found = {status: _answer(*one) for status, one in answers.items()}
    return problems(*said.get("problems", ())) | found


def _answer(description: str, content: Part | None) -> Part:
    return {"description": description} if content is None else {"description": description, "content": content}


def _in_path(path: str, pools: list[str]) -> list[Part]:
    return [_path_parameter(name, pools) for name in re.findall(r"\{(\w+)\}", path)]


def _path_parameter(name: str, pools: list[str]) -> Part:
    if name == "session":
        return SESSION_ID
    schema: Part = {"type": "string", "minLength": 1}
    if name in ("call_id", "worker"):
        schema = {"type": "integer", "minimum": 0, "maximum": MOST_NUMBER}
    elif name == "pool":
        schema = {"type": "string", "enum": pools}
    return {"name": name, "in": "path", "required": True, "schema": schema}
