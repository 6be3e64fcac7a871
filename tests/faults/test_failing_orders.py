"""Orders to the engine and the store that raise, at random, and program code that raises where the pool calls it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Any

import pytest

import millpond
from millpond.engine.local import LocalEngine
from millpond.sessions.memory import MemoryStore
from tests.faults.handlers import Plain
from tests.faults.harness import checked_pool, eventually

ORDERS = ("start", "send", "withdraw", "interrupt", "forget_session", "ping", "memory")
SHARE = 0.15  # of the orders that raise
CODES = {"internal_error", "store_failed", "session_lost"}


class Unreliable:
    """What it wraps, some of whose methods raise now and then while it is on: before they did something, or after."""

    def __init__(self, inner: Any, names: tuple[str, ...], chance: random.Random) -> None:
        self.inner, self.names, self.chance = inner, names, chance
        self.is_on = False
        self.raised: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        return self._wrapped(name, found) if name in self.names else found

    def _wrapped(self, name: str, method: Any) -> Any:
        def call(*args: Any) -> Any:
            fails = self.is_on and self.chance.random() < SHARE
            if fails and (name != "send" or self.chance.random() < 0.5):
                self._raise(name)
            answer = method(*args)
            if fails:
                self._raise(name)
            return answer

        return call

    def _raise(self, name: str) -> None:
        self.raised.add(name)
        raise RuntimeError(f"{name} is broken")


class Callers:
    """Callers who check that the answers are theirs, and keep the errors."""

    def __init__(self, pool: millpond.Pool) -> None:
        self.pool = pool
        self.errors: list[millpond.PoolError] = []
        self.answered = 0

    async def echo(self, name: str, count: int) -> None:
        for number in range(count):
            await self._expect(self.pool.call("echo", (name, number)), (name, number))

    async def say(self, name: str, count: int) -> None:
        for _ in range(count):
            try:
                async with self.pool.session(name, reopen=True) as session:
                    await session.call("say")
                    self.answered += 1
            except millpond.PoolError as error:
                self.errors.append(error)
            await asyncio.sleep(0.02)  # long enough to fall asleep

    async def leave(self, count: int) -> None:
        """Give calls up while they run."""
        for _ in range(count):
            task = asyncio.ensure_future(self.pool.options(deadline=0.1).call("nap", 0.3))
            with contextlib.suppress(millpond.DeadlineExceeded, millpond.InternalError):
                await task

    async def _expect(self, call: Any, wanted: Any) -> None:
        try:
            assert await call == wanted
            self.answered += 1
        except millpond.PoolError as error:
            self.errors.append(error)


@pytest.mark.timeout(120)
async def test_29_an_order_that_raises_ends_at_most_what_it_is_about(start_method: str, chance: random.Random) -> None:
    """Its call or session gets an error that names it, all others their answers; nothing is killed, health says so."""
    engine = Unreliable(LocalEngine(), ORDERS, chance)
    store = Unreliable(MemoryStore(), ("put_many", "get", "delete_many"), chance)
    settings = {
        "engine": engine,
        "session_store": store,
        "sleep_after": 0.01,
        "start_method": start_method,
        "restart_backoff": 0.01,
        "health_interval": 0.2,
        "max_memory": 2**40,
    }
    killed: list[Any] = []
    async with checked_pool(Plain, min_workers=2, max_workers=3, **settings) as pool:
        pool.telemetry.attach("killed", "worker.killed", killed.append)
        engine.is_on = store.is_on = True
        callers = Callers(pool)
        with contextlib.suppress(millpond.StartFailed):
            await pool.resize(min_workers=3)
        echoes = [callers.echo(f"caller {n}", 60) for n in range(4)]
        sessions = [callers.say(f"session {n}", 15) for n in range(4)]
        async with asyncio.timeout(60):
            await asyncio.gather(*echoes, *sessions, callers.leave(4))
        engine.is_on = store.is_on = False
        assert {"send", "put_many"} <= engine.raised | store.raised
        assert {error.code for error in callers.errors} <= CODES, callers.errors
        assert all(error.outcome in ("not_started", "unknown") for error in callers.errors), callers.errors
        named = [error for error in callers.errors if error.code == "internal_error"]
        assert all("is broken" in str(error) for error in named)
        assert callers.answered + len(callers.errors) == 4 * 60 + 4 * 15
        assert not killed
        assert "the order 'send'" in pool.statistics().faults
        await eventually(
            lambda: any("raised that should not" in note for note in pool.metrics.snapshot().health.notes),
            3.0,
            "health says that something raised",
        )
        await pool.resize(min_workers=2, max_workers=3)


class BrokenTracer:
    """Its exporter is gone when a call ends."""

    header = b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"

    def begin(self, _operation: str, _attributes: Any) -> BrokenTracer:
        return self

    def end(self, _ending: str, _code: str | None, _error: BaseException | None) -> None:
        raise RuntimeError("the exporter broke")


class BrokenHandler(logging.Handler):
    """A log handler that raises where `logging` lets it."""

    def handle(self, _record: logging.LogRecord) -> bool:
        raise RuntimeError("the disk is full")


async def test_29_a_tracer_a_listener_and_a_log_handler_that_raise_end_nothing(start_method: str) -> None:
    """The answers arrive, and those of the calls behind them."""

    def broken(_event: Any) -> None:
        raise GeneratorExit("it does not listen")

    handler = BrokenHandler()
    logging.getLogger("millpond").addHandler(handler)
    try:
        async with checked_pool(Plain, min_workers=1, start_method=start_method) as pool:
            pool.trace_source = BrokenTracer()  # type: ignore[assignment]
            pool.telemetry.attach("broken", "call", broken)
            answers = await asyncio.gather(*(pool.call("echo", number) for number in range(20)))
            assert answers == list(range(20))
            assert pool.statistics().faults["the tracer"] == 20
            assert "broken" in pool.telemetry.removed
            pool.trace_source = None
    finally:
        logging.getLogger("millpond").removeHandler(handler)
