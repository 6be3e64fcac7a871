"""Addresses of servers: what they are taken for, and what is refused when the client is made."""

from __future__ import annotations

import ssl

import pytest

import millpond
from millpond.client.address import parse_address, tls_context


@pytest.mark.parametrize(
    ("url", "host", "port", "host_header", "prefix", "is_local"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000", "", True),
        ("http://localhost:8000/", "localhost", 8000, "localhost:8000", "", True),
        ("http://[::1]:8000", "::1", 8000, "[::1]:8000", "", True),
        ("https://pool.example", "pool.example", 443, "pool.example", "", False),
        ("https://pool.example:443/api/millpond/", "pool.example", 443, "pool.example", "/api/millpond", False),
        ("http://10.0.0.1", "10.0.0.1", 80, "10.0.0.1", "", False),
    ],
)
def test_a_url_is_taken_apart(url, host, port, host_header, prefix, is_local):
    """Host, port, the `Host` header, what is before the routes, and whether it is this machine."""
    address = parse_address(url)
    assert (address.host, address.port, address.host_header, address.prefix) == (host, port, host_header, prefix)
    assert address.is_local is is_local


@pytest.mark.parametrize("url", ["unix:/run/millpond.sock", "unix:///run/millpond.sock"])
def test_a_path_of_a_socket_is_an_address(url):
    """Of this machine, always."""
    address = parse_address(url)
    assert (address.socket, address.is_local, address.host_header) == ("/run/millpond.sock", True, "localhost")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://host/?token=x",
        "unix:",
        "http://[",
        "http://a b",
        'http://a"b',
        "http://\udc80",
    ],
)
def test_what_is_no_address_is_refused_at_once(url):
    """By the constructor, with examples of what is one."""
    with pytest.raises(ValueError, match=r"an address is 'http://127.0.0.1:8000'"):
        millpond.Client(url)


def test_a_password_in_an_address_is_refused_and_not_repeated():
    """It would be in logs and reprs."""
    with pytest.raises(ValueError, match="token=") as told:
        millpond.Client("http://user:canary@host")
    assert "canary" not in str(told.value)
    with pytest.raises(TypeError, match="is a string"):
        millpond.Client(8000)


def test_tls_is_checked_unless_the_program_brings_its_own_context():
    """The system's certificates, those of a file, or a context; nothing for an address without TLS."""
    secure, plain = parse_address("https://host"), parse_address("http://host")
    assert tls_context(plain, None) is None
    assert tls_context(secure, None).verify_mode == ssl.CERT_REQUIRED
    own = ssl.create_default_context()
    assert tls_context(secure, own) is own
    with pytest.raises(ValueError, match="is none"):
        tls_context(plain, own)
    with pytest.raises(TypeError, match=r"ssl.SSLContext"):
        tls_context(secure, False)
