"""The client for asyncio: a served pool with the verbs of `Pool`, so that a program moves to it by one line.

Made of a `ServedPool`; the verbs of calling are in `remote_calls`. The table of what differs from a pool is in
`docs/client.md`.
"""

from __future__ import annotations

import math
import os
import re
import weakref
from random import Random
from ssl import SSLContext
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from millpond.client import values
from millpond.client.address import parse_address, tls_context
from millpond.client.remote_calls import RemoteCalls
from millpond.client.remote_events import RemoteEvents
from millpond.client.remote_session import RemoteSession
from millpond.client.served_pool import ServedPool, session_headers
from millpond.errors import BadArgument
from millpond.facts import SessionFacts, SessionState, Statistics, check_page
from millpond.labels import check_label
from millpond.options import DEFAULT
from millpond.settings import LIVE, Affinity, OnRestore, check_choice, check_names
from millpond.token_file import given_token, known_token

DEADLINE_S = 60.0  # as the setting of a pool
DRAIN_S = 10.0
CONNECTIONS = 100
_TOKEN = re.compile(r"[\x21-\x7e]+")

# What a pool has and its client does not, and where it is to be had.
ABSENT = {
    "logs": 'what one worker wrote is told an administrator: get("workers/3/logs")',
    "warm": "workers are warmed by the program that owns the pool",
    "telemetry": "listeners attach in the program that owns the pool; the server's /events tells what happens",
    "metrics": "they are the server's: see its /metrics, /statistics and /history",
    "alerts": "they are the server's: see its /alerts",
    "optimizer": "it is the server's: see its /journal",
    "settings": "they are the server's; configure() changes those that may change while a pool runs",
    "calls": 'the server tells them: get("calls", show="running")',
    "call_facts": 'the server tells it: get("calls/77")',
    "cancel_call": 'it is a command: command("cancel", call_id=77)',
    "stack": 'it is told an administrator: get("workers/3/stack")',
    "workers": 'the server tells them: get("workers")',
    "gone_workers": 'the server tells them: get("workers")',
    "trace_source": "open a span around the call: the context that it makes goes along",
    "warmer": "workers are warmed by the program that owns the pool",
}

_OPEN: weakref.WeakSet[ServedPool] = weakref.WeakSet()


