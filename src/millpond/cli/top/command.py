"""`millpond top`: asks the server first, so that what is wrong is told before the screen is taken."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from millpond.cli.remote.asking import DEFAULT, Server, ask, refuse

if TYPE_CHECKING:
    from millpond.cli.top.screen import Top


def top(server: Server) -> None:
    """Show a pool until it is quit: the one that was named, else the server's first; exits with what is wrong."""
    if not sys.stdin.isatty() or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        refuse(server, "top needs a terminal; `millpond status --watch` prints the same to any output")

    async def first(client: Any) -> list[str]:
        names = [pool["name"] for pool in await client.pools()]
        if server.pool not in names and server.pool != DEFAULT.pool:
            await client.get("statistics")  # says which there are
        return names

    names = ask(server, first)
    if not names:
        refuse(server, "this server has no pool")
    from millpond.cli.top.screen import Top

    shown = Top(server.url, names, server.pool if server.pool in names else names[0])
    asyncio.run(_show(shown))
    sys.exit(shown.return_code or 0)


async def _show(shown: Top) -> None:
    """Show until it is quit; a signal ends it too, so that the terminal is left as it was."""
    for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signo, partial(shown.exit, return_code=128 + signo))
    await shown.run_async()
