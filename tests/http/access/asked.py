"""Requests as an ASGI server hands them on, and access with a folder of its own and clocks that stand still."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from millpond.http.access.access import Access
from millpond.http.access.caller import Caller
from millpond.http.access.cookies import cookie_name
from millpond.http.problems import Problem

NOON = 1_800_000_000.0
PORT = 8000


def request(
    path: str = "/v1/pools/p/call/read",
    method: str = "POST",
    *more: tuple[str, str],
    host: str | None = f"127.0.0.1:{PORT}",
    port: int | None = PORT,
    client: tuple[str, int] | None = ("127.0.0.1", 50_000),
    scheme: str = "http",
    root_path: str = "",
    **headers: str,
) -> dict[str, Any]:
    """A scope; headers by name with `_` for `-`, or as pairs where one comes twice."""
    named = [("host", host)] if host is not None else []
    given = [*named, *((name.replace("_", "-"), value) for name, value in headers.items()), *more]
    return {
        "type": "http",
        "path": path,
        "method": method,
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given],
        "server": ("127.0.0.1", port) if port is not None else ("/run/pool.sock", None),
        "client": client,
        "scheme": scheme,
        "root_path": root_path,
    }


@dataclass
class Clocks:
    """Both clocks of an `Access`."""

    wall: float = NOON
    monotonic: float = 100.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@dataclass
class Asked:
    """An `Access` with a folder of its own."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.clocks = Clocks()
        self.access = Access(
            allowed_hosts=self.allowed_hosts,
            state_folder=str(self.folder),
            environ=self.environ,
            wall=lambda: self.clocks.wall,
            monotonic=lambda: self.clocks.monotonic,
        )

    @property
    def token(self) -> str:
        """The server's own."""
        return (self.folder / "token").read_text().strip()

    def issue(self, role: Any = "call", owner: str | None = None, seconds: float | None = None) -> tuple[str, str]:
        """Id and token of one more, as the command line makes it, and as the server has seen it."""
        until = None if seconds is None else self.clocks.wall + seconds
        made, token = self.access.state.issue(role, owner, until, self.clocks.wall)
        self.clocks.advance(1.0)
        return made.id, token

    def cookie(self, token_id: str = "local", *, port: int | None = PORT, scheme: str = "http") -> str:
        """A Cookie header of a browser that has just logged in."""
        self.access.tokens.look(self.clocks.monotonic)
        name = cookie_name(port, scheme)
        return f"{name}={self.access.cookies.new(name, self.access.tokens.by_id[token_id], self.clocks.wall)[0]}"

    def outcome(self, scope: dict[str, Any]) -> Caller | int:
        """Who is let in, or the status of the refusal."""
        try:
            return self.access.check(scope)
        except Problem as problem:
            return problem.status

    def bearer(self, token: str, **headers: str) -> Caller | int:
        """The same for a call with a token."""
        return self.outcome(request(authorization=f"Bearer {token}", **headers))
