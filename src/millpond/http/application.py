"""The ASGI application of one or more pools: who is let in, which route a request takes, and how failures are told.

`app` makes one. A call of an operation that was called before goes straight to `calls`; every other path is looked up
by Starlette's router.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakValueDictionary

from starlette.exceptions import HTTPException
from starlette.routing import Match, Router

from millpond.errors import PoolError
from millpond.http import (
    administration,
    batches,
    calls,
    direct,
    feed,
    health,
    inspection,
    sessions,
    streams,
    watching,
    workers,
)
from millpond.http.access.access import access_of
from millpond.http.access.caller import MAY_CALL, NOBODY, Caller
from millpond.http.access.gate import unauthorized
from millpond.http.asking import ClientLeft, Receive, Scope
from millpond.http.dashboard import page as dashboard
from millpond.http.documentation import page as documentation
from millpond.http.feed import Feeds
from millpond.http.idempotency import Kept
from millpond.http.openapi import document
from millpond.http.problems import Problem, problem_of, title_of
from millpond.http.reports import answer as reports
from millpond.http.routing import CALLER, ROUTE, check_path, check_pool_name
from millpond.http.traffic import CALL, OTHER, SESSION_CALL, UNANSWERED, Traffic
from millpond.pool import Pool

if TYPE_CHECKING:
    from millpond.http.access.gate import Decide, Gate

Send = Callable[[Any], Awaitable[None]]

logger = logging.getLogger("millpond.http")

MODULES = (
    calls,
    batches,
    streams,
    sessions,
    watching,
    inspection,
    workers,
    reports,
    feed,
    administration,
    health,
    document,
    documentation,
    dashboard,
)  # whose `ROUTES` there are


def app(
    pools: Pool | Mapping[str, Pool],
    *,
    auth: Gate | Literal["token"] | Decide | None,
    allowed_hosts: Iterable[str] = (),
    limit_body: int | None = None,
    open_pools: bool = False,
) -> Application:
    """An ASGI application that serves these pools; several are a mapping of the names in paths.

    `auth` says who is let in, and has no default: `"token"` for the tokens of the state folder, a function of the ASGI
    scope that returns a `Caller`, or `None` for them, where the program has its own way, or `None` for everybody.
    `allowed_hosts` are names the application answers to, beside the loopback's with `"token"`. `limit_body` bounds a
    request's body, in bytes (default: the pool's `max_payload`). With `open_pools` its lifespan opens the pools and
    closes them; otherwise the program does. Raises `TypeError` or `ValueError` for what cannot be served.
    """
    named = {pools.name: pools} if isinstance(pools, Pool) else dict(pools)
    for name, pool in named.items():
        check_pool_name(name)
        if not isinstance(pool, Pool):
            raise TypeError(f"what is served is a Pool, not {pool!r}")
    return Application(named, access_of(auth, allowed_hosts), limit_body, open_pools)


class Application:
    """Serves pools over HTTP; `app` makes it. Its fields are for the server that runs it and for routes."""

    def __init__(self, pools: dict[str, Pool], access: Gate, limit_body: int | None, open_pools: bool) -> None:
        self.pools = pools
        self.access = access
        self.is_draining = False  # set by the server: no longer ready from then on
        self.kept = Kept()
        self.openings: WeakValueDictionary[tuple[Pool, str], asyncio.Lock] = WeakValueDictionary()  # of sessions
        self.feeds = Feeds()
        self.traffic = Traffic()
        self._limit_body = limit_body
        self._open_pools = open_pools
        self._calls: dict[str, tuple[Pool, str]] = {}  # path -> what is called, of operations that were called
        self.routes = [*access.routes(), *(one for module in MODULES for one in module.ROUTES)]
        self.documents: OrderedDict[object, document.Document] = OrderedDict()  # of those that asked for one lately
        self._router = Router(self.routes, redirect_slashes=False)

    def most_bytes(self, pool: Pool) -> int:
        """The largest body of a request to a pool."""
        most = pool.settings.max_payload
        return most if self._limit_body is None else min(most, self._limit_body)

    def know_call(self, path: str, pool: Pool, operation: str) -> None:
        """A path was that of an operation, which answered: the next request to it need not be looked up.

        Nor a request to that operation in a session.
        """
        if len(self._calls) < 10_000:  # of the operations there are; more only after many replacements
            self._calls[path] = pool, operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the lifespan. Cancelling cancels the call that it is for."""
        if scope["type"] != "http":
            await self._not_http(scope, receive, send)
            return
        traffic, began = self.traffic, time.monotonic()
        traffic.running += 1
        answering, route = Answering(send, self.access), CALL
        caller = NOBODY
        try:
            known = self._calls.get(scope["path"]) if scope["method"] == "POST" else None
            if known is None:
                check_path(scope["path"], scope.get("raw_path") or b"")
            found = self.access.check(scope)
            caller = found if type(found) is Caller else await found  # type: ignore[misc]
            answering.caller = caller
            if known is not None and caller.role in MAY_CALL:
                await calls.answer_call(self, *known, caller, scope, receive, answering)
            else:
                inner = {**scope, CALLER: caller, "app": self, ROUTE: OTHER}
                try:
                    await self._router(inner, receive, answering)
                except HTTPException as error:
                    raise self._not_routed(error, inner) from error
                finally:
                    route = inner[ROUTE]
        except ClientLeft:
            pass
        except Exception as error:
            await answering.refuse(self.problem(error, caller), scope)
        finally:
            traffic.running -= 1
            traffic.note(route, answering.status, time.monotonic() - began)

    def _not_routed(self, error: HTTPException, scope: Scope) -> Problem:
        """The problem of a request that no route takes; a path's methods may be on several routes."""
        headers = dict(error.headers or {})
        if error.status_code == 405:
            there = [one for one in self.routes if one.matches(scope)[0] != Match.NONE]
            headers["Allow"] = ", ".join(sorted({method for one in there for method in one.methods or ()}))
        code = title_of(error.status_code).lower().replace(" ", "_")
        return Problem(error.status_code, code, headers=headers, outcome="not_started")

    # The short way, for Millpond's own server

    def claims(self, scope: Scope) -> bool:
        """Whether `start_call` may take this request, once its body is there."""
        return scope["method"] == "POST" and self._known(scope["path"]) is not None and self.access.decides_at_once

    def _known(self, path: str) -> tuple[Pool, str, str | None] | None:
        """The pool, the operation and the session of a path, if the operation was called before."""
        known = self._calls.get(path)
        if known is not None:
            return *known, None
        before, _, after = path.partition("/sessions/")
        session, _, operation = after.partition("/call/")
        known = self._calls.get(f"{before}/call/{operation}") if session and "/" not in session else None
        return None if known is None else (*known, session)

    def start_call(self, scope: Scope, body: bytes, exchange: direct.Exchange) -> bool:
        """Begin a call that is claimed and answer it when it has ended; false if it is for `__call__`."""
        known = self._known(scope["path"])
        assert known is not None
        try:
            return direct.start_call(self, *known, scope, body, exchange)
        except Exception as error:
            problem = self.problem(error, NOBODY)
            self.traffic.note(CALL if known[2] is None else SESSION_CALL, problem.status, 0.0)
            direct.respond(exchange, problem)
            return True

    def let_in_at_once(self, scope: Scope) -> Caller | None:
        """Who asks, if that can be told at once and may call; raises `Problem` as `Access.check` does."""
        found = self.access.check(scope)
        return found if type(found) is Caller and found.role in MAY_CALL else None

    def problem(self, error: Exception, caller: Caller) -> Problem:
        """How an exception is told to who asks; what is ours is logged."""
        if isinstance(error, Problem | PoolError):
            return problem_of(error, tells_all=caller.role == "admin")
        # Ours. Where it was raised is logged, and not its text, which may have what a client sent.
        lines = "".join(traceback.format_tb(error.__traceback__))
        logger.error("answering a request raised %s\n%s", type(error).__name__, lines)
        return Problem(500, "internal_error", "The server could not answer; its log says more.", outcome="unknown")

    async def _not_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Open the pools when the server starts and close them when it stops, if they are the application's."""
        await receive()
        opened = list(self.pools.values()) if self._open_pools else []
        try:
            ended = await asyncio.gather(*(pool.open() for pool in opened), return_exceptions=True)
            failed = [error for error in ended if isinstance(error, BaseException)]
            if failed:
                await send({"type": "lifespan.startup.failed", "message": str(failed[0])})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
        finally:
            self.is_draining = True
            await asyncio.gather(*(pool.close() for pool in opened))
        await send({"type": "lifespan.shutdown.complete"})


class Answering:
    """An ASGI `send` that knows how the answer began, and ends a long one whose caller was locked out.

    `status` is 499 before it has begun.
    """

    __slots__ = ("_access", "_send", "caller", "status")

    def __init__(self, send: Send, access: Gate) -> None:
        self._send = send
        self._access = access
        self.status = UNANSWERED
        self.caller = NOBODY

    def __call__(self, message: Any) -> Awaitable[None]:
        if self.status == UNANSWERED:
            self.status = message["status"]
        if message.get("more_body") and not self._access.holds(self.caller):
            raise unauthorized()
        return self._send(message)

    async def refuse(self, problem: Problem, scope: Scope) -> None:
        """Answer with a problem. Where the answer has begun it is broken off; other servers do so if this raises."""
        if self.status != UNANSWERED:
            if "millpond.connection" not in scope:
                raise problem
            scope["millpond.connection"].break_off()
            return
        self.status = problem.status
        body = problem.body()
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in problem.all_headers().items()]
        headers.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
