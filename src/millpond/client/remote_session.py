"""A caller's handle of one session of a served pool: its calls, and its end.

A handle belongs to one generation, as that of a pool does. What it says of the session's state is what the last answer
said. Leaving `async with` releases the handle and keeps the session.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from millpond.client.remote_calls import RemoteCalls
from millpond.client.remote_errors import error_of
from millpond.client.served_pool import CLOSED, KnownSession, Request, ServedPool
from millpond.errors import InternalError
from millpond.options import Options
from millpond.settings import Affinity, OnRestore


class RemoteSession(RemoteCalls):
    """One session: calls of it run in order, one at a time, in the worker that holds its state."""

    __slots__ = ("_affinity", "_on_restore", "_reopen", "_session")

    def __init__(
        self, served: ServedPool, session_id: str, affinity: Affinity | None, reopen: bool, on_restore: OnRestore | None
    ) -> None:
        self._session = KnownSession(session_id)
        super().__init__(served, Options(session=self._session))
        self._affinity = affinity
        self._reopen = reopen
        self._on_restore = on_restore

    async def open(self) -> RemoteSession:
        """Open the session, or join the one that is open; returns itself. Raises as `SessionHandle.open`."""
        session = self._session
        session.check()
        if not session.state:
            asked: dict[str, Any] = {"id": session.id, "reopen": self._reopen}
            asked |= {} if self._affinity is None else {"affinity": self._affinity}
            asked |= {} if self._on_restore is None else {"on_restore": self._on_restore}
            told = await self._served.question(b"POST", "sessions", asked=asked)
            try:
                session.generation, session.state = int(told["generation"]), str(told["state"])
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
        session = self._opened()
        if session.state == CLOSED:
            return
        session.check()
        served = self._served
        request = served.question_request(b"DELETE", "sessions", session.id, options=self._options)
        answer = await served.exchange(request, served.ends_at(self._options))
        if answer.status not in (200, 204, 404):  # 404: somebody else closed it
            raise served.refused(request, error_of(*answer))
        session.state = CLOSED

    @property
    def chosen(self) -> Options:
        """What its calls are made with."""
        return self._options

    @property
    def id(self) -> str:
        """The session's id."""
        return self._session.id

    @property
    def generation(self) -> int:
        """How often it was reopened after a loss, plus one."""
        return self._opened().generation

    @property
    def state(self) -> str:
        """open, closed or lost: as the server said last."""
        return self._opened().state

    def options(self, **changes: Any) -> RemoteCalls:
        """Calls of this session under other options."""
        self._opened()
        return super().options(**changes)

    def request_for(
        self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any], stream: bool = False
    ) -> Request:
        """A call's request, as it is to be sent. Raises `RuntimeError` before the session was opened."""
        self._opened()
        return super().request_for(operation, args, kwargs, stream)

    def _opened(self) -> KnownSession:
        if not self._session.state:
            raise RuntimeError("the session was not opened; use `async with client.session(id) as s:` or await it")
        return self._session

    def __repr__(self) -> str:
        return f"<RemoteSession {self._session.state or 'not opened'}>"
