"""The routes of logging in and out: `/login`, `/logout`, and `/assets/*`; and the pages that say whether one is.

A code in the fragment of a link is posted by the page's script; the answer is the cookie. Who may ask is decided
before, in `access`.
"""

from __future__ import annotations

import asyncio
import logging
from html import escape
from importlib.resources import files
from string import Template

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from millpond.http.access.access import Access, name_of
from millpond.http.access.caller import ANYONE, LOGGED_IN
from millpond.http.access.cookies import set_cookie
from millpond.http.assets import assets
from millpond.http.headers import ANSWER, PAGE, accepts_gzip
from millpond.http.problems import Problem
from millpond.http.routing import caller_of, route
from millpond.token_file import StateError

logger = logging.getLogger("millpond.http")

_BODY_BYTES = 4096


class _LoginBody(msgspec.Struct, forbid_unknown_fields=True):
    code: str


def asset_route() -> Route:
    """What pages load; it is there without a login."""
    assets()  # compressed now, which takes milliseconds, and not between the first calls
    return route("/assets/{name:path}", _asset, methods=("GET",), roles=ANYONE)


def login_routes(access: Access) -> list[Route]:
    """The routes of one server's logins."""
    login = _Logins(access)
    return [
        route("/login", login.page, methods=("GET",), roles=ANYONE),
        route("/login", login.log_in, methods=("POST",), roles=ANYONE),
        route("/logout", login.log_out, methods=("POST",), roles=LOGGED_IN),
        asset_route(),
    ]


class _Logins:
    """The handlers that need to know the server's tokens."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def page(self, request: Request) -> Response:
        """Enter a code, or have the one in the link posted."""
        return _page("login.html", request)

    async def log_in(self, request: Request) -> Response:
        """Exchange a code for a cookie; 401 for one that was used, has expired or never was."""
        code = _code_in(await _body(request))
        access = self._access
        try:
            token = access.take_code(code)
        except StateError as error:
            raise _unavailable(error) from None
        if token is None:
            raise access.refusal(request.scope)
        name = name_of(request.scope)
        value, seconds = access.cookies.new(name, token, access.wall())
        return Response(status_code=204, headers=ANSWER | {"Set-Cookie": set_cookie(name, value, seconds)})

    async def log_out(self, request: Request) -> Response:
        """End the login of the cookie that came with this; its value is not accepted again."""
        caller = caller_of(request)
        if caller.login:
            try:
                await asyncio.to_thread(self._access.log_out, caller)
            except StateError as error:
                raise _unavailable(error) from None
        gone = set_cookie(name_of(request.scope), "", 0)
        return Response(status_code=204, headers=ANSWER | {"Set-Cookie": gone})


def locked(request: Request) -> Response:
    """The page that says how to log in."""
    return _page("locked.html", request, 401, {"WWW-Authenticate": "Bearer"}, url=str(request.base_url).rstrip("/"))


def home(request: Request) -> Response:
    """The page that says who is logged in."""
    caller = caller_of(request)
    return _page("home.html", request, owner=caller.owner, role=caller.role)


async def _asset(request: Request) -> Response:
    """A file that pages load."""
    asset = assets().get(request.path_params["name"])
    if asset is None:
        raise Problem(404, "not_found", "There is no such file.")
    is_short = asset.gzipped is not None and accepts_gzip(request.headers.get("accept-encoding", ""))
    etag = asset.etag if not is_short else f'{asset.etag[:-1]}-gzip"'
    headers = ANSWER | {"Cache-Control": "no-cache", "ETag": etag, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if is_short:
        return Response(asset.gzipped, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.kind)
    return Response(asset.body, headers=headers, media_type=asset.kind)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_BYTES:
            raise Problem(413, "payload_too_large", f"A login has at most {_BODY_BYTES} bytes.")
    return body


def _unavailable(error: StateError) -> Problem:
    logger.error("logging in or out fails: %s", error)
    return Problem(503, "access_unavailable", "The server cannot use its state folder.", headers={"Retry-After": "1"})


def _code_in(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_LoginBody).code
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "bad_request", 'A login is JSON: {"code": "..."}') from None


def _page(
    name: str, request: Request, status: int = 200, headers: dict[str, str] | None = None, **words: str
) -> Response:
    words["root"] = request.scope.get("root_path", "")
    text = _PAGES[name].substitute({key: escape(word) for key, word in words.items()})
    return HTMLResponse(text, status, PAGE | (headers or {}))


_PAGES = {
    page.name: Template(page.read_text("utf-8"))
    for page in files("millpond.http.access").joinpath("pages").iterdir()
    if page.name.endswith(".html")
}
