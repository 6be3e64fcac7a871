"""Which names a server answers to, and which pages are its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.http.access.hosts import Host, Hosts, allowed_host, host_of, is_own_origin


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:8000", "[0:0::1]:8000"])
def test_the_loopbacks_names_with_the_bound_port_are_answered(host):
    """In every spelling that says the same."""
    hosts = Hosts()
    assert [hosts.answers_to(host.encode(), 8000, "http") for _ in range(2)] == [True, True]


@pytest.mark.parametrize(
    "host",
    [
        *("", "evil.example", "evil.example:8000", "localhost", "localhost:80", "localhost:8001", "localhost.:8000"),
        *(
            "user@localhost:8000",
            "localhost:8000@evil.example",
            "localhost:08000",
            "localhost:+8000",
            "localhost:8000,",
        ),
        *("localhost:8000,localhost:8000", " localhost:8000", "localhost:8000 ", "localhost:8000/", "localhost:8000\n"),
        *("127.1:8000", "2130706433:8000", "0x7f000001:8000", "127.0.0.2:8000", "0.0.0.0:8000", "::1:8000", "[::1%lo]"),
        *(
            "[::ffff:127.0.0.1]:8000",
            "[::1]evil:8000",
            "[::1:8000",
            "localhost:99999",
            "localhost:٨٠٠٠",
            "locaLho\u017ft:8000",
        ),
        *("localhost.evil.example:8000", "evil-localhost:8000", "localhost\0:8000", "http://localhost:8000", ":8000"),
    ],
)
def test_every_other_name_is_refused(host):
    """What could be read in two ways names nobody."""
    assert not Hosts().answers_to(host.encode(), 8000, "http")


def test_a_port_need_not_be_said_where_it_is_the_schemes():
    """Browsers leave 80 out under http and 443 under https."""
    assert Hosts().answers_to(b"localhost", 80, "http")
    assert Hosts().answers_to(b"localhost", 443, "https")
    assert not Hosts().answers_to(b"localhost", 443, "http")
    assert not Hosts().answers_to(b"localhost", 80, "https")


def test_a_unix_socket_has_no_port_to_name():
    """No browser reaches one; a proxy or curl says what it likes of the loopback's names."""
    for host in (b"localhost", b"localhost:80", b"127.0.0.1"):
        assert Hosts().answers_to(host, None, "http")
    assert not Hosts().answers_to(b"evil.example", None, "http")


def test_an_allowed_host_is_answered_with_every_port_or_the_one_it_has():
    """In front of a server there may be a proxy with another port."""
    hosts = Hosts(["Pool.Example.com", "10.0.0.5:9000", "fd00::5", "[fd00::6]:9000"])
    for host in (b"pool.example.com", b"pool.example.com:444", b"10.0.0.5:9000", b"[fd00:0::5]:1", b"[fd00::6]:9000"):
        assert hosts.answers_to(host, 8000, "http")
    for host in (b"pool.example.com.", b"x.pool.example.com", b"10.0.0.5", b"10.0.0.5:8000", b"[fd00::6]"):
        assert not hosts.answers_to(host, 8000, "http")


@pytest.mark.parametrize(
    "text", ["", "*", "*.example.com", "https://example.com", "a b", "example.com/", "a:0", "::g", "."]
)
def test_what_is_no_host_cannot_be_allowed(text):
    """A star would allow the page of any name that is pointed at this machine."""
    with pytest.raises(ValueError, match="an allowed host is"):
        Hosts([text])


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "is_own"),
    [
        ("http://localhost:8000", "localhost:8000", "http", True),
        ("http://LOCALHOST:8000", "localhost:8000", "http", True),
        ("http://localhost", "localhost:80", "http", True),
        ("http://localhost:80", "localhost", "http", True),
        ("https://localhost:8000", "localhost:8000", "https", True),
        ("https://pool.example.com", "pool.example.com", "http", True),  # a proxy in front ends TLS
        ("https://pool.example.com", "pool.example.com:443", "http", True),
        ("http://pool.example.com", "pool.example.com", "https", False),
        ("http://127.0.0.1:8000", "localhost:8000", "http", False),
        ("http://localhost:9999", "localhost:8000", "http", False),
        ("http://evil.example", "localhost:8000", "http", False),
        ("http://localhost:8000.evil.example", "localhost:8000", "http", False),
        ("http://localhost:8000@evil.example", "localhost:8000", "http", False),
        ("http://localhost:8000/", "localhost:8000", "http", False),
        ("http://localhost:8000,http://localhost:8000", "localhost:8000", "http", False),
        ("http://localhost.:8000", "localhost:8000", "http", False),
        ("ftp://localhost:8000", "localhost:8000", "http", False),
        ("null", "localhost:8000", "http", False),
        ("", "localhost:8000", "http", False),
        ("", "", "http", False),
        ("null", "null", "http", False),
    ],
)
def test_a_pages_own_origin_is_the_host_it_asked(origin, host, scheme, is_own):
    """A page that came by plain HTTP is none of a server's under TLS; the other way round a proxy is in front."""
    assert is_own_origin(origin.encode(), host.encode(), scheme) is is_own


def test_a_program_with_a_token_may_have_any_of_the_servers_origins():
    """By whichever of its names a page came; no other."""
    hosts = Hosts(["pool.example.com"])
    assert hosts.has_origin(b"http://localhost:8000", 8000, "http")
    assert hosts.has_origin(b"https://pool.example.com", 8000, "http")
    for origin in (b"http://localhost:9999", b"http://evil.example", b"null", b"http://pool.example.com.evil.example"):
        assert not hosts.has_origin(origin, 8000, "http")


@given(st.binary(max_size=80), st.binary(max_size=80), st.one_of(st.none(), st.integers(1, 65535)))
def test_no_bytes_make_the_parsers_fail(host, origin, port):
    """A header is refused, never an error of the server's."""
    hosts = Hosts(["pool.example.com"])
    hosts.answers_to(host, port, "http")
    hosts.has_origin(origin, port, "https")
    is_own_origin(origin, host, "http")


@given(st.from_regex(r"[A-Za-z0-9.\-\[\]:@_/ ]{0,30}", fullmatch=True))
def test_a_host_that_is_read_says_itself_again(text):
    """What is accepted has one meaning, which is read the same a second time."""
    host = host_of(text)
    if host is not None:
        again = host.name if host.port is None else f"{host.name}:{host.port}"
        assert host_of(again) == host
        assert allowed_host(again) == Host(*host)
