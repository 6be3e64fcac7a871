"""Whether a request is let in, and as whom: `Access.check`, which comes before everything else that a server does.

The order is Host, token or cookie, Origin. What is on the way of every call costs one SHA-256 and a few look-ups.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from hashlib import sha256
from inspect import iscoroutinefunction
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from millpond.environment import SECRETS
from millpond.http.access.attempts import Attempts
from millpond.http.access.caller import NOBODY, PROGRAM, Caller
from millpond.http.access.cookies import Cookies, cookie_name
from millpond.http.access.hosts import Hosts, is_own_origin
from millpond.http.access.state_folder import LOCAL, StateFolder
from millpond.http.access.tokens import Token, Tokens
from millpond.http.problems import Problem
from millpond.token_file import NoStateFolder

if TYPE_CHECKING:
    from starlette.routing import Route

Scope = MutableMapping[str, Any]
Decide = Callable[[Scope], "Caller | Awaitable[Caller | None] | None"]

FOR_ALL = frozenset({"/healthz", "/readyz"})  # whatever the Host: those who look after a machine name it by address
LOGIN = "/login"
ASSETS = "/assets/"
_SAFE = ("GET", "HEAD")
_READ = frozenset({b"host", b"authorization", b"cookie", b"origin", b"content-type"})

logger = logging.getLogger("millpond.http")


class Wall:
    """Unix time that a clock set back while the server runs does not turn back: what has expired stays so."""

    def __init__(self) -> None:
        self._start = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def __call__(self) -> float:
        return max(time.time(), self._start + time.clock_gettime(time.CLOCK_BOOTTIME))


class Gate:
    """What every kind of access has: the paths that are open to all, and the Host check.

    `decides_at_once` says that `check` never gives something to await.
    """

    decides_at_once = True

    def __init__(self, hosts: Hosts | None) -> None:
        self._hosts = hosts

    def check(self, scope: Scope) -> Caller | Awaitable[Caller]:
        """Who a request comes from (of an asynchronous callable: something to await). Raises `Problem`."""
        raise NotImplementedError

    def holds(self, caller: Caller) -> bool:
        """Whether a caller that was let in still would be: what answers for long asks this once a second."""
        return True

    def routes(self) -> list[Route]:
        """The routes that come with it: what pages load, and where there are tokens those of logging in."""
        from millpond.http.access.login import asset_route  # which needs what is defined here

        return [asset_route()]

    def _check_host(self, host: bytes, scope: Scope) -> None:
        server = scope.get("server")
        port = server[1] if server else None
        if self._hosts is not None and not self._hosts.answers_to(host, port, scope.get("scheme", "http")):
            raise Problem(421, "misdirected", "The Host header does not name this server (see --allowed-host).")


class ProgramAccess(Gate):
    """For an application that is part of another, which has a way of its own to let people in, or needs none."""

    def __init__(self, decide: Decide | None, allowed_hosts: Iterable[str] = ()) -> None:
        allowed = tuple(allowed_hosts)
        super().__init__(Hosts(allowed) if allowed else None)
        self._decide = decide
        self.decides_at_once = not any(map(iscoroutinefunction, (decide, getattr(decide, "__call__", None))))  # noqa: B004

    def check(self, scope: Scope) -> Caller | Awaitable[Caller]:
        """The program's caller, or whom its callable names; where that names none, 401."""
        path = route_path(scope)
        if path in FOR_ALL:
            return NOBODY
        self._check_host(_read(scope).get(b"host", b""), scope)
        if self._decide is None:
            return PROGRAM
        decided = self._decide(scope)
        return _let_in(decided) if isinstance(decided, Caller | None) else _awaited(decided)


class LocalAccess(Gate):
    """For a server that has no tokens: all who can connect are administrators, but no page of another site."""

    def __init__(self, allowed_hosts: Iterable[str] = ()) -> None:
        super().__init__(hosts := Hosts(allowed_hosts))
        self._names = hosts

    def check(self, scope: Scope) -> Caller:
        """The program's caller, unless Host or Origin are of another site."""
        if route_path(scope) in FOR_ALL:
            return NOBODY
        found = _read(scope)
        self._check_host(found.get(b"host", b""), scope)
        _check_origin(self._names, found, scope)
        return PROGRAM


