"""Who sends or reads too slowly is sent away and holds no memory; time that is no client's fault is not counted."""

from __future__ import annotations

import pytest

from tests.http.server.rig import Client, Running

HEAD = b"POST /x HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def server():
    with Running() as running:
        yield running


def wait(server: Running, seconds: int, client: Client | None = None, each_second: bytes = b"") -> None:
    """Let seconds go by for the server, in which a client may send something each."""
    for _ in range(seconds):
        if client is not None and each_second:
            try:
                client.send(each_second)
            except OSError:
                return  # it was sent away
        server.look(1.0)


@pytest.mark.parametrize("begin", [b"P", b"\r\n", HEAD, HEAD + b"X: "])
def test_headers_that_do_not_end_are_a_timeout(server, begin):
    """408 once `timeout_headers` is over, whatever was sent of them."""
    with server.connect() as client:
        client.send(begin)
        server.application.until(lambda: bool(server.state.connections))
        wait(server, 12)
        answer = client.answer()
        assert answer is not None
        assert (answer.status, answer.closes) == (408, True)
        assert client.is_closed()


def test_a_header_each_second_is_a_timeout_too(server):
    """The time is for all headers together: a client that keeps sending gains nothing."""
    with server.connect() as client:
        client.send(HEAD)
        wait(server, 15, client, b"X: a\r\n")
        answer = client.answer()
        assert answer is not None
        assert answer.status == 408


@pytest.mark.parametrize("each_second", [b"", b"a"])
def test_a_body_that_hardly_comes_is_a_timeout(server, each_second):
    """408 for a body that stands still and for one byte a second; the application hears that the client is gone."""
    with server.connect() as client:
        client.send(HEAD + b"Content-Length: 100000\r\n\r\nhello")
        server.application.until(lambda: bool(server.application.scopes))
        wait(server, 15, client, each_second)
        answer = client.answer()
        assert answer is not None
        assert (answer.status, answer.closes) == (408, True)
    server.application.until(lambda: server.application.disconnects == 1)
    assert not server.application.bodies


def test_a_body_that_comes_steadily_is_taken(server):
    """A slow line is none that stands still: what comes at `min_rate` has all the time it needs."""
    with server.connect() as client:
        client.send(HEAD + b"Content-Length: 40960\r\n\r\n")
        wait(server, 40, client, bytes(1024))
        answer = client.answer()
        assert answer is not None
        assert answer.status == 200
    assert [len(body) for body in server.application.bodies] == [40960]


def test_a_body_that_nobody_reads_is_not_slow(server):
    """While the application does not take what is there, the client has no chance to send, and is not blamed."""
    with server.connect() as client:
        client.send(HEAD.replace(b"/x", b"/wait") + b"Content-Length: 1000000\r\n\r\n" + bytes(300_000))
        server.application.until(lambda: bool(server.application.scopes))
        wait(server, 30)
        server.application.release.set()
        answer = client.answer()
        assert answer is not None
        assert answer.status == 200


def test_time_in_which_the_server_stood_still_is_not_the_clients(server):
    """After a long stop of the whole program nobody is sent away for it."""
    with server.connect() as slow, server.connect() as idle:
        slow.send(HEAD + b"Content-Length: 5\r\n\r\n")
        server.application.until(lambda: bool(server.application.scopes))
        server.look(1000.0)
        for client, text in ((slow, b"hello"), (idle, HEAD + b"\r\n")):
            answer = client.send(text).answer()
            assert answer is not None
            assert answer.status == 200


def test_a_client_that_does_not_read_its_answer_is_cut_off(server):
    """The application is told, and neither it nor the connection holds more than the transport's buffer meanwhile."""
    with server.connect() as client:
        client.send(HEAD.replace(b"/x", b"/flood") + b"\r\n")
        server.application.until(lambda: any(one.flow.write_paused for one in server.state.connections))
        held = max(one.transport.get_write_buffer_size() for one in server.state.connections)
        assert held < 1 << 20
        wait(server, 12)
        server.application.until(lambda: server.application.disconnects == 1)


def test_who_asks_without_reading_is_not_answered_on_and_on(server):
    """Its requests wait, in its own buffers at last, until it reads what it was answered; then all are answered."""
    request = HEAD.replace(b"/x", b"/large") + b"\r\n"
    with server.connect() as client:
        client.send(request * 200)
        server.application.until(lambda: any(one.is_held for one in server.state.connections))
        (connection,) = server.state.connections
        assert len(server.application.scopes) < 60
        assert connection.transport.get_write_buffer_size() < 1 << 20
        for _ in range(200):
            answer = client.answer()
            assert answer is not None
            assert len(answer.body) == 1 << 18


def test_an_idle_connection_is_closed_without_a_word(server):
    """After `timeout_keep_alive`, and not before."""
    with server.connect() as client:
        answer = client.send(HEAD + b"\r\n").answer()
        assert answer is not None
        wait(server, 70)
        again = client.send(HEAD + b"\r\n").answer()
        assert again is not None
        wait(server, 78)
        assert client.is_closed()


def test_a_slow_request_behind_one_that_is_answered_waits_for_its_turn(server):
    """The timeout of a pipelined request comes after the answer of the one before, never within it."""
    with server.connect() as client:
        client.send(HEAD.replace(b"/x", b"/wait") + b"\r\n" + HEAD)
        server.application.until(lambda: bool(server.application.scopes))
        wait(server, 12)
        server.application.release.set()
        first, second = client.answer(), client.answer()
        assert first is not None
        assert second is not None
        assert (first.status, second.status) == (200, 408)
        assert client.is_closed()
