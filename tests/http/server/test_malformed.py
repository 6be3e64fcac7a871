"""What is no request, or one that two servers could read differently, is refused and never reaches the application."""

from __future__ import annotations

import json
import logging

import pytest

from tests.http.server.rig import Running

START = b"POST /x HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    # Where a request ends
    "length and chunked": (400, START + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked and length": (400, START + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, START + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    "two equal lengths": (400, START + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    "a list of lengths": (400, START + b"Content-Length: 5, 5\r\n\r\nhello"),
    "a length with a plus": (400, START + b"Content-Length: +5\r\n\r\nhello"),
    "a length with a minus": (400, START + b"Content-Length: -5\r\n\r\nhello"),
    "a hexadecimal length": (400, START + b"Content-Length: 0x5\r\n\r\nhello"),
    "an empty length": (400, START + b"Content-Length: \r\n\r\nhello"),
    "a length beyond 64 bits": (400, START + b"Content-Length: 99999999999999999999999\r\n\r\n"),
    "an unknown encoding": (501, START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "chunked not last": (400, START + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "an encoding under chunked": (501, START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunked twice": (400, START + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked after a vertical tab": (400, START + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
    "chunked in HTTP/1.0": (501, b"POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "a chunk with a bare line feed": (400, CHUNKED + b"2\nab\r\n0\r\n\r\n"),
    "a chunk extension with a bare line feed": (400, CHUNKED + b"2;a\nb\r\nab\r\n0\r\n\r\n"),
    "a chunk size with 0x": (400, CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n"),
    "a chunk size with a space": (400, CHUNKED + b"2 \r\nab\r\n0\r\n\r\n"),
    "a negative chunk size": (400, CHUNKED + b"-2\r\nab\r\n0\r\n\r\n"),
    "a chunk longer than it says": (400, CHUNKED + b"2\r\nabXX0\r\n\r\n"),
    "a chunk size beyond 64 bits": (400, CHUNKED + b"f" * 17 + b"\r\nab\r\n0\r\n\r\n"),
    # Lines
    "a folded header": (400, START + b"X: a\r\n b\r\n\r\n"),
    "a folded header with a tab": (400, START + b"X: a\r\n\tb\r\n\r\n"),
    "a folded first header": (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    "bare line feeds": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "a bare line feed after a header": (400, START + b"X: a\nContent-Length: 0\r\n\r\n"),
    "a bare line feed at the end": (400, START + b"\n"),
    "a bare carriage return": (400, START + b"X: a\rb: c\r\n\r\n"),
    "a space before the colon": (400, START + b"Content-Length : 5\r\n\r\nhello"),
    "a space in a name": (400, START + b"Content Length: 5\r\n\r\nhello"),
    "an empty name": (400, START + b": a\r\n\r\n"),
    "a header without a colon": (400, START + b"abc\r\n\r\n"),
    "a name beyond ASCII": (400, START + b"\xff: a\r\n\r\n"),
    "NUL in a value": (400, START + b"X: a\0b\r\n\r\n"),
    "NUL in a name": (400, START + b"X\0: ab\r\n\r\n"),
    # The first line
    "HTTP/0.9": (505, b"GET /\r\n\r\n"),
    "HTTP/1.2": (400, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
    "HTTP/2 without TLS": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/3": (400, b"GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
    "a made-up method": (400, b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a method in small letters": (400, b"get / HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a whole URL": (400, b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "CONNECT": (400, b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "an asterisk": (400, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a fragment": (400, b"GET /a#b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "NUL in the target": (400, b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a target beyond ASCII": (400, b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "a space in the target": (400, b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "noise": (400, bytes(range(256))),
    # Limits
    "a long target": (414, b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a long target that does not end": (414, b"GET /" + b"a" * 10_000),
    "many headers": (431, START + b"X: a\r\n" * 101 + b"\r\n"),
    "10,000 headers": (431, START + b"X-%d: a\r\n" * 10_000 + b"\r\n"),
    "a large header": (431, START + b"X: " + b"a" * 40_000 + b"\r\n\r\n"),
    "a huge body, announced": (413, START + b"Content-Length: 1073741824\r\n\r\n"),
    "a huge body, expected": (413, START + b"Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n"),
}


@pytest.fixture(scope="module")
def server():
    with Running() as running:
        yield running


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_request_is_refused(server, case, caplog):
    """Its status says whose fault it is, the body is a problem without what was sent, and the connection ends."""
    status, text = REFUSED[case]
    caplog.set_level(logging.DEBUG)
    bodies = len(server.application.bodies)
    with server.connect() as client:
        answer = client.send(text).answer()
        assert answer is not None
        assert (answer.status, answer.closes) == (status, True)
        problem = json.loads(answer.body)
        assert (problem["status"], answer.headers["content-type"]) == (status, "application/problem+json")
        assert problem["type"] == f"urn:millpond:{problem['code']}"
        assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert client.is_closed()
    assert len(server.application.bodies) == bodies
    assert "evil" not in caplog.text
    assert "hello" not in caplog.text


@pytest.mark.parametrize("case", [case for case, (_, text) in REFUSED.items() if len(text) <= 300])
def test_it_is_refused_byte_by_byte_too(server, case):
    """Where a request is cut into packets makes no difference."""
    status, text = REFUSED[case]
    with server.connect() as client:
        client.socket.setsockopt(6, 1, 1)  # TCP_NODELAY
        try:
            for index in range(len(text)):
                client.send(text[index : index + 1])
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before its end
        answer = client.answer()
        assert answer is None or answer.status == status


def test_what_follows_a_refused_request_is_not_read(server):
    """The rest of a connection whose requests cannot be told apart is dropped."""
    seen = len(server.application.scopes)
    with server.connect() as client:
        client.send(REFUSED["two lengths"][1] + b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = client.answer()
        assert answer is not None
        assert answer.status == 400
        assert client.is_closed()
    assert "/smuggled" not in [scope["path"] for scope in server.application.scopes[seen:]]
