"""The blocking client: a served pool with the verbs of `SyncPool`, safe to share between threads.

Owns a loop in a thread, on which a `Client` lives. Requests are made out in the calling thread and its context, so that
the loop's thread only carries them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from millpond.client.asynchronous import ABSENT, Client
from millpond.client.remote_calls import NO_FUNCTIONS, RemoteCalls
from millpond.client.remote_events import RemoteEvents
from millpond.client.remote_session import RemoteSession
from millpond.client.remote_stream import RemoteStream
from millpond.errors import BadArgument, PoolClosed
from millpond.facts import SessionFacts, SessionState, Statistics
from millpond.loopthread import LoopThread
from millpond.settings import Affinity, OnRestore

_CLIENTS: weakref.WeakSet[SyncClient] = weakref.WeakSet()


class SyncRemoteCalls:
    """A served pool's operations under certain options, blocking."""

    def __init__(self, owner: SyncClient, calls: RemoteCalls) -> None:
        self._owner = owner
        self._calls = calls

    def call(self, operation: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run one operation and wait for its result.

        Raises as `Client.call`. An interrupt of the waiting thread (Ctrl-C) interrupts the operation too.
        """
        request = self._calls.request_for(operation, args, kwargs)
        return self._owner.run_async(lambda: self._calls.answer_to(request))

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Raises `BadArgument`: functions do not travel over HTTP."""
        raise BadArgument(NO_FUNCTIONS)

    def map(self, operation: str, items: Iterable[Any], /) -> Iterator[Any]:
        """Run one operation over many arguments; results in their order, a bounded number ahead."""
        owner, calls = self._owner, self._calls
        ahead: deque[Future[Any]] = deque()
        try:
            for item in items:
                ahead.append(owner.usable_thread().begin(calls.answer_to(calls.request_for(operation, (item,), {}))))
                if len(ahead) >= calls.map_window:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in reversed(ahead):  # those that wait first, so that none begins where another stops
                future.cancel()

    def stream(self, operation: str, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Run a generator operation and iterate over its items; closing the iterator ends it in the worker."""
        return self._owner.iterate(self._calls.stream(operation, *args, **kwargs))

    def options(self, **changes: Any) -> SyncRemoteCalls:
        """The same operations under other options: deadline, session, idempotent, priority, on_cancel."""
        return SyncRemoteCalls(self._owner, self._calls.options(**changes))


class SyncRemoteSession(SyncRemoteCalls):
    """One session, blocking; see `RemoteSession`."""

    def __init__(self, owner: SyncClient, handle: RemoteSession) -> None:
        super().__init__(owner, handle)
        self._handle = handle

    def __enter__(self) -> SyncRemoteSession:
        return self

    def __exit__(self, *_: object) -> None:
        """Release the handle; the session stays."""

    def close(self) -> None:
        """End the session: calls already made come first, then `close_session` runs in its worker."""
        if self._handle.state == "open":
            self._owner.run_async(self._handle.close)

    @property
    def id(self) -> str:
        """The session's id."""
        return self._handle.id

    @property
    def generation(self) -> int:
        """How often it was reopened after a loss, plus one."""
        return self._handle.generation

    @property
    def state(self) -> str:
        """open, closing, closed or lost: as the server said last."""
        return self._handle.state


class SyncClient(SyncRemoteCalls):
    """A `Client` for programs without asyncio: the same arguments, the same verbs, blocking and thread-safe.

    In a forked child it goes on with connections and a thread of its own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.client = Client(*args, **kwargs)
        super().__init__(self, self.client)
        self._thread: LoopThread | None = None
        self._lock = threading.RLock()  # held while the thread is started, and while it is ended

    def open(self) -> SyncClient:
        """Be ready for calls; returns itself. Raises as `Client.open`."""
        self._check_other_thread()
        with self._lock:
            if self.client.state == "closed":
                raise PoolClosed("the client is closed; make another")
            if self._thread is None:
                self._start()
                _CLIENTS.add(self)
        return self

    def close(self, drain: float | None = None) -> None:
        """End the client and its thread, not the pool; see `Client.close`. Any number of times."""
        self._check_other_thread()
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                self.client.close_unopened()
                return
            try:
                thread.run(self.client.close(drain))
            finally:
                thread.stop()

    def __enter__(self) -> SyncClient:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    def session(
        self,
        session_id: str,
        *,
        reopen: bool = False,
        affinity: Affinity | None = None,
        on_restore: OnRestore | None = None,
    ) -> SyncRemoteSession:
        """Open the session, or join the open one. Raises as `RemoteSession.open`."""
        handle = self.client.session(session_id, reopen=reopen, affinity=affinity, on_restore=on_restore)
        return SyncRemoteSession(self, self.run_async(handle.open))

    def resize(self, *, min_workers: int | None = None, max_workers: int | None = None) -> None:
        """Set new bounds, and wait until the floor is ready."""
        self.run_async(lambda: self.client.resize(min_workers=min_workers, max_workers=max_workers))

    def configure(self, **settings: Any) -> dict[str, Any]:
        """Change live settings of the pool; see `Client.configure`."""
        changed: dict[str, Any] = self.run_async(lambda: self.client.configure(**settings))
        return changed

    def replace_workers(self) -> None:
        """Replace every worker there is now, one after another; sessions move to the new ones."""
        self.run_async(self.client.replace_workers)

    def drain(self) -> None:
        """Have the pool take no more calls, and wait until what is queued and running has ended."""
        self.run_async(self.client.drain)

    def statistics(self) -> Statistics:
        """The pool at this moment; see `Client.statistics`."""
        found: Statistics = self.run_async(self.client.statistics)
        return found

    def sessions(
        self,
        *,
        prefix: str = "",
        state: SessionState | None = None,
        worker: int | None = None,
        limit: int = 1000,
        after: int = 0,
    ) -> tuple[SessionFacts, ...]:
        """The pool's sessions at this moment, oldest first, at most `limit`; see `Client.sessions`."""
        found: tuple[SessionFacts, ...] = self.run_async(
            lambda: self.client.sessions(prefix=prefix, state=state, worker=worker, limit=limit, after=after)
        )
        return found

    def pools(self) -> list[dict[str, Any]]:
        """The pools that the server has; see `Client.pools`."""
        told: list[dict[str, Any]] = self.run_async(self.client.pools)
        return told

    def get(self, route: str, **query: Any) -> Any:
        """What another route of the pool answers, as plain data; see `Client.get`."""
        return self.run_async(lambda: self.client.get(route, **query))

    def report(self, seconds: float = 900.0, end: float | None = None) -> str:
        """What the pool did in so many seconds, as one file of HTML; see `Client.report`."""
        page: str = self.run_async(lambda: self.client.report(seconds, end))
        return page

    def command(self, verb: str, **arguments: Any) -> Any:
        """Give an administrator's command; see `Client.command`."""
        return self.run_async(lambda: self.client.command(verb, **arguments))

    def events(self, *names: str, last: int | None = None) -> Iterator[dict[str, Any]]:
        """What the pool says, as it happens, until the server stops; see `Client.events`."""
        return self.iterate(self.client.events(*names, last=last))

    @property
    def name(self) -> str:
        """The pool's name."""
        return self.client.name

    def usable_thread(self) -> LoopThread:
        """The client's thread, for who is on another. Raises `RuntimeError`, and `PoolClosed` if it has none."""
        self._check_other_thread()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    if self.client.state != "open":  # as a forked child's is
                        raise PoolClosed(f"the client is {'closed' if self.client.state == 'closed' else 'not open'}")
                    self._start()
        thread = self._thread
        if thread is None:
            raise PoolClosed("the client is closed")
        return thread

    def run_async(self, verb: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Run one of the client's own verbs on its thread and wait for it; raises as `usable_thread`."""
        return self.usable_thread().run(verb())

    def iterate(self, items: RemoteStream | RemoteEvents) -> Iterator[Any]:
        """What comes, read on the client's thread; raises as `usable_thread`."""
        thread = self.usable_thread()
        try:
            while True:
                try:
                    item = self.run_async(items.__anext__)
                except StopAsyncIteration:
                    return
                yield item
        finally:
            # Not waited for: a generator nobody names any more may be collected on the client's own thread.
            thread.start_task(items.aclose())

    def disown(self) -> None:
        """In a forked child: the thread is the parent's, and so is whoever held the lock."""
        self._thread = None
        self._lock = threading.RLock()

    def _start(self) -> None:
        thread = LoopThread(f"millpond-client-{self.name}", lambda: None)
        thread.start()
        try:
            thread.run(self.client.open())
        except BaseException:
            thread.stop()
            raise
        self._thread = thread

    def _check_other_thread(self) -> None:
        if self._thread is not None and self._thread.is_current:
            raise RuntimeError("a SyncClient cannot be called from its own thread")

    def __reduce__(self) -> tuple[Any, ...]:
        return self.client.__reduce__()

    def __repr__(self) -> str:
        return f"<Sync{repr(self.client)[1:]}"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in ABSENT:
                raise AttributeError(f"a client has no {name!r}: {ABSENT[name]}")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _disown() -> None:
    for client in list(_CLIENTS):
        client.disown()


os.register_at_fork(after_in_child=_disown)
