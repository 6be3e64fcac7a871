"""Routes: which path means what, which roles may ask for it, and what a request names: pool, caller, numbers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from millpond.http.headers import ANSWER
from millpond.http.problems import Problem
from millpond.labels import check_label

if TYPE_CHECKING:
    from millpond.http.access.caller import Caller, Role
    from millpond.http.application import Application
    from millpond.pool import Pool

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]

CALLER = "millpond.caller"  # in a scope that was let in
ROUTE = "millpond.route"  # the path of the table that a request came by
# What a path in a request must not have: each has a meaning to some proxy or file system that is not the one it has
# here. A session whose id has a slash is named by the header.
ODD = re.compile(r"//|\\|[\x00-\x1f\x7f]|\ufffd|/\.\.?(?:/|\Z)")  # U+FFFD is what bytes that are no UTF-8 become
MOST_NUMBER = 2**53  # that every reader of JSON knows exactly
ODD_ENCODED = (b"%2f", b"%5c", b"%00", b"%2e", b"//")


class RoleRoute(Route):
    """A route that knows what it is for and which roles may use it."""

    doc: str = ""
    roles: frozenset[Role] = frozenset()


def route(path: str, endpoint: Endpoint, *, methods: Collection[str] = ("GET",), roles: Collection[Role]) -> RoleRoute:
    """A route for callers of these roles; others get 403. What the endpoint raises is answered as a problem."""

    async def guarded(request: Request) -> Response:
        request.scope[ROUTE] = path
        caller = caller_of(request)
        if caller.role not in roles:
            raise Problem(403, "forbidden", f"This needs the role {' or '.join(sorted(roles))}.")
        return await endpoint(request)

    made = RoleRoute(path, guarded, methods=list(methods), name=endpoint.__name__)
    made.doc = inspect.getdoc(endpoint) or ""
    made.roles = frozenset(roles)
    return made


def application_of(request: Request) -> Application:
    """The application that a request came to."""
    found: Application = request.scope["app"]
    return found


def caller_of(request: Request) -> Caller:
    """Who asks."""
    found: Caller = request.scope[CALLER]
    return found


def pool_of(request: Request) -> Pool:
    """The pool in the request's path. Raises `Problem` 404."""
    name = request.path_params["pool"]
    pool = application_of(request).pools.get(name)
    if pool is None:
        there = ", ".join(sorted(application_of(request).pools))
        raise Problem(
            404, "unknown_pool", f"No pool of that name is served here; there are: {there}.", outcome="not_started"
        )
    return pool


def whole(request: Request, name: str, default: T) -> int | T:
    """A whole number of the request's query. Raises `Problem` 400 for what is none."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if (number := number_of(text)) is None:
        raise Problem(400, "bad_argument", f"{name} is a whole number from 0 to {MOST_NUMBER}.", field=name)
    return number


def number(request: Request, name: str, default: float, most: float, least: float = 0) -> float:
    """A number of the request's query. Raises `Problem` 400 for what is none from `least` to `most`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise Problem(400, "bad_argument", f"{name} is a number from {least:g} to {most:g}.", field=name)
    return value


def number_of(text: str) -> int | None:
    """The whole number that a text is, from 0 to `MOST_NUMBER`; else `None`."""
    is_number = text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= MOST_NUMBER
    return int(text) if is_number else None


def check_pool_name(name: str) -> None:
    """Raise `TypeError` or `ValueError` for a pool's name that no path could have."""
    check_label("a pool's name", name)
    if "/" in name or ODD.search(f"/{name}/"):
        raise ValueError(
            "a served pool's name stands in paths: it has no slash, backslash or control character, and is not "
            f"'.' or '..'; {name!r} cannot be served"
        )


def check_path(path: str, raw_path: bytes) -> None:
    """Raise `Problem` 400 for a path that another program might read in another way."""
    raw = raw_path.partition(b"?")[0].lower()
    if ODD.search(path) or any(odd in raw for odd in ODD_ENCODED):
        raise Problem(400, "bad_path", "The path has empty or relative parts, encoded separators, or what is no text.")


def json_response(content: bytes, status: int = 200, **headers: str) -> Response:
    """An answer of JSON that is encoded already."""
    return Response(content, status, {**ANSWER, **headers}, media_type="application/json")


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """An answer of JSON."""
    import msgspec

    return json_response(msgspec.json.encode(value), status, **headers)
