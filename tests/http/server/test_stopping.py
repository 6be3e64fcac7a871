"""How a server stops: what is asked is answered, what only waits is closed, and it takes no longer than it must."""

from __future__ import annotations

import socket

import pytest

from millpond.http.server.listening import Listener, open_address
from tests.http.server.rig import LIMIT_S, Client, Running

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_idle_connections_are_closed_and_the_server_ends():
    """Nobody is waited for who asks nothing."""
    with Running() as server, server.connect() as used, server.connect() as unused:
        assert used.send(GET % b"/x").answer() is not None
        server.stop()
        assert used.is_closed()
        assert unused.is_closed()


def test_a_connection_gets_one_more_answer():
    """Which says that it is the last; so a client that asks again and again sees no connection end under a request."""
    with Running() as server, server.connect() as client:
        assert client.send(GET % b"/x").answer() is not None
        server.stop()
        server.application.until(lambda: server.state.is_draining)
        answer = client.send(GET % b"/y").answer()
        assert answer is not None
        assert (answer.status, answer.closes) == (200, True)
        assert client.is_closed()


def test_a_request_that_has_begun_to_come_is_waited_for():
    """Its head is here, its body in another packet, and the pools do not close between them."""
    with Running() as server, server.connect() as client:
        client.send(b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
        server.application.until(lambda: bool(server.application.scopes))
        server.stop()
        server.application.until(lambda: server.state.is_draining)
        (connection,) = server.state.connections
        assert connection.is_asking
        answer = client.send(b"hello").answer()
        assert answer is not None
        assert (answer.status, answer.closes) == (200, True)


def test_the_application_is_told_first():
    """It is draining before anything else happens."""
    with Running() as server, server.connect() as client:
        client.send(GET % b"/wait")
        server.application.until(lambda: bool(server.application.scopes))
        server.stop()
        server.application.until(lambda: server.application.is_draining)


def test_an_answer_without_end_is_broken_off():
    """An event stream has a moment to end by itself; then its connection is closed and its application told."""
    with Running() as server, server.connect() as client:
        client.send(GET % b"/wait")
        server.application.until(lambda: bool(server.application.scopes))
        server.stop()
        server._thread.join(LIMIT_S)
        assert not server._thread.is_alive()
        assert client.answer() is None


def test_asked_twice_it_stops_at_once():
    """Whatever is open."""
    with Running() as server, server.connect() as client, server.connect():
        client.send(GET % b"/wait")
        server.application.until(lambda: bool(server.application.scopes))
        server.stop()
        server.stop()
        server._thread.join(LIMIT_S)
        assert client.is_closed()
        assert server.server.stopping.is_urgent


@pytest.mark.parametrize("family", ["address", "path"])
def test_who_comes_late_waits_in_a_kept_socket(family, tmp_path):
    """A socket that is open elsewhere holds connections until the next server takes them; none is refused."""
    if family == "address":
        kept = open_address("127.0.0.1", 0)[0].socket
    else:
        kept = socket.socket(socket.AF_UNIX)
        kept.bind(str(tmp_path / "s"))
        kept.listen()
    with Running(listener=Listener(kept.dup(), is_kept=True)) as first:
        with call(kept) as client:
            assert client.send(GET % b"/x").answer() is not None
        first.stop()
        first._thread.join(LIMIT_S)
    with call(kept) as late:
        late.send(GET % b"/late")
        with Running(listener=Listener(kept.dup(), is_kept=True)) as second:
            answer = late.answer()
            assert answer is not None
            assert answer.status == 200
            assert [scope["path"] for scope in second.application.scopes] == ["/late"]
    kept.close()


def call(kept: socket.socket) -> Client:
    client = socket.socket(kept.family)
    client.settimeout(LIMIT_S)
    client.connect(kept.getsockname())
    return Client(client)
