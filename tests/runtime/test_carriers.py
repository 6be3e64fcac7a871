"""Orders on a real driver: what one of them raises, and what a tracer raises, costs nobody else."""

from __future__ import annotations

import asyncio

import pytest

import millpond
from millpond.core import orders
from millpond.options import DEFAULT
from millpond.testing import FakeEngine


class Echo:
    """Answers."""

    def echo(self, token):
        return token

    def say(self, token, *, session):
        session.state["said"] = token
        return token


class Raising(FakeEngine):
    """An engine that cannot send the next calls."""

    def __init__(self) -> None:
        super().__init__()
        self.raises: list[Exception] = []

    def send(self, worker, call):
        if self.raises:
            raise self.raises.pop()
        super().send(worker, call)


def run(body, **settings) -> None:
    """Run a test's body with a pool of one worker on an engine whose orders may raise."""

    async def main():
        engine = Raising()
        async with millpond.Pool(Echo, engine=engine, min_workers=1, max_workers=1, **settings) as pool:
            await body(pool, engine)
            assert await pool.call("echo", "well") == "well"
            said = pool.statistics()
            assert said.submitted == sum(said.endings.values())
            assert said.starts == 1

    asyncio.run(main())


async def callers(pool, count: int) -> list:
    """What so many concurrent callers get."""
    return await asyncio.gather(*(pool.call("echo", n) for n in range(count)), return_exceptions=True)


def test_a_call_that_cannot_be_sent_costs_nobody_behind_it(caplog):
    """Its own caller is told that it did not start; it is logged once."""

    async def body(pool, engine):
        engine.raises = [RuntimeError("no"), RuntimeError("no")]
        first, second, third = await callers(pool, 3)
        assert [type(one) for one in (first, second)] == [millpond.InternalError] * 2
        assert (first.code, first.outcome, third) == ("internal_error", "not_started", 2)
        assert pool.statistics().faults == {"the order 'send'": 2}

    run(body)
    (said,) = [r.getMessage() for r in caplog.records if "order 'send'" in r.getMessage()]
    assert "it ends what it was about at most" in said


def test_an_error_that_cannot_be_asked_anything_costs_nobody_behind_it():
    """What class it is of is asked of its type: its own code may raise once more."""

    class Shy(Exception):
        def __getattribute__(self, name):
            raise LookupError(name)

    async def body(pool, engine):
        engine.raises = [Shy()]
        first, second = await callers(pool, 2)
        assert (type(first), second) == (millpond.InternalError, 1)

    run(body)


def test_an_interrupt_reaches_the_loop_after_the_orders_behind_it():
    """KeyboardInterrupt and SystemExit are never kept from the program; what was ordered is carried out before."""

    async def body(pool, engine):
        def interrupting(_order):
            raise KeyboardInterrupt

        factory, driver = pool.call_factory, pool.driver
        driver.carriers.table[orders.WarmEnd] = interrupting
        future = asyncio.get_running_loop().create_future()
        call = factory.operation_call("echo", (1,), {}, DEFAULT, future)
        driver.machine.outbox.append(orders.WarmEnd(None))
        driver.machine.submit(call, driver.now())
        with pytest.raises(KeyboardInterrupt):
            driver.carry_out()
        assert await future == 1

    run(body)


class Tracer:
    """A trace source that fails at one place."""

    def __init__(self, where: str, kind: type[BaseException] = RuntimeError) -> None:
        self.where = where
        self.kind = kind
        self.ended = 0

    def begin(self, operation, attributes):
        if self.where == "begin":
            raise self.kind("no exporter")
        return self

    @property
    def header(self):
        if self.where == "header":
            raise self.kind("no header")
        return 7 if self.where == "kind of header" else b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"

    def end(self, ending, code, error):
        self.ended += 1
        if self.where == "end":
            raise self.kind("exporter broke")


@pytest.mark.parametrize("kind", [RuntimeError, asyncio.CancelledError, GeneratorExit])
@pytest.mark.parametrize("where", ["begin", "header", "kind of header", "end"])
def test_a_tracer_that_raises_costs_no_answer(where, kind):
    """Calls go on without their trace, and the tracer is asked again for the next one."""

    async def body(pool, engine):
        pool.trace_source = tracer = Tracer(where, kind)
        assert await callers(pool, 3) == [0, 1, 2]
        assert pool.trace_source is tracer
        assert tracer.ended == (3 if where == "end" else 0)
        assert pool.statistics().faults == {"the tracer": 3}
        pool.trace_source = None

    run(body)


def test_a_store_that_fails_ends_its_own_session_s_calls_only():
    """What comes of an order to the store is told even if the store raised something of its own."""

    class Store:
        is_immediate, survives = True, False

        def open(self): ...

        def close(self): ...

        def forget_before(self, _wall_time):
            return 0

        def put_many(self, _records):
            raise MuteError

        get = delete_many = put_many

    class MuteError(Exception):
        def __str__(self):
            raise ValueError

    async def body(pool, engine):
        async with pool.session("a") as session:
            assert await session.call("say", 1) == 1
            while not pool.driver.view.counters.store_failures:
                await asyncio.sleep(0.01)
            assert await session.call("say", 2) == 2

    run(body, session_store=Store(), sleep_after=0.02)
