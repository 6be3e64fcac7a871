"""Row 26: input made to hurt gets its status and costs little, no worker sees it, and others are served meanwhile."""

from __future__ import annotations

import json
import socket

import psutil
import pytest

from tests.processes.served import LIMIT_S, NAME, Load, Served, eventually

MiB = 1 << 20
DEEP = 200_000
OPTIONS = ("--min-workers", "2", "--max-workers", "2", "--limit-body", str(MiB), "--timeout-stalled", "1")
JSON, MSGPACK = "application/json", "application/msgpack"

BODIES = {
    "deep lists": (JSON, b'{"rest": ' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "deep lists that do not end": (JSON, b'{"rest": ' + b"[" * DEEP),
    "deep objects": (JSON, b'{"rest": ' + b'{"a":' * (DEEP // 2) + b"1" + b"}" * (DEEP // 2) + b"}"),
    "deep lists alone": (JSON, b"[" * DEEP + b"]" * DEEP),
    "an integer of 5,000 digits": (JSON, b'{"number": ' + b"9" * 5000 + b"}"),
    "an integer of 5,000 digits for text": (JSON, b'{"text": ' + b"9" * 5000 + b"}"),
    "an exponent": (JSON, b'{"number": 1e999999999}'),
    "NaN": (JSON, b'{"rest": NaN}'),
    "Infinity": (JSON, b'{"rest": -Infinity}'),
    "half a document": (JSON, b'{"text": "a'),
    "a lone surrogate": (JSON, b'{"text": "\\ud800"}'),
    "broken UTF-8": (JSON, b'{"text": "\xff\xfe"}'),
    "deep lists in msgpack": (MSGPACK, b"\x81\xa4rest" + b"\x91" * DEEP + b"\xc0"),
    "four billion elements": (MSGPACK, b"\x81\xa4rest\xdd\xff\xff\xff\xff\xc0"),
    "four gigabytes of text": (MSGPACK, b"\x81\xa4text\xdb\xff\xff\xff\xffabc"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Served(tmp_path_factory.mktemp("served"), NAME, *OPTIONS) as running:
        running.call("echo", text="a")
        yield running


@pytest.fixture
def unhurt(server):
    """Others are answered meanwhile; afterwards no worker was asked, none is another, and memory is as before."""
    program = psutil.Process(server.process.pid)
    workers = {one.pid for one in server.descendants()}
    before = program.memory_info().rss
    with Load(server.connect, server.token, clients=2) as load:
        load.goes_on()
        yield
        load.goes_on()
    assert load.failures == []
    assert program.memory_info().rss - before <= 50 * MiB
    assert not (server.folder / "bombed").exists()
    assert {one.pid for one in server.descendants()} == workers


def head(server: Served, *headers: str) -> bytes:
    """The beginning of a call."""
    lines = ["POST /v1/pools/default/call/bombed HTTP/1.1", f"Host: 127.0.0.1:{server.port}"]
    return "\r\n".join([*lines, f"Authorization: Bearer {server.token}", *headers, "", ""]).encode()


def answered(server: Served, *parts: bytes) -> int:
    """The status that comes for what is sent; 0 for none."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) as client:
        try:
            for part in parts:
                client.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before its end
        line = client.makefile("rb").readline()
    return int(line.split()[1]) if line else 0


@pytest.mark.parametrize("case", BODIES)
def test_26_a_body_that_is_a_bomb_is_400(server, unhurt, case):
    """For documents too deep, too long, not finished, or that JSON does not know."""
    kind, body = BODIES[case]
    begin = head(server, f"Content-Type: {kind}", f"Content-Length: {len(body)}")
    assert answered(server, begin, body) == 400


def test_26_a_body_too_large_is_413(server, unhurt):
    """Before it is read where its length is announced, and where it is not, as soon as it is too long."""
    assert answered(server, head(server, f"Content-Type: {JSON}", "Content-Length: 1073741824")) == 413
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    begin = head(server, f"Content-Type: {JSON}", "Transfer-Encoding: chunked")
    assert answered(server, begin, *[chunk] * 1000) == 413


def test_26_ten_thousand_headers_are_431(server, unhurt):
    """However short."""
    assert answered(server, head(server, *(f"X-{number}: a" for number in range(10_000)))) == 431


def test_26_a_body_that_ends_too_early_reaches_nobody(server, unhurt):
    """Its client is gone, so there is no answer either."""
    begin = head(server, f"Content-Type: {JSON}", "Content-Length: 100")
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) as client:
        client.sendall(begin + b'{"text": "a')
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").read() == b""


def test_26_a_byte_a_second_is_408(server, unhurt):
    """Once it was slow for `timeout_stalled`; no more than a second of it is waited for here."""
    begin = head(server, f"Content-Type: {JSON}", "Content-Length: 100000")
    with socket.create_connection(("127.0.0.1", server.port), timeout=1.0) as client:
        client.sendall(begin)
        answer = eventually(lambda: byte_by_byte(client))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["code"] == "request_timeout"


def byte_by_byte(client: socket.socket) -> bytes:
    """Send one, and what came within a second."""
    try:
        client.sendall(b" ")
        return client.recv(1 << 16)
    except TimeoutError:
        return b""
