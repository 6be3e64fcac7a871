"""`/docs`: the OpenAPI document of whoever asks, as a page.

It is complete without JavaScript, but for the forms that try a call.
"""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from millpond.http.access.caller import LOGGED_IN
from millpond.http.documentation.markup import page
from millpond.http.headers import PAGE
from millpond.http.openapi.document import document_of
from millpond.http.routing import caller_of, route


async def docs(request: Request) -> Response:
    """The documentation page: the operations that the caller may use, and forms to try them."""
    document = msgspec.json.decode((await document_of(request)).body)
    root, base = request.scope.get("root_path", ""), str(request.base_url).rstrip("/")
    caller = caller_of(request)
    text = page(document, root, base, role=caller.role, by=caller.by)
    return HTMLResponse(text, headers=PAGE | {"Vary": "Authorization, Cookie"})


ROUTES = [route("/docs", docs, roles=LOGGED_IN)]
