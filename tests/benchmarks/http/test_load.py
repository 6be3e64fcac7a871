"""What is read from wrk, and the open loop's client against servers made for it."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from shutil import which
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.http.load import milliseconds, open_loop, parsed

SAID = """Running 2s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.85ms    1.27ms  13.33ms   86.99%
    Req/Sec    28.52k     5.06k   44.16k    78.33%
  Latency Distribution
     50%  870.00us
     75%    3.01ms
     90%    4.00ms
     99%    1.02s
  57190 requests in 2.00s, 9.87MB read
{}Requests/sec:  28594.24
Transfer/sec:      4.93MB
"""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_wrk_is_understood():
    """Every figure, in the units that the tables have."""
    assert parsed(SAID.format("")) == {"requests": 57190, "rate": 28594.24, "p50": 0.87, "p99": 1020, "failed": 0}


def test_answers_without_success_are_counted():
    """And so is what broke off."""
    said = "  Socket errors: connect 0, read 3, write 0, timeout 1\n  Non-2xx or 3xx responses: 40\n"
    assert parsed(SAID.format(said))["failed"] == 44


def test_what_is_no_report_of_wrk_is_told():
    """No figure is made up."""
    with pytest.raises(ValueError, match="wrk printed no"):
        parsed("unable to connect to 127.0.0.1:8000 Connection refused\n")


@pytest.mark.parametrize(("told", "ms"), [("870.00us", 0.87), ("3.10ms", 3.1), ("1.20s", 1200), ("1.50m", 90_000)])
def test_wrk_s_times_are_milliseconds(told, ms):
    """Whatever unit it chose."""
    assert milliseconds(told) == pytest.approx(ms)


def a_server(answers: Any) -> Any:
    """Runs `answers(connection)` for each connection; what the open loop needs to know of a server."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answers, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    request = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
    return listener, SimpleNamespace(port=listener.getsockname()[1], request=lambda: request)


@pytest.mark.skipif(which("cc") is None, reason="needs a C compiler")
def test_the_open_loop_counts_from_when_a_request_was_due():
    """A server that answers nothing for a while makes all who would have asked meanwhile wait, not only one."""
    began: list[float] = []

    def answers(connection: socket.socket) -> None:
        with connection:
            while connection.recv(4096):
                began.append(time.monotonic())
                time.sleep(max(0.0, began[0] + 1.0 - time.monotonic()))
                connection.sendall(ANSWER)

    listener, server = a_server(answers)
    with closing(listener):
        found = open_loop(server, 200, 1.0, seed=1, connections=1)
    assert (found["unanswered"], found["refused"]) == (0, 0)
    assert found["found_none_free"] > found["sent"] / 4  # half a second of the one that is counted
    assert found["p99"] > 100


@pytest.mark.skipif(which("cc") is None, reason="needs a C compiler")
def test_the_open_loop_counts_refusals():
    """An answer without success is an answer, and told of."""

    def answers(connection: socket.socket) -> None:
        with connection:
            while connection.recv(4096):
                connection.sendall(ANSWER.replace(b"200 OK", b"503 Busy"))

    listener, server = a_server(answers)
    with closing(listener):
        found = open_loop(server, 100, 0.5, seed=1, connections=4)
    assert found["refused"] == found["sent"] > 0
    assert found["unanswered"] == 0
