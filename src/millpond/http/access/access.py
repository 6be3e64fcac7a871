"""Whether a request is let in, and as whom: `Access.check`, which comes before everything else that a server does.

The order is Host, token or cookie, Origin. What is on the way of every call costs one SHA-256 and a few look-ups.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from math import inf
from typing import TYPE_CHECKING, Literal

from millpond.environment import SECRETS
from millpond.http.access.attempts import Attempts
from millpond.http.access.caller import NOBODY, Caller
from millpond.http.access.cookies import Cookies, cookie_name
from millpond.http.access.gate import (
    FOR_ALL,
    SAFE,
    Decide,
    Gate,
    ProgramAccess,
    Scope,
    bearer_of,
    check_origin,
    check_page,
    read_headers,
    route_path,
    unauthorized,
)
from millpond.http.access.hosts import Hosts
from millpond.http.access.state_folder import LOCAL, StateFolder
from millpond.http.access.tokens import Token, Tokens
from millpond.http.problems import Problem
from millpond.token_file import NoStateFolder

if TYPE_CHECKING:
    from starlette.routing import Route

LOGIN = "/login"
ASSETS = "/assets/"

logger = logging.getLogger("millpond.http")


class Wall:
    """Unix time that a clock set back while the server runs does not turn back: what has expired stays so."""

    def __init__(self) -> None:
        self._start = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def __call__(self) -> float:
        return max(time.time(), self._start + time.clock_gettime(time.CLOCK_BOOTTIME))


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
        found = read_headers(scope)
        self._check_host(found.get(b"host", b""), scope)
        if path == LOGIN or path.startswith(ASSETS):
            return self._open(scope, found)
        now = self._monotonic()
        if now >= self.tokens.next_look:
            self.tokens.look(now)
        if self.tokens.fault:
            raise Problem(503, "access_unavailable", "The server cannot read its tokens.", headers={"Retry-After": "1"})
        authorization = found.get(b"authorization")
        if authorization is not None and (given := bearer_of(authorization)) is not None:
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
        check_origin(self._names, found, scope)
        return token.caller

    def _by_cookie(self, path: str, scope: Scope, found: Mapping[bytes, bytes]) -> Caller:
        cookie = found.get(b"cookie")
        caller = None if cookie is None else self.cookies.caller(name_of(scope), cookie, self.tokens, self.wall())
        method = scope.get("method", "")
        if caller is None:
            if path in ("", "/") and method in SAFE:
                return NOBODY  # the page there says how to log in
            raise unauthorized()
        # Browsers send an Origin with a reading request only where a script or a WebSocket asks across origins.
        if method not in SAFE or b"origin" in found:
            check_page(scope, found, changes=method not in SAFE)
        return caller

    def _open(self, scope: Scope, found: Mapping[bytes, bytes]) -> Caller:
        if scope.get("method", "") not in SAFE:
            check_page(scope, found)
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


def name_of(scope: Scope) -> str:
    """The name of the cookie under the server a request came to."""
    server = scope.get("server")
    return cookie_name(server[1] if server else None, scope.get("scheme", "http"))
