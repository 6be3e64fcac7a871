"""Where a server listens, as a program says it: a URL, or `unix:` and the path of a socket.

Checked when the client is made; nothing is looked up or connected here.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

EXAMPLES = "'http://127.0.0.1:8000', 'https://host', or 'unix:/path/of/socket'"
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")


@dataclass(frozen=True, slots=True)
class Address:
    """What is connected to, and what requests say about it: the `Host` header, and what comes before their paths."""

    text: str
    host: str
    port: int
    socket: str | None  # the path of a Unix socket, instead of host and port
    is_tls: bool
    host_header: str
    prefix: str

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, as the address says it."""
        if self.socket is not None or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(url: str) -> Address:
    """The address of a server. Raises `TypeError` or `ValueError` for what is none; a password in it is not shown."""
    if not isinstance(url, str):
        raise TypeError(f"a server's address is a string such as {EXAMPLES}, not {type(url).__name__!r}")
    if url.startswith("unix:"):
        path = url.removeprefix("unix:").removeprefix("//")
        if not path or "\0" in path:
            raise ValueError(f"{url!r} names no socket; an address is {EXAMPLES}")
        return Address(url, "", 0, path, False, "localhost", "")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"that is no address of a server: {error}; an address is {EXAMPLES}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address holds no user and password; pass the token as token=, or in MILLPOND_TOKEN")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is no address of a server; an address is {EXAMPLES}")
    is_tls = parts.scheme == "https"
    ascii_host = _in_ascii(host)
    shown = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    default = 443 if is_tls else 80
    host_header = shown if port in (None, default) else f"{shown}:{port}"
    prefix = quote(parts.path.rstrip("/"), safe="/%")
    return Address(url, ascii_host, default if port is None else port, None, is_tls, host_header, prefix)


def _in_ascii(host: str) -> str:
    """The name as it stands in headers. Raises `ValueError` for what is no name."""
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _HOST.fullmatch(name):
        raise ValueError(f"{host!r} is no name of a host; an address is {EXAMPLES}")
    return name


def tls_context(address: Address, tls: ssl.SSLContext | str | None) -> ssl.SSLContext | None:
    """What checks the server's certificate: the system's authorities, those of a file, or a context of the program's.

    Raises `TypeError` for anything else, `ValueError` for one that an address without TLS makes no use of.
    """
    if not address.is_tls:
        if tls is not None:
            raise ValueError(f"tls is for https addresses; {address.text!r} is none")
        return None
    if isinstance(tls, ssl.SSLContext):
        return tls
    if tls is not None and not isinstance(tls, str):
        raise TypeError(f"tls is a file of certificates, an ssl.SSLContext or None, not {type(tls).__name__!r}")
    return ssl.create_default_context(cafile=tls)
