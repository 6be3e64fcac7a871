"""The options of the server itself: where it listens, who may come, TLS, and what it writes. Names are uvicorn's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

LogLevel = Literal["critical", "error", "warning", "info", "debug"]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """The options of one server, but for its limits.

    Parameters
    ----------
    host
        Address or name of this machine.
    port
        0 takes a free one.
    uds
        Path of a Unix socket, in place of a port.
    uds_mode
        Who may connect to it, as in chmod; its folder must let nobody else in.
    fd
        Number of a listening socket that is open already.
    auth
        `none` lets all in who can connect, as admin; on the loopback and Unix sockets only.
    allowed_host
        A name that clients may use in Host. Several may be given.
    proxy_headers
        Take client and scheme from X-Forwarded-For and X-Forwarded-Proto.
    forwarded_allow_ips
        Who is believed there: addresses and networks, or `*`. Whoever can connect otherwise is a client.
    ssl_keyfile
        Private key (PEM).
    ssl_certfile
        Certificate with its chain (PEM).
    ssl_keyfile_password
        Of the key; better given as MILLPOND_SSL_KEYFILE_PASSWORD, which nobody else can read.
    ssl_ca_certs
        Certificates (PEM) one of which must have signed the client's.
    ssl_ciphers
        Ciphers of TLS 1.2, as OpenSSL names them.
    log_level
        What is logged at least.
    log_format
        Lines of text or of JSON, on standard error.
    access_log
        Log a line for each request, without its query.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None
    uds_mode: str = "600"
    fd: int | None = None
    auth: Literal["token", "none"] = "token"
    allowed_host: Annotated[tuple[str, ...], Parameter(negative_iterable="")] = ()
    proxy_headers: bool = False
    forwarded_allow_ips: str = "127.0.0.1,::1"
    ssl_keyfile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile_password: str | None = None
    ssl_ca_certs: Path | None = None
    ssl_ciphers: str | None = None
    log_level: LogLevel = "info"
    log_format: Literal["text", "json"] = "text"
    access_log: bool = False