class Access(Gate):
    """By token and cookie.

    Raises `StateError` when it is made if the server's token or the state folder is not safe to use. `state_folder`
    is where they are kept (default: by the environment), `allowed_hosts` are names the server answers to beside those
    of the loopback.
    """

    def __init__(
        self,
        *,
        allowed_hosts: Iterable[str] = (),
        state_folder: str | None = None,
        environ: Mapping[str, str] = os.environ,
        wall: Callable[[], float] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(hosts := Hosts(allowed_hosts))
        self._names = hosts
        self.state = StateFolder(state_folder)
        self.wall = wall or Wall()
        self.tokens = Tokens(self.state, environ, self.wall)
        self._keeps_logins = True
        self.cookies = Cookies(self._cookie_key(environ))
        self._monotonic = monotonic
        self._attempts = Attempts()

    def check(self, scope: Scope) -> Caller:
        """Who a request comes from. Raises `Problem`: 401, 403, 415, 421, 429, or 503 if the tokens cannot be read."""
        path = route_path(scope)
        if path in FOR_ALL:
            return NOBODY
        found = _read(scope)
        self._check_host(found.get(b"host", b""), scope)
        if path == LOGIN or path.startswith(ASSETS):
            return self._open(scope, found)
        now = self._monotonic()
        if now >= self.tokens.next_look:
            self.tokens.look(now)
        if self.tokens.fault:
            raise Problem(503, "access_unavailable", "The server cannot read its tokens.", headers={"Retry-After": "1"})
        authorization = found.get(b"authorization")
        if authorization is not None and (given := _bearer(authorization)) is not None:
            return self._by_token(given, scope, found, now)
        return self._by_cookie(path, scope, found)

    def holds(self, caller: Caller) -> bool:
        """Whether its token was not revoked, and neither that nor its login has ended."""
        if caller.by == "nobody":
            return True
        now = self._monotonic()
        if now >= self.tokens.next_look:
            self.tokens.look(now)
        token = self.tokens.by_id.get(caller.token_id)
        if token is None or caller.login in self.tokens.logouts:
            return False
        return token.caller.role == caller.role and self.wall() < caller.expires

    def routes(self) -> list[Route]:
        """Those of logging in and out, and what pages load."""
        from millpond.http.access.login import login_routes

        return login_routes(self)

    def login_url(self, base: str, token_id: str = LOCAL) -> str:
        """A link with a new code, by which a browser logs in once within 10 minutes. Raises `StateError`."""
        return f"{base.rstrip('/')}{LOGIN}#{self.state.new_code(token_id, self.wall())}"

    def take_code(self, code: str) -> Token | None:
        """The token whose holder may log in by this code; the code is used up, and `None` if it is not valid."""
        token_id = self.state.take_code(code, self.wall())
        self.tokens.look(self._monotonic())
        token = self.tokens.by_id.get(token_id or "")
        return token if token is not None and self.wall() < token.caller.expires else None

    def log_out(self, caller: Caller) -> None:
        """End the login that a caller's cookie stands for. Waits for the disk; raises `StateError`."""
        self.tokens.logouts[caller.login] = caller.expires
        if self._keeps_logins:
            self.state.log_out(caller.login, caller.expires, self.wall())

    def refusal(self, scope: Scope) -> Problem:
        """The answer to a wrong token or code: 401, or 429 if the address has sent too many in this second."""
        if self._attempts.is_one_too_many(scope.get("client"), self._monotonic()):
            later = {"Retry-After": "1"}
            return Problem(429, "too_many_attempts", "Too many wrong tokens from this address.", headers=later)
        return unauthorized()

    def _by_token(self, given: bytes, scope: Scope, found: Mapping[bytes, bytes], now: float) -> Caller:
        # Found by its hash, not compared: who sends tokens cannot choose hashes, so how long a look-up takes says
        # nothing about the tokens there are.
        digest = sha256(given).digest()
        token = self.tokens.by_digest.get(digest) or self.tokens.find(digest, now)
        if token is None or (token.caller.expires < inf and self.wall() >= token.caller.expires):
            raise self.refusal(scope)
        _check_origin(self._names, found, scope)
        return token.caller

    def _by_cookie(self, path: str, scope: Scope, found: Mapping[bytes, bytes]) -> Caller:
        cookie = found.get(b"cookie")
        caller = None if cookie is None else self.cookies.caller(name_of(scope), cookie, self.tokens, self.wall())
        method = scope.get("method", "")
        if caller is None:
            if path in ("", "/") and method in _SAFE:
                return NOBODY  # the page there says how to log in
            raise unauthorized()
        if method not in _SAFE:
            _check_page(scope, found)
        return caller

    def _open(self, scope: Scope, found: Mapping[bytes, bytes]) -> Caller:
        if scope.get("method", "") not in _SAFE:
            _check_page(scope, found)
        return NOBODY

    def _cookie_key(self, environ: Mapping[str, str]) -> bytes:
        try:
            return self.state.cookie_key()
        except NoStateFolder as error:
            if SECRETS.isdisjoint(environ):
                raise
            self._keeps_logins = False
            logger.warning("browsers must log in again after a restart, and no token can be issued: %s", error)
            return secrets.token_bytes(32)


def access_of(auth: Gate | Literal["token"] | Decide | None, allowed_hosts: Iterable[str] = ()) -> Gate:
    """What `app(auth=...)` means. Raises `TypeError` for what it cannot be, `StateError` as `Access` does."""
    if isinstance(auth, Gate):
        return auth
    if auth == "token":
        return Access(allowed_hosts=allowed_hosts)
    if auth is None or callable(auth):
        return ProgramAccess(auth, allowed_hosts)
    raise TypeError(f"auth must be 'token', an Access, a function of the ASGI scope, or None, not {auth!r}")


def route_path(scope: Scope) -> str:
    """The path without that under which the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("/", ""):
        return path[len(root) :]
    return path


def name_of(scope: Scope) -> str:
    """The name of the cookie under the server a request came to."""
    server = scope.get("server")
    return cookie_name(server[1] if server else None, scope.get("scheme", "http"))


def unauthorized() -> Problem:
    """The one answer to all who are not let in, whatever they sent and wherever to."""
    return Problem(
        401, "unauthorized", "This needs a token: Authorization: Bearer mp_...", headers={"WWW-Authenticate": "Bearer"}
    )


def _read(scope: Scope) -> dict[bytes, bytes]:
    """The headers that matter here. One that comes twice is joined, and then none that is accepted."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            # HTTP/2 lets browsers send a Cookie header in parts.
            between = b"; " if name == b"cookie" else b","
            found[name] = found[name] + between + value if name in found else value
    return found


def _bearer(authorization: bytes) -> bytes | None:
    """What stands behind `Bearer`, in whatever case; `None` if another kind of authorization is named."""
    if authorization[:7] == b"Bearer ":
        return authorization[7:].strip(b" ")
    kind, _, given = authorization.partition(b" ")
    return given.strip(b" ") if kind.lower() == b"bearer" else None


def _check_page(scope: Scope, found: Mapping[bytes, bytes]) -> None:
    """Raise unless the request comes from a script of the server's own pages: no form or page elsewhere can send it."""
    if not is_own_origin(found.get(b"origin", b""), found.get(b"host", b""), scope.get("scheme", "http")):
        raise _foreign_origin()
    kind = found.get(b"content-type", b"").partition(b";")[0].strip(b" \t").lower()
    if kind != b"application/json" and scope["type"] == "http":
        raise Problem(415, "unsupported_media_type", "With a cookie every request that changes something is JSON.")


def _check_origin(hosts: Hosts, found: Mapping[bytes, bytes], scope: Scope) -> None:
    """Raise if an Origin was sent that is none of the server's."""
    origin = found.get(b"origin")
    if origin is None:
        return
    server = scope.get("server")
    if not hosts.has_origin(origin, server[1] if server else None, scope.get("scheme", "http")):
        raise _foreign_origin()


def _foreign_origin() -> Problem:
    return Problem(403, "foreign_origin", "The request comes from a page that is not this server's own.")


def _let_in(caller: Caller | None) -> Caller:
    """The caller that a program's function named. Raises `ValueError` for one whose sessions would be anybody's."""
    if caller is None:
        raise unauthorized()
    if not caller.owner and caller.role != "admin":
        raise ValueError("a caller that is no administrator needs an owner, whose sessions it uses")
    return caller


async def _awaited(decided: Awaitable[Caller | None]) -> Caller:
    return _let_in(await decided)
