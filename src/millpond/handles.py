"""A caller's handle of one session: its calls, and its end.

A handle belongs to one generation: after the session was lost and reopened, or closed, an older handle can do nothing,
not even close. Leaving `async with` releases the handle and keeps the session.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from millpond.calls import Calls
from millpond.core import refusals, session_states, states
from millpond.options import Options
from millpond.settings import Affinity, OnRestore

if TYPE_CHECKING:
    from millpond.core import Session
    from millpond.pool import Pool


class SessionHandle(Calls):
    """One session: calls of it run in order, one at a time, in the worker that holds its state."""

    __slots__ = ("_affinity", "_id", "_on_restore", "_reopen", "_session")

    def __init__(
        self, pool: Pool, session_id: str, affinity: Affinity | None, reopen: bool, on_restore: OnRestore | None
    ) -> None:
        super().__init__(pool, Options())
        self._id = session_id
        self._affinity = affinity
        self._reopen = reopen
        self._on_restore = on_restore
        self._session: Session | None = None

    async def open(self) -> SessionHandle:
        """Open the session, or join the one that is open; returns itself.

        Raises `SessionLost` for one that was lost (unless it is to be reopened), also if this handle had opened it
        before and it is lost or closed by now; `TooManySessions` at the cap, and `StoreFailed` if the store cannot say
        whether an earlier program left it.
        """
        if self._session is not None and self._session.state != session_states.OPEN:
            raise refusals.of_session(self._session)
        if self._session is None:
            factory, _ = self._pool.factory_on_loop()
            await self._pool.entered()
            self._session = await factory.driver.open_session(self._id, self._affinity, self._reopen, self._on_restore)
            self._options = Options(session=self._session)
        return self

    def __await__(self) -> Generator[Any, None, SessionHandle]:
        return self.open().__await__()

    async def __aenter__(self) -> SessionHandle:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        """Release the handle; the session stays."""

    async def close(self) -> None:
        """End the session: calls already made come first, then `close_session` runs in its worker.

        One that is closed already, or ended with its pool, is left alone. Raises `SessionLost` for one that was lost,
        before or meanwhile: its state is gone, and `close_session` did not run.
        """
        session, driver = self._opened(), self._pool.driver
        if session.state == session_states.OPEN and driver.view.state != states.CLOSED:
            await driver.close_session(session)
        if session.state == session_states.LOST and driver.view.state not in (states.CLOSING, states.CLOSED):
            raise refusals.of_session(session)

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
        return self._opened().generation

    @property
    def state(self) -> str:
        """open, closing, closed or lost."""
        return self._opened().state

    def options(self, **changes: Any) -> Calls:
        """Calls of this session under other options."""
        self._opened()
        return super().options(**changes)

    def _opened(self) -> Session:
        if self._session is None:
            raise RuntimeError("the session was not opened; use `async with pool.session(id) as s:` or await it")
        return self._session

    def __repr__(self) -> str:
        return f"<SessionHandle {self._session.state if self._session else 'not opened'}>"
