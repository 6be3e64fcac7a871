"""Which names a server answers to, and which pages may send it requests: the headers Host and Origin.

A page of another site that has its name point to this machine still sends its own name as Host.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address
from typing import NamedTuple

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SECURE = {"http": "https", "ws": "wss"}
_HOST = re.compile(
    r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?)(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#@\\]+)", re.IGNORECASE)
_KNOWN = 64  # spellings of Host that were found to be allowed


class Host(NamedTuple):
    """A name in lower case (an IPv6 address in brackets, in its short form), and a port if one was said."""

    name: str
    port: int | None


def host_of(text: str) -> Host | None:
    """What a Host header says; `None` for what is none: user names, a dot at the end, other spellings of ports."""
    found = _HOST.fullmatch(text)
    if found is None:
        return None
    name, port = found["name"].lower(), int(found["port"] or 0)
    if port > 65535:
        return None
    if name.startswith("["):
        try:
            name = f"[{IPv6Address(name[1:-1])}]"
        except ValueError:
            return None
    return Host(name, port or None)


def allowed_host(text: str) -> Host:
    """One entry of `allowed_hosts`; without a port it is allowed with every port. Raises `ValueError`."""
    host = host_of(f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text)
    if host is None:
        raise ValueError(
            f"an allowed host is a name or address with or without a port, such as pool.example.com, not {text!r}"
        )
    return host


class Hosts:
    """The names of one server: those of the loopback with the port it is bound to, and the hosts it was told."""

    def __init__(self, allowed: Iterable[str] = (), *, loopback: bool = True) -> None:
        self._allowed = frozenset(map(allowed_host, allowed))
        self._loopback = LOOPBACK if loopback else frozenset()
        self._known: set[tuple[bytes, int | None, str]] = set()

    def answers_to(self, value: bytes, port: int | None, scheme: str) -> bool:
        """Whether a Host header names this server, which is bound to the port (`None`: a Unix socket)."""
        if (value, port, scheme) in self._known:
            return True
        host = host_of(value.decode("latin-1"))
        if host is None or not self._has(host, port, scheme):
            return False
        if len(self._known) < _KNOWN:
            self._known.add((value, port, scheme))
        return True

    def has_origin(self, value: bytes, port: int | None, scheme: str) -> bool:
        """Whether an Origin header names a page of this server, by any of its names."""
        origin = _origin_of(value, scheme)
        return origin is not None and self._has(origin[1], port, origin[0])

    def _has(self, host: Host, port: int | None, scheme: str) -> bool:
        if host in self._allowed or Host(host.name, None) in self._allowed:
            return True
        # No browser reaches a Unix socket; what does names no port of it.
        return host.name in self._loopback and (port is None or (host.port or DEFAULT_PORTS.get(scheme)) == port)


def is_own_origin(origin: bytes, host: bytes, scheme: str) -> bool:
    """Whether an Origin header names the page's own server: what the Host header of the same request names.

    Where the request came by plain HTTP the page may have come by HTTPS: from a proxy in front.
    """
    page, asked = _origin_of(origin, scheme), host_of(host.decode("latin-1"))
    if page is None or asked is None:
        return False
    default = DEFAULT_PORTS[page[0]]
    return page[1].name == asked.name and (page[1].port or default) == (asked.port or default)


def _origin_of(value: bytes, scheme: str) -> tuple[str, Host] | None:
    found = _ORIGIN.fullmatch(value.decode("latin-1"))
    if found is None or (host := host_of(found["host"])) is None:
        return None
    page = found["scheme"].lower()
    is_fit = page == "https" or scheme in ("http", "ws")
    return (page, host) if is_fit else None
