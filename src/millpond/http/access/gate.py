"""What stands before an application: the paths open to all, the checks of Host and Origin, and whom they let in.

`Access` is the gate with tokens; here are the others, and what all of them read of a request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from millpond.http.access.caller import NOBODY, PROGRAM, Caller
from millpond.http.access.hosts import Hosts, is_own_origin
from millpond.http.problems import Problem

if TYPE_CHECKING:
    from starlette.routing import Route

Scope = MutableMapping[str, Any]
Decide = Callable[[Scope], "Caller | Awaitable[Caller | None] | None"]

FOR_ALL = frozenset({"/healthz", "/readyz"})  # whatever the Host: those who look after a machine name it by address
SAFE = ("GET", "HEAD")
_READ = frozenset({b"host", b"authorization", b"cookie", b"origin", b"content-type"})


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
        self._check_host(read_headers(scope).get(b"host", b""), scope)
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
        found = read_headers(scope)
        self._check_host(found.get(b"host", b""), scope)
        check_origin(self._names, found, scope)
        return PROGRAM


def route_path(scope: Scope) -> str:
    """The path without that under which the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("/", ""):
        return path[len(root) :]
    return path


def unauthorized() -> Problem:
    """The one answer to all who are not let in, whatever they sent and wherever to."""
    return Problem(
        401, "unauthorized", "This needs a token: Authorization: Bearer mp_...", headers={"WWW-Authenticate": "Bearer"}
    )


def read_headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers that matter here. One that comes twice is joined, and then none that is accepted."""
    found: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            # HTTP/2 lets browsers send a Cookie header in parts.
            between = b"; " if name == b"cookie" else b","
            found[name] = found[name] + between + value if name in found else value
    return found


def bearer_of(authorization: bytes) -> bytes | None:
    """What stands behind `Bearer`, in whatever case; `None` if another kind of authorization is named."""
    if authorization[:7] == b"Bearer ":
        return authorization[7:].strip(b" ")
    kind, _, given = authorization.partition(b" ")
    return given.strip(b" ") if kind.lower() == b"bearer" else None


def check_page(scope: Scope, found: Mapping[bytes, bytes], *, changes: bool = True) -> None:
    """Raise unless a script of the server's own pages sent the request; one that `changes` something must be JSON."""
    if not is_own_origin(found.get(b"origin", b""), found.get(b"host", b""), scope.get("scheme", "http")):
        raise _foreign_origin()
    kind = found.get(b"content-type", b"").partition(b";")[0].strip(b" \t").lower()
    if changes and kind != b"application/json" and scope["type"] == "http":
        raise Problem(415, "unsupported_media_type", "With a cookie every request that changes something is JSON.")


def check_origin(hosts: Hosts, found: Mapping[bytes, bytes], scope: Scope) -> None:
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
