"""Requests and answers on one connection: their order, their ends, and what the application is told."""

from __future__ import annotations

import gc
import json
import logging
import socket

import pytest

from millpond.http.server.exchange import Exchange
from tests.http.server.rig import Answer, Client, Running


@pytest.fixture(scope="module")
def server():
    with Running(limit_body=1 << 20) as running:
        yield running


def get(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: localhost", *headers, "", ""]).encode()


def answered(client: Client) -> Answer:
    """The next answer, which must come."""
    answer = client.answer()
    assert answer is not None
    return answer


def path_of(answer: Answer) -> str:
    return str(json.loads(answer.body)["path"])


def test_a_connection_serves_one_request_after_another(server):
    """It stays open until somebody says otherwise."""
    with server.connect() as client:
        for number in range(3):
            answer = answered(client.send(get(f"/a{number}?q=%20")))
            assert (answer.status, answer.closes, path_of(answer)) == (200, False, f"/a{number}")
        answer = answered(client.send(get("/b", "Connection: close")))
        assert answer.closes
        assert client.is_closed()


def test_an_answered_request_leaves_nothing_for_the_garbage_collector(server):
    """Or each would be kept until the next collection, and collections would be long and many."""
    with server.connect() as client:
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                answered(client.send(get("/a")))
            server.application.scopes.clear()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            assert not [one for one in gc.garbage if isinstance(one, Exchange)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()


def test_pipelined_requests_are_answered_in_their_order(server):
    """Many at once too, whose bodies come along."""
    with server.connect() as client:
        posts = [
            f"POST /p{n} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {n}\r\n\r\n".encode() + b"x" * n
            for n in range(100)
        ]
        client.send(b"".join(posts))
        told = [json.loads(answered(client).body) for _ in posts]
    assert [(one["path"], one["length"]) for one in told] == [(f"/p{n}", n) for n in range(100)]


def test_nothing_is_answered_after_a_request_that_closes(server):
    """What was sent behind `Connection: close` is dropped."""
    with server.connect() as client:
        client.send(get("/a", "Connection: close") + get("/b"))
        assert path_of(answered(client)) == "/a"
        assert client.is_closed()


def test_a_malformed_request_waits_for_the_answers_before_it(server):
    """The refusal never gets into an answer that is being written."""
    with server.connect() as client:
        client.send(get("/a") + get("/b") + b"nonsense\r\n\r\n")
        assert [answered(client).status for _ in range(3)] == [200, 200, 400]
        assert client.is_closed()


def test_head_has_the_headers_alone(server):
    """And the connection goes on behind it."""
    with server.connect() as client:
        answer = client.send(get("/a", method="HEAD")).answer(to_head=True)
        assert answer is not None
        assert int(answer.headers["content-length"]) > 0
        assert path_of(answered(client.send(get("/b")))) == "/b"


def test_an_answer_of_unknown_length_comes_in_chunks(server):
    """To HTTP/1.1; HTTP/1.0 is told the end by the connection's."""
    with server.connect() as client:
        answer = answered(client.send(get("/parts")))
        assert (answer.headers["transfer-encoding"], answer.body) == ("chunked", b"onetwo")
        assert path_of(answered(client.send(get("/a")))) == "/a"
    with server.connect() as client:
        client.send(get("/parts", version="1.0"))
        head = answered(client)
        assert head.closes
        assert "transfer-encoding" not in head.headers
        assert client.socket.makefile("rb").read() + client._held == b"onetwo" or client._held == b"onetwo"


def test_a_body_is_asked_for_when_it_is_wanted(server):
    """`Expect: 100-continue` is answered as soon as the application reads, and not if it answers without."""
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with server.connect() as client:
        assert answered(client.send(head % b"/x")).status == 100
        assert answered(client.send(b"hello")).status == 200
        assert answered(client.send(head % b"/early")).status == 200


def test_trailers_are_no_headers(server):
    """What comes behind a body cannot change what the request was judged by."""
    seen = len(server.application.scopes)
    with server.connect() as client:
        client.send(get("/x", "Transfer-Encoding: chunked", method="POST"))
        client.send(b"5;ext=1\r\nhello\r\n0\r\nAuthorization: Bearer x\r\nX-Late: 1\r\n\r\n")
        assert json.loads(answered(client).body)["length"] == 5
    assert [name for name, _ in server.application.scopes[seen]["headers"]] == [b"host", b"transfer-encoding"]


def test_endless_trailers_are_refused(server):
    """They count as headers do."""
    with server.connect() as client:
        client.send(get("/wait", "Transfer-Encoding: chunked", method="POST") + b"0\r\n" + b"X: a\r\n" * 20_000)
        assert answered(client).status == 431


def test_a_chunked_body_over_the_limit_is_refused_as_soon_as_it_is(server):
    """413, though its length was not announced."""
    with server.connect() as client:
        client.send(get("/x", "Transfer-Encoding: chunked", method="POST"))
        try:
            for _ in range(64):
                client.send(b"8000\r\n" + bytes(0x8000) + b"\r\n")
        except OSError:
            pass  # closed meanwhile
        answer = answered(client)
        assert (answer.status, answer.closes) == (413, True)


def test_a_little_body_that_nobody_wants_is_read_and_dropped(server):
    """The connection goes on behind it."""
    with server.connect() as client:
        client.send(b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        answer = answered(client)
        assert not answer.closes
        client.send(bytes(1000))
        assert path_of(answered(client.send(get("/b")))) == "/b"


def test_a_large_body_that_nobody_wants_ends_the_connection(server):
    """The client can read the answer all the same, though it is still sending."""
    with server.connect() as client:
        client.send(b"POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + bytes(500_000))
        answer = answered(client)
        assert (answer.status, answer.closes) == (200, True)
        client.send(bytes(100_000))
        assert client.is_closed()


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_another_protocol_is_not_taken_up(server, upgrade):
    """The request is answered as it stands, and nothing behind it is read."""
    with server.connect() as client:
        client.send(get("/a", "Connection: Upgrade", f"Upgrade: {upgrade}") + get("/smuggled"))
        answer = answered(client)
        assert (answer.status, answer.closes, path_of(answer)) == (200, True, "/a")
        assert client.is_closed()


@pytest.mark.parametrize("cut", [1, 1000])
@pytest.mark.parametrize(
    ("framing", "body"), [("Content-Length: 5", b"hello"), ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n")]
)
def test_a_request_for_another_protocol_has_its_body(server, framing, body, cut):
    """Clients that would rather speak HTTP/2 ask so with their first request, whatever it is."""
    with server.connect() as client:
        asked = get("/x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", framing, method="POST") + body
        for start in range(0, len(asked), cut):
            client.send(asked[start : start + cut])
        answer = answered(client)
        assert (answer.status, answer.closes, json.loads(answer.body)["length"]) == (200, True, 5)
        assert client.is_closed()


@pytest.mark.parametrize("path", ["/injected", "/raises"])
def test_an_application_that_fails_is_500_without_its_text(server, path, caplog):
    """Nothing of the error reaches the client or the log but its class and where it was raised."""
    with server.connect() as client:
        answer = answered(client.send(get(path)))
        assert (answer.status, answer.body, "set-cookie" in answer.headers) == (500, b"Internal Server Error", False)
    assert "canary" not in caplog.text
    assert "the application raised" in caplog.text


def test_an_answer_cut_short_is_not_taken_for_whole(server):
    """The connection ends within it."""
    with server.connect() as client:
        client.send(get("/short"))
        assert client.answer() is None or pytest.fail("an answer that is not complete")


@pytest.mark.parametrize("half", [False, True])
def test_a_client_that_leaves_is_told_of_once(server, half):
    """While its request is answered, whether it closes the connection or only its own half."""
    before = server.application.disconnects
    seen = len(server.application.scopes)
    with server.connect() as client:
        client.send(get("/wait"))
        server.application.until(lambda: len(server.application.scopes) > seen)
        if half:
            client.socket.shutdown(socket.SHUT_WR)
        else:
            client.socket.close()
        server.application.until(lambda: server.application.disconnects == before + 1)


def test_a_client_that_leaves_after_its_answer_is_not_told_of(server):
    """There is nothing to cancel."""
    before = server.application.disconnects
    with server.connect() as client:
        answered(client.send(get("/a")))
    with server.connect() as client:
        answered(client.send(get("/a")))
    assert server.application.disconnects == before


def test_paths_come_decoded_and_as_they_were_sent(server):
    """`path` is for routing; `raw_path` is what a check for encoded slashes needs; the query stays as it is."""
    seen = len(server.application.scopes)
    with server.connect() as client:
        answered(client.send(get("/a%2Fb%20c?x=%2F")))
    scope = server.application.scopes[seen]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a/b c", b"/a%2Fb%20c", b"x=%2F")


def test_the_access_log_has_no_query(caplog):
    """Only method, path and status, where it is asked for; a line break in a path is none in the log."""
    caplog.set_level(logging.INFO)
    with Running() as server:
        server.state.access_log = True
        with server.connect() as client:
            answered(client.send(get("/a%0Ab?token=secret")))
    lines = [record.getMessage() for record in caplog.records if record.name == "millpond.http.access"]
    assert lines == ["127.0.0.1 GET /a%0Ab 200"]
