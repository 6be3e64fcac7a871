"""The blocking face: the same verbs for programs without asyncio, from any thread."""

from __future__ import annotations

import logging
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import millpond
from millpond.logger.delivery import DELIVERY
from tests.contract.handlers import Plain, double
from tests.leftovers import Leftovers, wait_until


def wait_for(path):
    """Wait until an operation has noted that it ran."""
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.003)


@pytest.fixture(scope="module")
def pool():
    """One pool of two workers for all that leaves it as it was."""
    with millpond.SyncPool(Plain, min_workers=2, max_workers=2, name="shared") as opened:
        yield opened


def test_calls_functions_and_options_block_for_their_answer(pool):
    """Results, exceptions with the worker's traceback, refusals, deadlines."""
    assert pool.call("greet", "Ann", loud=True) == "HELLO ANN!"
    assert pool.run(double, 4) == 8
    assert pool.run(lambda number: -number, 4) == -4
    with pytest.raises(ValueError, match="what it said") as caught:
        pool.call("fail", "what it said")
    assert "raise ValueError(text)" in str(caught.value.__cause__)
    with pytest.raises(millpond.BadArgument, match="did you mean 'greet'"):
        pool.call("gret", "Ann")
    with pytest.raises(millpond.DeadlineExceeded):
        pool.options(deadline=0).call("echo", 1)
    assert pool.options(deadline=30, priority=1).run(double, 2) == 4
    with pytest.raises(TypeError, match="unknown option"):
        pool.options(dead=1)


def test_a_log_handler_that_calls_the_pool_does_not_hang_it(pool):
    """Workers' records go to the program's handlers on a thread of their own, and to nobody on the pool's."""

    class Shipping(logging.Handler):
        def emit(self, record):
            if record.name == "app":
                shipped.append(pool.options(deadline=20).call("log", "shipped"))
            else:
                records.append(record.getMessage())

    shipped, records = [], []
    handler = Shipping()
    logging.getLogger().addHandler(handler)
    try:
        logging.getLogger("app").warning("ship this")
        assert DELIVERY.settle(20)
    finally:
        logging.getLogger().removeHandler(handler)
    assert (shipped, records) == ([None], ["shipped"])


def test_a_slow_log_handler_delays_no_answer(pool):
    """Not even for ever: what it does not take is bounded, and counted."""

    class Stuck(logging.Handler):
        def emit(self, record):
            begun.set()
            go_on.wait(20)

    begun, go_on = threading.Event(), threading.Event()
    handler = Stuck()
    logging.getLogger().addHandler(handler)
    try:
        pool.call("log", "said")
        assert begun.wait(20)
        assert pool.call("echo", 1) == 1
        assert pool.statistics().log_records_dropped == 0
    finally:
        go_on.set()
        logging.getLogger().removeHandler(handler)


def test_map_is_ordered_and_closes(pool):
    """Also when its source or a call fails in the middle."""
    assert list(pool.map("echo", range(500))) == list(range(500))
    with pytest.raises(TypeError):
        list(pool.map("large", [1, "two", 3]))
    results = pool.map("echo", iter(int, 1))
    assert next(results) == 0
    results.close()
    assert pool.call("echo", 1) == 1


def test_streams_are_iterators(pool, tmp_path):
    """In order, with the handler's error after the items before it; closing one ends it in the worker."""
    assert list(pool.stream("count", 50)) == list(range(50))
    items = pool.stream("count_and_fail", 2)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ValueError, match="in the middle"):
        next(items)
    path = tmp_path / "stream"
    endless = pool.options(deadline=None).stream("count_for_ever", str(path))
    assert next(endless) == 0
    endless.close()
    wait_for(path.with_suffix(".closed"))
    with pytest.raises(millpond.BadArgument, match="use pool"):
        next(pool.stream("echo", 1))


def test_sessions_block_too(pool):
    """Joined, ordered, closed; calls with options belong to the session."""
    with pool.session("ann") as ann:
        assert ann.call("say", "a") == ["a"]
        assert ann.options(deadline=30).call("say", "b") == ["a", "b"]
        assert (ann.id, ann.generation) == ("ann", 1)
    again = pool.session("ann")
    assert again.call("say", "c") == ["a", "b", "c"]
    assert pool.options(session="ann").call("say", "d") == ["a", "b", "c", "d"]
    again.close()
    with pytest.raises(millpond.SessionLost):
        ann.call("say", "e")


