"""`millpond top`: asks the server first, so that what is wrong is told before the screen is taken."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from millpond.cli.remote.asking import DEFAULT, Server, ask, refuse


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
    asyncio.run(shown.run_async())
    sys.exit(shown.return_code or 0)
