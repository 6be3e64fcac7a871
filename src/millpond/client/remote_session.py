"""A caller's handle of one session of a served pool: its calls, and its end.

A handle belongs to one generation, as that of a pool does. What it says of the session's state is what the last answer
said. Leaving `async with` releases the handle and keeps the session.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from millpond.client.remote_calls import RemoteCalls
from millpond.client.served_pool import Request, ServedPool
from millpond.errors import InternalError, SessionLost
from millpond.options import Options
from millpond.settings import Affinity, OnRestore

OPEN, CLOSED, LOST = "open", "closed", "lost"


class RemoteSession(RemoteCalls):
    """One session: calls of it run in order, one at a time, in the worker that holds its state."""

    __slots__ = ("_affinity", "_generation", "_id", "_on_restore", "_reopen", "_state")

    def __init__(
        self, served: ServedPool, session_id: str, affinity: Affinity | None, reopen: bool, on_restore: OnRestore | None
    ) -> None:
        super().__init__(served, Options(session=session_id))
        self._id = session_id
        self._affinity = affinity
        self._reopen = reopen
        self._on_restore = on_restore
        self._generation = 0
        self._state: str | None = None

    async def open(self) -> RemoteSession:
        """Open the session, or join the one that is open; returns itself. Raises as `SessionHandle.open`."""
        if self._state in (CLOSED, LOST):
            raise SessionLost(f"the session is {self._state}; open another handle")
        if self._state is None:
            asked: dict[str, Any] = {"id": self._id, "reopen": self._reopen}
            asked |= {} if self._affinity is None else {"affinity": self._affinity}
            asked |= {} if self._on_restore is None else {"on_restore": self._on_restore}
            told = await self._served.question(b"POST", "sessions", asked=asked)
            try:
                self._generation = int(told["generation"])
                self._state = str(told["state"])
            except (KeyError, TypeError, ValueError):
                raise InternalError("the server's answer about the session cannot be read") from None
        return self

    def __await__(self) -> Generator[Any, None, RemoteSession]:
        return self.open().__await__()

    async def __aenter__(self) -> RemoteSession:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        """Release the handle; the session stays."""

    async def close(self) -> None:
        """End the session: calls already made come first, then `close_session` runs in its worker.

        One that is closed already is left alone. Raises `SessionLost` for one that was lost.
        """
        if self._opened() != CLOSED:
            await self._served.question(b"DELETE", "sessions", self._id)
            self._state = CLOSED

    @property
    def chosen(self) -> Options:
        """What its calls are made with."""
        return self._options

    @property
    def id(self) -> str:
        """The session's id."""
        return self._id

    @property
    def generation(self) -> int:
        """How often it was reopened after a loss, plus one."""
        self._opened()
        return self._generation

    @property
    def state(self) -> str:
        """open, closing, closed or lost: as the server said last."""
        return self._opened()

    def options(self, **changes: Any) -> RemoteCalls:
        """Calls of this session under other options."""
        self._opened()
        return super().options(**changes)

    def request(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], stream: bool = False) -> Request:
        """A call's request, as it is to be sent. Raises `RuntimeError` before the session was opened."""
        self._opened()
        return super().request(operation, args, kwargs, stream)

    def _opened(self) -> str:
        if self._state is None:
            raise RuntimeError("the session was not opened; use `async with client.session(id) as s:` or await it")
        return self._state

    def __repr__(self) -> str:
        return f"<RemoteSession {self._state or 'not opened'}>"
