"""The blocking client: many threads, interrupts, forks, and an end from any of them."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

import millpond
from millpond.loopthread import LoopThread
from tests.client.servers import echo, scripted
from tests.client.test_remote_stream import END, endless, item, saying
from tests.contract.sites import WAIT_S, check


@contextmanager
def serving(script):
    """A scripted server on a loop in a thread of its own."""
    thread = LoopThread("server", lambda: None)
    thread.start()
    serving = scripted(script)
    try:
        server = thread.run(serving.__aenter__())
        yield server
        thread.run(serving.__aexit__(None, None, None))
    finally:
        thread.stop()


def client_of(server, **options):
    return millpond.SyncClient(server.url, token="mp_secret", **options)


async def silence(_asked, _writer):
    await asyncio.sleep(WAIT_S)


def failed(call, *args):
    with pytest.raises(millpond.PoolError) as told:
        call(*args)
    return told.value


def test_many_threads_share_one_client():
    """Each gets its own answer, over a bounded number of connections."""
    with serving(echo) as server, client_of(server, connections=4) as pool, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda number: pool.call("echo", number), range(400))) == [[n] for n in range(400)]
        assert len(server.connections) <= 4


def test_the_verbs_are_those_of_a_blocking_pool():
    """Calls, options, map in order, streams that may be left."""
    with serving(echo) as server, client_of(server) as pool:
        assert pool.call("echo", 1, b=b"2") == {"*": [1], "b": b"2"}
        assert pool.options(deadline=5).call("echo") == {}
        assert list(pool.map("echo", range(250))) == [[number] for number in range(250)]
        assert repr(pool).startswith("<SyncClient 'default' at http://127.0.0.1:")
    with serving(saying(item(1) + item(2) + END)) as server, client_of(server) as pool:
        assert list(pool.stream("count")) == [1, 2]
    with serving(endless) as server, client_of(server) as pool:
        for number, _ in pool.stream("count"):
            if number == 3:
                break
        del number, _
        assert wait_in(server, server.left)


def wait_in(server, event):
    """Whether an event of the server's loop happens."""
    for _ in range(int(WAIT_S / 0.01)):
        if event.is_set():
            return True
        threading.Event().wait(0.01)
    return False


def test_an_interrupt_of_the_waiting_thread_leaves_the_server():
    """Ctrl-C ends the call, as it does in a blocking pool."""
    with serving(silence) as server, client_of(server) as pool:

        def interrupt():
            while not server.asked:
                threading.Event().wait(0.005)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            pool.call("echo")
        thread.join()
        assert wait_in(server, server.left)


def test_a_client_is_opened_and_closed_any_number_of_times_but_not_again():
    """What is not open says so; closing from another thread ends what is under way."""
    with serving(silence) as server:
        pool = client_of(server)
        assert check(failed(pool.call, "echo"), "pool_closed", "not_started")
        with ThreadPoolExecutor(1) as other:
            pool.open()
            pool.open()
            running = other.submit(pool.call, "echo")
            while not server.asked:
                threading.Event().wait(0.005)
            pool.close(drain=0.0)
            pool.close()
            check(running.exception(WAIT_S), "pool_closed", "unknown")
        check(failed(pool.call, "echo"), "pool_closed", "not_started")
        check(failed(pool.open), "pool_closed", "not_started")
        never = client_of(server)
        never.close()
        check(failed(never.open), "pool_closed", "not_started")


def test_the_clients_own_thread_cannot_wait_for_itself():
    """It says so, where it would hang."""
    with serving(echo) as server, client_of(server) as pool:
        told = []

        async def ask():
            with pytest.raises(RuntimeError, match="own thread"):
                pool.call("echo")
            told.append(True)

        pool.usable_thread().run(ask())
        assert told == [True]


def test_what_only_the_pools_owner_has_is_absent_with_a_reason():
    """A program that used it learns at once where to look."""
    for made in (millpond.Client(token="mp_x"), millpond.SyncClient(token="mp_x")):
        for name in ("metrics", "logs", "optimizer", "telemetry", "alerts", "warm", "calls", "stack"):
            with pytest.raises(AttributeError, match=f"a client has no '{name}': "):
                getattr(made, name)
        with pytest.raises(AttributeError, match="has no attribute 'cal'"):
            made.cal
        assert not hasattr(made, "cal")


def test_functions_do_not_travel():
    """The error says what to do instead, in both clients."""
    pool = millpond.SyncClient(token="mp_x")
    assert "name it" in str(check(failed(pool.run, len, "x"), "bad_argument", "not_started"))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_connections_of_its_own():
    """The parent's go on, and end when the parent ends them, though the child is there."""
    with serving(echo) as server, client_of(server) as pool:
        assert pool.call("echo", "before") == ["before"]
        assert len(server.connections) == 1
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                answers = [pool.call("echo", number) for number in range(3)]
                os.write(writer, repr(answers).encode())
                os.read(reader, 0)
            finally:
                os._exit(0)
        os.close(writer)
        assert pool.call("echo", "meanwhile") == ["meanwhile"]
        with open(reader, "rb") as file:
            assert file.read() == b"[[0], [1], [2]]"
        os.waitpid(child, 0)
        assert pool.call("echo", "after") == ["after"]
        assert len(server.connections) == 2


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_connection_ends_when_the_parent_ends_it():
    """A child that lives on holds none of its descriptors: the server sees that the caller left."""
    with serving(silence) as server, client_of(server, deadline=0.2) as pool, ThreadPoolExecutor(1) as other:
        running = other.submit(pool.call, "echo")
        while not server.asked:
            threading.Event().wait(0.005)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent closes its end
            os._exit(0)
        os.close(reader)
        try:
            check(running.exception(WAIT_S), "deadline_exceeded", "unknown")
            assert wait_in(server, server.left)
        finally:
            os.close(writer)
            os.waitpid(child, 0)


def test_an_async_client_goes_on_in_a_forked_child():
    """On the child's own loop, with connections of its own."""

    async def ask(pool, value):
        return await pool.call("echo", value)

    with serving(echo) as server:
        loop = asyncio.new_event_loop()
        pool = server.client()
        loop.run_until_complete(pool.open())
        assert loop.run_until_complete(ask(pool, 1)) == [1]
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, repr(asyncio.run(ask(pool, 2))).encode())
            finally:
                os._exit(0)
        os.close(writer)
        with open(reader, "rb") as file:
            assert file.read() == b"[2]"
        os.waitpid(child, 0)
        assert loop.run_until_complete(ask(pool, 3)) == [3]
        assert len(server.connections) == 2
        loop.run_until_complete(pool.close())
        loop.close()


def test_the_trace_of_the_calling_thread_goes_along():
    """The loop's thread is in no trace of its own."""
    trace = pytest.importorskip("opentelemetry.trace")
    context = trace.set_span_in_context(
        trace.NonRecordingSpan(trace.SpanContext(0x1234, 0x56, False, trace.TraceFlags(1)))
    )
    from opentelemetry import context as current

    with serving(echo) as server, client_of(server) as pool:

        def traced():
            current.attach(context)
            pool.call("echo")
            list(pool.map("echo", [1]))

        contextvars.copy_context().run(traced)
        pool.call("echo")
        told = [asked.headers.get("traceparent") for asked in server.asked]
        assert told == [f"00-{0x1234:032x}-{0x56:016x}-01"] * 2 + [None]
