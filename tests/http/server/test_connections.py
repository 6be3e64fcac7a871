"""How many connections there may be, and that none is left behind."""

from __future__ import annotations

import gc
import os
import resource
from contextlib import ExitStack

import pytest

from millpond.http.server.connection import Connection
from millpond.http.server.descriptors import FOR_EACH_WORKER, MOST, OTHERS, most_connections
from millpond.http.server.exchange import Exchange
from tests.http.server.rig import Running

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_one_connection_too_many_is_told_so():
    """503 with Retry-After as soon as it asks, while those that are there are answered."""
    with Running(most_connections=4) as server, ExitStack() as stack:
        there = [stack.enter_context(server.connect()).send(GET % b"/wait") for _ in range(4)]
        server.application.until(lambda: len(server.application.scopes) == 4)
        with server.connect() as more:
            answer = more.send(GET % b"/x").answer()
            assert answer is not None
            assert (answer.status, answer.headers["retry-after"], answer.closes) == (503, "1", True)
            assert more.is_closed()
        server.application.release.set()
        answers = [client.answer() for client in there]
        assert [answer and answer.status for answer in answers] == [200] * 4


def test_connections_that_only_wait_make_room():
    """The longest idle ones are closed for a new one."""
    with Running(most_connections=4) as server, ExitStack() as stack:
        idle = [stack.enter_context(server.connect()) for _ in range(4)]
        for client in idle:
            assert client.send(GET % b"/x").answer() is not None
        new = stack.enter_context(server.connect())
        answer = new.send(GET % b"/x").answer()
        assert answer is not None
        assert answer.status == 200
        assert any(client.is_closed() for client in idle)


def test_a_crowd_above_the_limit_is_held_off():
    """However many come, few more than the limit are open at a time, and those within it are served."""
    with Running(most_connections=4) as server, ExitStack() as stack:
        there = [stack.enter_context(server.connect()).send(GET % b"/wait") for _ in range(4)]
        server.application.until(lambda: len(server.application.scopes) == 4)
        for _ in range(200):
            stack.enter_context(server.connect())
        server.application.until(lambda: len(server.state.connections) <= 4 + 64)
        server.application.release.set()
        assert all(client.answer() for client in there)


def test_a_thousand_connections_leave_nothing():
    """Neither descriptors nor objects, however they end."""
    with Running() as server:
        with server.connect() as client:
            client.send(GET % b"/x").answer()
        server.application.until(lambda: not server.state.connections)
        baseline = descriptors()
        for number in range(1000):
            with server.connect() as client:
                if number % 4 == 0:
                    client.send(b"nonsense\r\n\r\n").answer()
                elif number % 4 == 1:
                    client.send(b"POST /x HTTP/1.1\r\nContent-Le")
                elif number % 4 == 2:
                    client.send(GET % b"/x").answer()
                else:
                    client.send(GET % b"/wait")
        server.application.release.set()
        server.application.until(lambda: not server.state.connections and not server.state.tasks)
        server.application.until(lambda: descriptors() <= baseline)
        server.application.scopes.clear()
        server.application.until(lambda: not any(left()))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def left() -> list[object]:
    gc.collect()
    return [one for one in gc.get_objects() if isinstance(one, Connection | Exchange)]


@pytest.fixture
def limit():
    """A function that sets this process's limit on open files, the hard one as it is; it is taken back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limit(soft: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_workers_have_their_descriptors_first(limit):
    """The limit is raised to what connections and workers need; without a number there are at most 10,000."""
    limit(256)
    assert most_connections([6, 2], 300) == 300
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 300 + OTHERS + 8 * FOR_EACH_WORKER
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    left = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard - OTHERS - FOR_EACH_WORKER)
    assert most_connections([1], None) == left


@pytest.mark.usefixtures("limit")
@pytest.mark.parametrize("asked", [None, 10_000_000])
def test_a_limit_that_cannot_be_held_is_refused(asked):
    """The error has the numbers and the remedy."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] == resource.RLIM_INFINITY:
        pytest.skip("there is no limit here")
    with pytest.raises(ValueError, match="ulimit -n"):
        most_connections([10_000_000 if asked is None else 1], asked)
