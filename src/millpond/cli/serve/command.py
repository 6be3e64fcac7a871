"""Carries `millpond serve` out: listens, makes the pools and their application, runs the server, and ends with a code.

Whatever is wrong ends with one sentence on standard error and the exit code that says whose fault it is.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from millpond import Pool
from millpond.cli.serve import logs
from millpond.cli.serve.configuration import NOTHING, WRONG, WrongConfiguration, make_pool, read
from millpond.cli.serve.exposure import check_exposure, tls_of
from millpond.cli.serve.options import ServerOptions
from millpond.cli.serve.start_failure import told
from millpond.environment import TOKEN, TOKEN_FILE
from millpond.http import app as make_app
from millpond.http.access.access import Access
from millpond.http.access.gate import LocalAccess
from millpond.http.server.descriptors import most_connections
from millpond.http.server.limits import Limits
from millpond.http.server.listening import (
    SYSTEMD,
    CannotListen,
    Listener,
    open_address,
    open_inherited,
    open_path,
    take_activated,
)
from millpond.http.server.server import CannotOpen, Server
from millpond.http.server.state import State
from millpond.token_file import StateError

CANNOT_LISTEN, CANNOT_OPEN, AT_ONCE = 3, 4, 130
KEY_PASSWORD = "MILLPOND_SSL_KEYFILE_PASSWORD"


def serve(
    handler: str | None,
    config: Path | None,
    name: str,
    options: ServerOptions,
    limits: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> None:
    """Serve until a signal; then exit, with 0 if all went as it should."""
    sys.path.insert(0, os.getcwd())  # as `python -m` does: handlers are found beside where it is started
    logs.set_up(options.log_level, options.log_format, options.access_log)
    try:
        server, scheme = _made(handler, config, name, options, limits, settings)
    except (WrongConfiguration, StateError) as error:
        _end(WRONG, error)
    except CannotListen as error:
        _end(CANNOT_LISTEN, error)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(partial(_tell, server, scheme)))
            if server.stopping.is_urgent:
                _leave()
    except CannotOpen as failed:
        _end(CANNOT_OPEN, told(failed.error, failed.name))


def _made(
    handler: str | None,
    config: Path | None,
    name: str,
    options: ServerOptions,
    limits: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> tuple[Server, str]:
    """The server, and the scheme of its addresses."""
    try:
        checked = Limits(**limits)
    except ValueError as error:
        raise WrongConfiguration(str(error)) from None
    tls = tls_of(options)
    os.environ.pop(KEY_PASSWORD, None)  # the processes of a pool inherit the environment
    pools = _pools(handler, config, name, settings)
    listeners = _listeners(options)
    check_exposure(options, listeners)
    try:
        most = most_connections((_workers(pool) for pool in pools.values()), checked.limit_connections)
    except ValueError as error:
        raise WrongConfiguration(str(error)) from None
    try:
        auth = (Access if options.auth == "token" else LocalAccess)(allowed_hosts=options.allowed_host)
    except ValueError as error:
        raise WrongConfiguration(str(error)) from None
    application = make_app(pools, auth=auth, limit_body=checked.limit_body)
    server = Server(
        application,
        pools,
        listeners,
        State(checked, most, access_log=options.access_log),
        tls=tls,
        trusted_proxies=options.forwarded_allow_ips if options.proxy_headers else None,
    )
    return server, "https" if tls or options.proxy_headers else "http"


def _pools(handler: str | None, config: Path | None, name: str, settings: Mapping[str, Any]) -> dict[str, Pool]:
    found = read(config) if config is not None else NOTHING
    tables: dict[str, Mapping[str, Any]] = dict(found.pools)
    if handler is not None:
        tables[name] = {**tables.get(name, {}), "handler": handler}
    if not tables:
        raise WrongConfiguration(
            "say which handler to serve, as module:Class, or name a file that does (--config millpond.toml)"
        )
    return {one: make_pool(one, table, settings, found) for one, table in tables.items()}


def _workers(pool: Pool) -> int:
    return pool.settings.max_workers + pool.settings.spare_workers


def _listeners(options: ServerOptions) -> Sequence[Listener]:
    is_activated = SYSTEMD[0] in os.environ
    activated = take_activated(os.environ)
    if activated and (options.fd is not None or options.uds is not None):
        raise WrongConfiguration("systemd hands a socket over; --fd and --uds name another")
    if is_activated and activated:
        return activated
    if options.fd is not None and options.uds is not None:
        raise WrongConfiguration("--fd and --uds each name a socket; give one of them")
    if options.fd is not None:
        return [open_inherited(options.fd)]
    if options.uds is not None:
        try:
            mode = int(options.uds_mode, 8)
        except ValueError:
            mode = -1
        if not 0o600 <= mode <= 0o666 or mode & 0o111:
            raise WrongConfiguration(f"uds_mode must be 600, 660 or 666, not {options.uds_mode!r}")
        return [open_path(options.uds, mode)]
    if not 0 <= options.port <= 65535:
        raise WrongConfiguration(f"port must be from 0 to 65535, not {options.port}")
    return open_address(options.host, options.port)


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
    os._exit(AT_ONCE)


def _end(code: int, why: object) -> NoReturn:
    print(f"millpond: {why}", file=sys.stderr)
    sys.exit(code)
