"""`/`: the live page for whoever may view; others are told who they are, or how to log in."""

from __future__ import annotations

import logging
from functools import cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

import millpond
from millpond.http.access.caller import ANYONE, MAY_VIEW
from millpond.http.access.login import home, locked
from millpond.http.headers import PAGE
from millpond.http.routing import application_of, caller_of, route

logger = logging.getLogger("millpond.http")


async def front(request: Request) -> Response:
    """The live page of the pools.

    For the role `call` it says who is logged in, and without a login how to log in.
    """
    caller = caller_of(request)
    if caller.role in MAY_VIEW:
        return HTMLResponse(_live(request), headers=PAGE | {"Vary": "Authorization, Cookie"})
    return locked(request) if caller.role == "none" else home(request)


def _live(request: Request) -> str:
    caller = caller_of(request)
    root = request.scope.get("root_path", "")
    pools = application_of(request).pools
    told = {
        "root": root,
        "role": caller.role,
        "owner": caller.owner or "the program",
        "version": millpond.__version__,
        "pools": list(pools),
        "unmeasured": [name for name, pool in pools.items() if not pool.settings.metrics],
        "login": caller.by == "cookie",
    }
    # The JSON last: nothing in it is taken for a place to fill.
    return _page().replace("/__root__", escape(root)).replace("{{JSON}}", escape(msgspec.json.encode(told).decode()))


@cache
def _page() -> str:
    return page_in(files("millpond.http.dashboard"))


def page_in(folder: Traversable) -> str:
    """The built page; of a source checkout in which it was not built, one that says so."""
    built = folder.joinpath("static", "index.html")
    if built.is_file():
        return built.read_text("utf-8")
    logger.warning("the live page was not built: run `make page` in the source checkout, then start the server again")
    return folder.joinpath("unbuilt.html").read_text("utf-8")


ROUTES = [route("/", front, roles=ANYONE)]
