"""The whole document, for one role on one server: what `/openapi.json` answers and `/docs` shows.

It lists what the caller's role may use. Its version is another whenever an operation is another, as after
`replace_workers` with new code.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from millpond.errors import PoolError
from millpond.http.access.access import Access, name_of
from millpond.http.access.caller import LOGGED_IN, MAY_CALL
from millpond.http.headers import ANSWER
from millpond.http.openapi import operations, routes
from millpond.http.openapi.parts import PARAMETERS, PROBLEM, RESPONSES, Part, security_schemes, tag_of
from millpond.http.openapi.schemas import schemas_of
from millpond.http.routing import RoleRoute, application_of, caller_of, route

if TYPE_CHECKING:
    from millpond.pool import Pool
    from millpond.seams import OperationFacts

Served = dict[str, tuple["OperationFacts", ...]]  # what each pool has

MOST_KEPT = 16
LONGEST_WAIT_S = 10.0


class Document(NamedTuple):
    """One document as JSON, and the tag by which a client asks whether it has changed."""

    body: bytes
    etag: str


async def document_of(request: Request) -> Document:
    """The document for whoever asks. Waits for pools that are being opened, but not for long."""
    application, caller = application_of(request), caller_of(request)
    await asyncio.gather(*map(_entered, application.pools.values()))
    served = {name: pool.operations() for name, pool in application.pools.items()}
    cookie = name_of(request.scope) if isinstance(application.access, Access) else ""
    key = (caller.role, request.scope.get("root_path", ""), cookie, tuple(served.items()))
    kept: OrderedDict[object, Document] = application.documents
    if key not in kept:
        found = describe(served, _described(application.routes), caller.role, key[1], cookie)
        body = msgspec.json.encode(found)
        kept[key] = Document(body, f'"{sha256(body).hexdigest()[:32]}"')
    kept.move_to_end(key)
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)
    return kept[key]


async def _entered(pool: Pool) -> None:
    try:
        async with asyncio.timeout(LONGEST_WAIT_S):
            await pool.entered()
    except (TimeoutError, PoolError, RuntimeError):  # it is not to open, or fails to; its operations are as they are
        pass


def describe(served: Served, all_routes: list[RoleRoute], role: str, root: str, cookie: str) -> Part:
    """The document as plain values. `cookie` is the name of the login's, "" on a server without tokens."""
    schemas: Part = {"Problem": PROBLEM}
    paths: Part = {}
    if role in MAY_CALL:
        for pool, facts in served.items():
            for operation in facts:
                schemas |= (own := schemas_of(pool, operation))
                paths |= operations.paths_of(pool, operation, own)
            paths |= operations.batch_path(pool)
    paths |= routes.paths_of(all_routes, role, list(served), with_tokens=bool(cookie))
    document: Part = {
        "openapi": "3.1.0",
        "info": {
            "title": f"Millpond: {', '.join(served)}",
            "summary": "The operations of the pools that this server has, and what there is to see and change.",
            "version": version_of(served),
        },
        "servers": [{"url": root or "/"}],
        "tags": [*({"name": tag_of(pool), "description": f"The pool `{pool}`."} for pool in served), _SERVER],
        "paths": paths,
        "components": {"schemas": schemas, "responses": RESPONSES, "parameters": PARAMETERS},
    }
    if cookie:
        document["components"]["securitySchemes"] = security_schemes(cookie)
        document["security"] = [{"token": []}, {"cookie": []}]
    return document


def _described(found: Sequence[Route]) -> list[RoleRoute]:
    return [one for one in found if isinstance(one, RoleRoute)]


_SERVER: Part = {"name": "server", "description": "The server itself."}


def version_of(served: Served) -> str:
    """A name for what is served: the same for the same operations, another for others."""
    return "1." + sha256(msgspec.json.encode(served)).hexdigest()[:12]


async def openapi(request: Request) -> Response:
    """The OpenAPI 3.1 document: what the caller's role may use."""
    document = await document_of(request)
    headers = ANSWER | {"ETag": document.etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    if request.headers.get("if-none-match") == document.etag:
        return Response(status_code=304, headers=headers)
    return Response(document.body, headers=headers, media_type="application/json")


ROUTES = [route("/openapi.json", openapi, roles=LOGGED_IN)]
