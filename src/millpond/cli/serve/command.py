"""Carries `millpond serve` out: has the server made, tells where it is, runs it, and ends with a code.

Whatever is wrong ends with one sentence on standard error and the exit code that says whose fault it is.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from functools import partial
from typing import NoReturn

import uvloop

from millpond.cli.exit_codes import CANNOT_LISTEN, CANNOT_OPEN, INTERRUPTED, USAGE
from millpond.cli.serve import logs
from millpond.cli.serve.configuration import WrongConfiguration
from millpond.cli.serve.making import Asked, make_server
from millpond.cli.serve.start_failure import told
from millpond.cli.terminal import exit_with
from millpond.environment import TOKEN, TOKEN_FILE
from millpond.http.access.access import Access
from millpond.http.server.listening import CannotListen
from millpond.http.server.server import CannotOpen, Server
from millpond.token_file import StateError


def serve(asked: Asked) -> None:
    """Serve until a signal; then exit, with 0 if all went as it should."""
    sys.path.insert(0, os.getcwd())  # as `python -m` does: handlers are found beside where it is started
    options = asked.options
    logs.set_up(options.log_level, options.log_format, options.access_log)
    try:
        server = make_server(asked)
    except (WrongConfiguration, StateError) as error:
        exit_with(str(error), USAGE)
    except CannotListen as error:
        exit_with(str(error), CANNOT_LISTEN)
    scheme = "https" if options.ssl_certfile or options.proxy_headers else "http"
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(partial(_tell, server, scheme)))
            if server.stopping.is_urgent:
                _leave()
    except CannotOpen as failed:
        exit_with(told(failed.error, failed.name), CANNOT_OPEN)


def _tell(server: Server, scheme: str) -> None:
    """Print one line: what is served, where, and where the token is; with a terminal, a way to log in."""
    pools = ", ".join(server.pools)
    addresses = [one.address(scheme) for one in server.listeners]
    access = server.application.access
    where = ""
    if isinstance(access, Access):
        found = next((f"in ${name}" for name in (TOKEN, TOKEN_FILE) if name in os.environ), None)
        where = f" (the token is {found or 'in ' + access.state.path('token')})"
    print(f"millpond: serving {pools} at {', '.join(addresses)}{where}", flush=True)
    if isinstance(access, Access) and sys.stdout.isatty() and addresses[0].startswith("http"):
        code = access.state.new_code("local", time.time())
        print(f"millpond: to log in once, within 10 minutes: {addresses[0]}/login#{code}", flush=True)


def _leave() -> NoReturn:
    """End this instant: a second signal asked for it. The wardens end what runs."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)
