"""What each role may ask for: a table that every route of the application is in."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from starlette.routing import Route

import millpond
import millpond.http
from millpond.http.access.caller import ROLES
from tests.faults.handlers import Plain
from tests.http.access.asked import Asked, request

POOL = r"/v1/pools/\{pool\}"
SESSION = r"/sessions/\{session\}"
# Method and path of routes, and who may use them; the first that fits counts.
TABLE = (
    (r"GET|HEAD|POST", r"/|/login|/assets/.*|/healthz|/readyz", "none call view admin"),
    (r"POST", r"/logout", "call view admin"),
    (r"GET|HEAD", r"/openapi\.json|/docs.*", "call view admin"),
    (r"GET|HEAD", r"/metrics", "view admin"),
    (r"POST", rf"{POOL}(/call/.*|/stream/.*|/batch|/sessions|{SESSION}/(call|stream)/.*)", "call admin"),
    (r"GET|HEAD|DELETE", rf"{POOL}{SESSION}", "call admin"),
    (r"GET|HEAD", rf"{POOL}/sessions", "call view admin"),
    (r"GET|HEAD", rf"{POOL}/workers/.*", "admin"),
    (
        r"GET|HEAD",
        rf"{POOL}(/(statistics|history|events|journal|alerts|calls|workers|report).*)?|/v1/pools",
        "view admin",
    ),
    (r"POST", rf"{POOL}/admin/.*", "admin"),
)


def allowed(method: str, path: str) -> set[str]:
    """The roles that may use a route. Fails for one that nobody has put into the table."""
    for methods, paths, roles in TABLE:
        if re.fullmatch(methods, method) and re.fullmatch(paths, path):
            return set(roles.split())
    raise AssertionError(f"no row says who may {method} {path}")


async def status_of(application: Any, scope: dict[str, Any]) -> int:
    """The status of an answer, which may go on for ever."""
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.sleep(3600)
        asked = True
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and not begun.done():
            begun.set_result(message["status"])

    answering = asyncio.create_task(application(scope, receive, send))
    try:
        async with asyncio.timeout(30):
            await asyncio.wait({answering, begun}, return_when=asyncio.FIRST_COMPLETED)
        return begun.result()
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_may_ask_for_its_routes_and_no_others(role, asked: Asked) -> None:
    """The others are 403; those it may ask for are answered, if only that the pool is closed."""
    _, token = asked.issue(role)
    application = millpond.http.app({"p": millpond.Pool(Plain)}, auth=asked.access)
    routes = [one for one in application._router.routes if isinstance(one, Route)]
    for method, path in sorted({(method, one.path) for one in routes for method in one.methods or ()}):
        target = re.sub(r"\{\w+(:\w+)?\}", "p", path)
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        scope = request(target, method, **headers) | {"query_string": b"", "raw_path": target.encode()}
        status = await status_of(application, scope)
        if role in allowed(method, path):
            assert status not in (401, 403, 405) or path == "/login", (method, path, status)
        else:
            assert status == 403, (method, path, status)
