"""A storm of threads on one pool: nothing but the loop's thread walks or fills what the core changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor, wait

import millpond
from millpond.testing import FakeEngine

TURNS = 40


class Handler:
    """Operations of each kind."""

    def echo(self, token):
        return token

    def count(self, to):
        yield from range(to)

    def say(self, token, *, session):
        session.state["said"] = token
        return token


def guarded(kind, owner, trespasses):
    """A dictionary like `kind` that notes whoever walks or changes it on another thread than the `owner`."""

    def guard(name):
        method = getattr(kind, name)

        def checked(self, *args, **kwargs):
            if threading.get_ident() != owner:
                trespasses.append(name)
            return method(self, *args, **kwargs)

        return checked

    walks = ("__iter__", "keys", "values", "items", "__setitem__", "__delitem__", "pop", "popitem", "setdefault")
    return type("Guarded", (kind,), {name: guard(name) for name in (*walks, "update", "clear")})


def guard_all(machine, owner, trespasses):
    """Put guards around every dictionary of the core's records, which the view looks through then."""
    records = machine._records
    for record in (records, records.sessions, records.counters, records.wheel):
        for name in dir(record):
            found = None if name.startswith("__") else getattr(record, name, None)
            if type(found) in (dict, OrderedDict):
                setattr(record, name, guarded(type(found), owner, trespasses)(found))
    machine.view.__init__(records)


def tried(verb, *args):
    """Do it; refusals are answers too."""
    try:
        return verb(*args)
    except millpond.PoolError as error:
        return error


def named(number):
    """A function with a name of its own."""

    def function():
        return number

    function.__qualname__ = f"function_{number}"
    return function


def storm(pool, name, barrier):
    """What one thread does: every verb that is for any thread."""
    barrier.wait(20)
    for turn in range(TURNS):
        number = name * TURNS + turn
        assert tried(pool.options(priority=turn % 3).call, "echo", number) is not None
        tried(pool.run, named(number))
        tried(pool.call, "no such operation")
        tried(lambda: list(pool.stream("count", 3)))
        tried(lambda: list(pool.map("echo", range(3))))
        session = tried(pool.session, f"{name}-{turn % 5}")
        if isinstance(session, millpond.PoolError):
            continue
        tried(session.call, "say", number)
        tried(pool.options(session=f"{name}-{turn % 5}").call, "say", number)
        assert session.state
        assert pool.statistics().submitted
        assert pool.pool.statistics().submitted
        assert repr(pool)
        assert repr(pool.pool)
        assert pool.logs() == pool.pool.logs() == ""
        for show in ("running", "waiting", "slowest", "failed"):
            for one in pool.calls(show, limit=3).calls:
                pool.call_facts(one.call_id)
        assert not pool.cancel_call(10**9)
        pool.metrics.snapshot()
        pool.telemetry.attach(f"listener-{name}", "call", lambda _: None)
        assert pool.telemetry.listeners()
        pool.telemetry.detach(f"listener-{name}")
        if turn % 3 == 0:
            session.close()


def test_no_verb_walks_or_fills_the_core_s_records_from_a_caller_s_thread():
    """The verbs of a `SyncPool`, and those of a `Pool` that are for any thread, under eight threads at once."""
    trespasses: list[str] = []
    with millpond.SyncPool(
        Handler, engine=FakeEngine(), min_workers=2, max_workers=2, max_queued=2, max_sessions=30, metrics=True
    ) as pool:
        machine = pool.pool.driver.machine
        owner = pool.thread.ask(threading.get_ident)
        pool.thread.ask(lambda: guard_all(machine, owner, trespasses))
        barrier = threading.Barrier(8)
        with ThreadPoolExecutor(8) as threads:
            done = wait([threads.submit(storm, pool, name, barrier) for name in range(8)], timeout=60)
        assert not done.not_done
        for future in done.done:
            future.result()
        assert not trespasses
        said = pool.statistics()
        assert said.submitted == sum(said.endings.values())
        assert not said.faults


def test_an_executor_s_submit_changes_nothing_of_the_core_s():
    """Functions are entered into the core's records when their calls are, on the executor's own thread."""
    trespasses: list[str] = []
    with millpond.Executor(max_workers=1, engine=FakeEngine()) as executor:
        assert executor.submit(named(0)).result(20) == 0
        machine = executor._pool.driver.machine
        owner = executor._thread.ask(threading.get_ident)
        executor._thread.ask(lambda: guard_all(machine, owner, trespasses))
        with ThreadPoolExecutor(4) as threads:
            futures = list(threads.map(lambda number: executor.submit(named(number)), range(100)))
        assert sorted(future.result(20) for future in futures) == list(range(100))
    assert not trespasses


def test_an_asyncio_pool_tells_its_statistics_to_any_thread():
    """They are read on its loop, while whoever asks waits; of a loop that does not run they are read at once."""
    import asyncio

    async def main():
        async with millpond.Pool(Handler, engine=FakeEngine(), min_workers=1, max_workers=1) as pool:
            threads = set()
            guard_all(pool.driver.machine, threading.get_ident(), trespasses)
            said, logs = await asyncio.gather(asyncio.to_thread(pool.statistics), asyncio.to_thread(pool.logs))
            assert (said.alive, logs, threads) == (1, "", set())
            return pool

    trespasses: list[str] = []
    pool = asyncio.run(main())
    assert pool.statistics().state == "closed"
    assert not trespasses
