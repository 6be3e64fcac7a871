"""The server of an application and its pools: opens them, takes connections, and stops in a bounded time.

Listens first and opens the pools meanwhile. How it stops is in `stopping`. The sockets are `listening`'s, what each
connection may do is `connection`'s, the command line is `cli.serve`'s.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.lifespan.on import LifespanOn

from millpond.http.application import Application
from millpond.http.server.connection import Connection
from millpond.http.server.listening import Listener, remove_path
from millpond.http.server.proxies import BehindProxies
from millpond.http.server.state import State
from millpond.http.server.stopping import Stop

if TYPE_CHECKING:
    from millpond.pool import Pool

logger = logging.getLogger("millpond.http")


class CannotOpen(Exception):
    """A pool could not open: its name, and what it raised."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(name, error)
        self.name = name
        self.error = error


class Server:
    """One server; `serve` runs it once."""

    def __init__(
        self,
        application: Any,
        pools: Mapping[str, Pool],
        listeners: Sequence[Listener],
        state: State,
        *,
        tls: ssl.SSLContext | None = None,
        trusted_proxies: str | None = None,
        handle_signals: bool = True,
    ) -> None:
        self.application = application
        self.pools = pools
        self.listeners = listeners
        self.state = state
        if isinstance(application, Application):
            application.traffic.connections = lambda: len(state.connections)
        self._tls = tls
        self._signals: Mapping[int, Callable[[], None]] = {}
        if handle_signals:
            self._signals = {signal.SIGINT: self.stop, signal.SIGTERM: self.stop, signal.SIGHUP: self.reload}
        self._config = Config(
            application if trusted_proxies is None else BehindProxies(application, trusted_proxies),
            http=Connection,
            ws="none",
            interface="asgi3",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self.accepting: list[asyncio.AbstractServer] = []
        self.stopping = Stop(self)
        self._reloading: set[asyncio.Task[None]] = set()

    async def serve(self, started: Callable[[], None] = lambda: None) -> None:
        """Serve until a signal, or `stop`; tells when connections are taken. Raises `CannotOpen`."""
        self._config.load()
        loop = asyncio.get_running_loop()
        for signo, handle in self._signals.items():
            loop.add_signal_handler(signo, handle)
        lifespan = LifespanOn(self._config)
        await lifespan.startup()
        if lifespan.should_exit:
            raise RuntimeError("the application did not start")
        sweep = asyncio.create_task(self.state.sweep())
        openings = [asyncio.create_task(self._open(name, pool)) for name, pool in self.pools.items()]
        try:
            for listener in self.listeners:
                self.accepting.append(await self._accept(loop, listener, lifespan.state))
            started()
            await self._until_stop([*openings, sweep])
        finally:
            await self.stopping.carry_out()
            sweep.cancel()
            for opening in openings:
                opening.cancel()
            await asyncio.gather(*openings, return_exceptions=True)
            await lifespan.shutdown()
            for listener in self.listeners:
                remove_path(listener)
            for signo in self._signals:
                loop.remove_signal_handler(signo)

    async def _open(self, name: str, pool: Pool) -> None:
        try:
            await pool.open()
        except Exception as error:
            raise CannotOpen(name, error) from None

    def stop(self) -> None:
        """Stop; asked for again, at once."""
        self.stopping.ask()

    async def _accept(self, loop: Any, listener: Listener, app_state: dict[str, Any]) -> asyncio.AbstractServer:
        def made() -> Connection:
            return Connection(self._config, self.state, app_state, loop)

        timeout = self.state.limits.timeout_headers if self._tls else None
        how: dict[str, Any] = {"ssl": self._tls, "ssl_handshake_timeout": timeout}
        if listener.socket.family == socket.AF_UNIX:
            made_by = loop.create_unix_server(made, sock=listener.socket, cleanup_socket=False, **how)
        else:
            made_by = loop.create_server(made, sock=listener.socket, **how)
        accepting: asyncio.AbstractServer = await made_by
        return accepting

    async def _until_stop(self, openings: list[asyncio.Task[None]]) -> None:
        """Wait until the server shall stop. Raises `CannotOpen`."""
        stop = asyncio.create_task(self.stopping.asked.wait())
        waits: set[asyncio.Task[Any]] = {stop, *openings}
        try:
            while not stop.done():
                done, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for opening in done - {stop}:
                    if not self.stopping.asked.is_set():
                        opening.result()
        finally:
            stop.cancel()

    def reload(self) -> None:
        """Load the handlers' code anew and replace all workers; what fails goes on as before, and is logged."""
        for name, pool in self.pools.items():
            task = asyncio.create_task(self._reload(name, pool))
            self._reloading.add(task)
            task.add_done_callback(self._reloading.discard)

    async def _reload(self, name: str, pool: Pool) -> None:
        try:
            await pool.replace_workers()
            logger.info("pool %s: all workers are replaced", name)
        except Exception as error:
            logger.error("pool %s: its workers could not be replaced, those before go on: %s", name, error)
