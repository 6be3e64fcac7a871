"""Makes a server of what was asked for: its pools, its sockets, and the application between them.

Raises `WrongConfiguration`, `StateError` or `CannotListen`; nothing runs yet.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millpond import Pool
from millpond.cli.serve.configuration import NOTHING, WrongConfiguration, make_pool, read
from millpond.cli.serve.exposure import check_exposure, tls_of
from millpond.cli.serve.options import ServerOptions
from millpond.http import app as make_app
from millpond.http.access.access import Access
from millpond.http.access.gate import LocalAccess
from millpond.http.server.descriptors import most_connections
from millpond.http.server.limits import Limits
from millpond.http.server.listening import Listener, open_address, open_inherited, open_path, take_activated
from millpond.http.server.server import Server
from millpond.http.server.state import State

KEY_PASSWORD = "MILLPOND_SSL_KEYFILE_PASSWORD"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the command line, the environment and the file ask for, of the file but for its pools."""

    handler: str | None
    config: Path | None
    name: str
    options: ServerOptions
    limits: Mapping[str, Any]
    settings: Mapping[str, Any]


def make_server(asked: Asked) -> Server:
    """The server. Its sockets are open, and clients wait in them."""
    options = asked.options
    try:
        limits = Limits(**asked.limits)
        os.environ.pop(KEY_PASSWORD, None)  # it was read, and the processes of a pool inherit the environment
        tls = tls_of(options)
        pools = _pools(asked)
        listeners = _listeners(options)
        check_exposure(options, listeners)
        most = most_connections((_workers(pool) for pool in pools.values()), limits.limit_connections)
        auth = (Access if options.auth == "token" else LocalAccess)(allowed_hosts=options.allowed_host)
        application = make_app(pools, auth=auth, limit_body=limits.limit_body)
    except ValueError as error:
        raise WrongConfiguration(str(error)) from None
    return Server(
        application,
        pools,
        listeners,
        State(limits, most, access_log=options.access_log),
        tls=tls,
        trusted_proxies=options.forwarded_allow_ips if options.proxy_headers else None,
    )


def _pools(asked: Asked) -> dict[str, Pool]:
    found = read(asked.config) if asked.config is not None else NOTHING
    tables: dict[str, Mapping[str, Any]] = dict(found.pools)
    if asked.handler is not None:
        tables[asked.name] = {**tables.get(asked.name, {}), "handler": asked.handler}
    if not tables:
        raise WrongConfiguration(
            "say which handler to serve, as module:Class, or name a file that does (--config millpond.toml)"
        )
    return {name: make_pool(name, table, asked.settings, found) for name, table in tables.items()}


def _workers(pool: Pool) -> int:
    return pool.settings.max_workers + pool.settings.spare_workers


def _listeners(options: ServerOptions) -> Sequence[Listener]:
    activated = take_activated(os.environ)
    if activated and (options.fd is not None or options.uds is not None):
        raise WrongConfiguration("systemd hands a socket over; --fd and --uds name another")
    if activated:
        return activated
    if options.fd is not None and options.uds is not None:
        raise WrongConfiguration("--fd and --uds each name a socket; give one of them")
    if options.fd is not None:
        return [open_inherited(options.fd)]
    if options.uds is not None:
        return [open_path(options.uds, _mode(options.uds_mode))]
    if not 0 <= options.port <= 65535:
        raise WrongConfiguration(f"port must be from 0 to 65535, not {options.port}")
    return open_address(options.host, options.port)


def _mode(text: str) -> int:
    if text not in ("600", "660", "666"):
        raise WrongConfiguration(f"uds_mode must be 600, 660 or 666, not {text!r}")
    return int(text, 8)