def test_many_threads_share_a_pool_and_each_gets_its_own_answers(pool):
    """Calls, functions and sessions at once."""

    def use(thread):
        session = pool.session(f"thread {thread}")
        try:
            for number in range(100):
                assert pool.call("echo", (thread, number)) == (thread, number)
                assert pool.run(double, number) == 2 * number
                assert len(session.call("say", number)) == number + 1
        finally:
            session.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(8)))
    facts = pool.statistics()
    assert facts.submitted == sum(facts.endings.values()) + facts.in_flight


def test_a_listener_cannot_call_the_pool_that_notifies_it(pool):
    """It runs on the pool's own thread, which would wait for itself."""
    told = []

    def listener(event):
        for verb in (lambda: pool.call("echo", 1), lambda: pool.session("x"), pool.close, pool.drain):
            try:
                verb()
            except RuntimeError as error:
                told.append(str(error))

    pool.telemetry.attach("test", "session.open", listener)
    try:
        pool.session("eve").close()
    finally:
        pool.telemetry.detach("test")
    assert len(told) == 4
    assert all("own thread" in text for text in told)
    assert pool.call("echo", 1) == 1


def test_an_interrupt_of_the_waiting_thread_stops_the_work(pool, tmp_path):
    """Ctrl-C reaches the main thread, and the worker is free for the next call."""
    path = tmp_path / "interrupted"

    def interrupt():
        wait_for(path.with_suffix(".ran"))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        pool.call("stay", str(path))
    assert [pool.call("echo", number) for number in range(4)] == [0, 1, 2, 3]


def test_it_resizes_replaces_and_answers_questions():
    """The rest of the verbs, blocking."""
    with millpond.SyncPool(Plain, max_workers=1) as pool:
        pool.resize(min_workers=2, max_workers=2)
        assert pool.statistics().workers["ready"] == 2
        before = pool.statistics().pids
        pool.replace_workers()
        assert not set(before) & set(pool.statistics().pids)
        assert isinstance(pool.logs(), str)
        assert pool.run_id in repr(pool.statistics())
        assert repr(pool).startswith("<SyncPool 'default' ready: 2 of 2 workers")
        pool.drain()
        with pytest.raises(millpond.PoolClosing):
            pool.call("echo", 1)


def test_a_pool_that_is_not_open_says_so_and_never_hangs():
    """Before opening and after closing, every verb; closing is always possible."""
    pool = millpond.SyncPool(Plain, max_workers=1)
    verbs = [
        lambda: pool.call("echo", 1),
        lambda: pool.run(double, 1),
        lambda: pool.session("ann"),
        lambda: next(pool.map("echo", [1])),
        lambda: next(pool.stream("count", 1)),
        lambda: pool.resize(max_workers=2),
        pool.replace_workers,
        pool.drain,
    ]
    for _ in range(2):
        for verb in verbs:
            with pytest.raises(millpond.PoolClosed):
                verb()
        pool.close()
    with pytest.raises(millpond.PoolClosed):
        pool.open()
    with millpond.SyncPool(Plain, max_workers=1) as opened:
        assert opened.open() is opened
        pool = opened
    for verb in verbs:
        with pytest.raises(millpond.PoolClosed):
            verb()
    pool.close()


def test_a_failing_start_leaves_no_thread():
    """The error is the user's own, and nothing is left behind."""
    before = Leftovers(besides=("millpond-resources",))  # that of the module's pool, some time after it opened
    with pytest.raises(millpond.StartFailed, match="no model on this machine"):
        millpond.SyncPool("tests.contract.handlers:NeverMade", max_workers=1).open()
    wait_until(lambda: not before.threads())


def test_a_pool_left_to_the_garbage_or_closed_twice_is_no_problem():
    """Never opened, it has neither thread nor descriptors; closed from two threads, it is closed once."""
    pool = millpond.SyncPool(Plain, max_workers=1).open()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: pool.close(), range(2)))
    assert pool.statistics().state == "closed"