class Client(RemoteCalls):
    """A served pool, on the running asyncio loop: `async with millpond.Client(url) as pool`, and then as with `Pool`.

    `url` is `http://host:port`, `https://host`, or `unix:/path/of/socket`; `pool` the pool's name there. `token`: by
    default that of `MILLPOND_TOKEN`, of the file `MILLPOND_TOKEN_FILE`, or, for a server on this machine, of the
    user's own state folder. `deadline` is that of calls without one (seconds; `None` for none). At most `connections`
    calls are under way at once, others wait for one to end. `tls`: a file of certificates to trust instead of the
    system's, or a context. Nothing is sent before the first call.
    """

    __slots__ = ("__weakref__", "_token", "name")

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        pool: str = "default",
        token: str | None = None,
        deadline: float | None = DEADLINE_S,
        connections: int = CONNECTIONS,
        tls: SSLContext | str | None = None,
        random: Random | None = None,
    ) -> None:
        address = parse_address(url)
        self.name = check_label("a pool's name", pool)
        self._token = _checked(token)
        served = ServedPool(
            address,
            self.name,
            tls_context(address, tls),
            DEFAULT.changed({"deadline": deadline}).deadline,
            _counted(connections),
            random or Random(),
        )
        super().__init__(served, DEFAULT)

    # Opening and closing

    async def open(self) -> Client:
        """Be ready for calls; returns itself. Nothing is sent. Raises `PoolClosed` after `close`, and `StateError` for
        a token that is there and cannot be used.
        """
        served = self._served
        if served.state != "open":
            given = given_token(os.environ) if self._token is None else self._token
            found = known_token() if given is None and served.address.is_local else None
            served.open(given or found, is_users_own=found is not None)
            _OPEN.add(served)
        return self

    async def close(self, drain: float | None = None) -> None:
        """End the client, not the pool: its calls that are under way have `drain` seconds (default 10).

        Then they end with `PoolClosed`, and the server, which they left, cancels them. Any number of times.
        """
        if self.state == "open":
            self._served.check_loop()
        _OPEN.discard(self._served)
        await self._served.close(DRAIN_S if drain is None else drain)

    def close_unopened(self) -> None:
        """What `close` does to a client that was never opened."""
        self._served.close_unopened()

    @property
    def state(self) -> str:
        """new, open or closed."""
        return self._served.state

    async def __aenter__(self) -> Client:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Running the pool

    def session(
        self,
        session_id: str,
        *,
        reopen: bool = False,
        affinity: Affinity | None = None,
        on_restore: OnRestore | None = None,
    ) -> RemoteSession:
        """A handle that opens the session, or joins the open one, when it is entered or awaited. As `Pool.session`.

        Raises `BadArgument` for an id that no HTTP header can have.
        """
        session_id = check_label("a session id", session_id)
        session_headers(session_id)
        how = None if affinity is None else check_choice("affinity", affinity)
        then = None if on_restore is None else check_choice("on_restore", on_restore)
        return RemoteSession(self._served, session_id, how, reopen, then)

    async def resize(self, *, min_workers: int | None = None, max_workers: int | None = None) -> None:
        """Set new bounds, and wait until the floor is ready. Raises as `configure`; needs a token of role `admin`."""
        asked = {"min_workers": min_workers, "max_workers": max_workers}
        await self._administer("resize", {name: bound for name, bound in asked.items() if bound is not None})

    async def configure(self, **settings: Any) -> dict[str, Any]:
        """Change live settings of the pool; returns those whose value is another now, by name.

        Raises as `Pool.configure`. Needs a token of role `admin`.
        """
        check_names(settings)
        if fixed := [name for name in settings if name not in LIVE]:
            raise ValueError(f"{', '.join(fixed)} cannot change while the pool runs; what can is {', '.join(LIVE)}")
        told = await self._administer("configure", settings)
        changed: dict[str, Any] = told["changed"]
        return changed

    async def replace_workers(self) -> None:
        """Load the handler's code anew and replace every worker there is now, one after another; sessions move.

        Raises as `Pool.replace_workers`. Needs a token of role `admin`.
        """
        await self._administer("replace_workers", {})

    async def drain(self) -> None:
        """Have the pool take no more calls, of anybody, and wait until what is queued and running has ended.

        Needs a token of role `admin`.
        """
        await self._administer("drain", {})

    async def _administer(self, verb: str, asked: dict[str, Any]) -> Any:
        try:
            return await self._served.question(b"POST", "admin", verb, asked=asked, deadline=math.inf)
        except BadArgument as error:  # what settings raise, where they are the program's own
            raise ValueError(str(error)) from error

    # Asking it

    async def statistics(self) -> Statistics:
        """The pool at this moment. Needs a token of role `view` or `admin`."""
        return values.decode_statistics(await self._served.question(b"GET", "statistics"))

    async def sessions(
        self,
        *,
        prefix: str = "",
        state: SessionState | None = None,
        worker: int | None = None,
        limit: int = 1000,
        after: int = 0,
    ) -> tuple[SessionFacts, ...]:
        """The pool's sessions at this moment, oldest first, at most `limit`. Filters and raises as `Pool.sessions`.

        With a token of role `call` those of its owner. Others see all, their owners' names before their ids.
        """
        check_page(state, limit)
        asked = {"prefix": prefix, "state": state, "worker": worker, "limit": limit, "after": after}
        query = urlencode({name: value for name, value in asked.items() if value not in (None, "")})
        return values.decode_sessions(await self._served.question(b"GET", "sessions", query=query))

    async def pools(self) -> list[dict[str, Any]]:
        """The pools that the server has, this one among them: name, state, health and so on, as plain data.

        Needs a token of role `view` or `admin`.
        """
        told: dict[str, list[dict[str, Any]]] = await self._served.pools()
        return told["pools"]

    async def get(self, route: str, **query: Any) -> Any:
        """What another route of the pool answers, as plain data: `history`, `journal`, `alerts`, `calls/77`.

        `query` are its parameters, as the page on watching has them. Needs a token of role `view` or `admin`.
        """
        return await self._served.question(b"GET", *route.split("/"), query=urlencode(query))

    async def report(self, seconds: float = 900.0, end: float | None = None) -> str:
        """What the pool did in the `seconds` (at most a day) before `end` (Unix time; by default now), as HTML.

        One file that loads and runs nothing. Needs a token of role `view` or `admin`.
        """
        asked = {"seconds": seconds} if end is None else {"seconds": seconds, "end": end}
        return await self._served.page("report", query=urlencode(asked))

    async def command(self, verb: str, **arguments: Any) -> Any:
        """Give an administrator's command, such as `pause` or `silence`; what holds then, as plain data.

        Needs a token of role `admin`. Raises `ValueError` for what the command does not take. It goes on if this is
        cancelled.
        """
        return await self._administer(verb, arguments)

    def events(self, *names: str, last: int | None = None) -> RemoteEvents:
        """What the pool says, as it happens: an async iterator of dictionaries, until the server stops.

        `names` are of events or what comes before a dot in them, and `snapshot`; without any all are told but those of
        each call. `last` is the number of an event to go on behind. Needs a token of role `view` or `admin`.
        """
        return RemoteEvents(self._served, names, last)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a client holds a token and connections, and does not travel: make one where it is used")

    def __repr__(self) -> str:
        return f"<Client {self.name!r} at {self._served.address.text} {self.state}>"

    if not TYPE_CHECKING:  # to a type checker what is absent is absent

        def __getattr__(self, name: str) -> Any:
            if name in ABSENT:
                raise AttributeError(f"a client has no {name!r}: {ABSENT[name]}")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _checked(token: str | None) -> str | None:
    """The token. Raises without showing it."""
    if token is not None and not isinstance(token, str):
        raise TypeError(f"token is a string, not {type(token).__name__!r}")
    if token is not None and not _TOKEN.fullmatch(token):
        raise ValueError("token is not empty, and visible ASCII without spaces")
    return token


def _counted(connections: int) -> int:
    if not isinstance(connections, int) or isinstance(connections, bool) or not 1 <= connections <= 10_000:
        raise ValueError(f"connections is a whole number from 1 to 10000, not {connections!r}")
    return connections


def _disown() -> None:
    """In a forked child: connections belong to the parent; clients that are used here make their own."""
    for served in list(_OPEN):
        served.disown()


os.register_at_fork(after_in_child=_disown)
