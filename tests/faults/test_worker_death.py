"""Rows 1 to 4, worker death: one death costs one call, whatever the way to die, and nothing leaks with it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import millpond
from millpond.testing import EventRecorder
from tests.faults.deadly import AsyncDeadly, BreaksWhenUnpickled, Deadly
from tests.faults.harness import (
    DEATH_S,
    Callers,
    Mark,
    at_most,
    check_error,
    checked_pool,
    eventually,
    failure,
    more_open,
    open_files,
    resident_bytes,
    zombies,
)
from tests.leftovers import Leftovers

LOOPS = pytest.mark.parametrize("handler", [Deadly, AsyncDeadly], ids=["blocking", "asyncio"])


async def test_01_contained_death(start_method: str, load: int, cold: float, tmp_path: Path) -> None:
    """Killing one of four busy workers costs the call it ran and no other."""
    marks = [Mark(tmp_path, str(number)) for number in range(4)]
    async with checked_pool(min_workers=4, start_method=start_method) as pool, Callers(pool, load).calling():
        calls = [asyncio.create_task(pool.call("nap", 1.0, mark.path, number)) for number, mark in enumerate(marks)]
        victim = [await mark.begun() for mark in marks][2]
        os.kill(victim, signal.SIGKILL)
        error, took = await failure(calls.pop(2))
        check_error(error, "worker_died", "unknown", signal=9, attempts=1)
        assert took <= at_most(DEATH_S)
        await eventually(lambda: pool.statistics().alive == 4, cold + 2.0, "four workers again")
        assert await asyncio.gather(*calls) == [0, 1, 3]
        assert await asyncio.gather(*(pool.call("echo", number) for number in range(100))) == list(range(100))
        assert victim not in pool.statistics().pids.values()


@LOOPS
@pytest.mark.parametrize(
    ("operation", "arguments", "facts", "tail"),
    [
        ("segfault", (), {"signal": 11, "exit_code": None}, "segfault"),
        ("leave", (0,), {"signal": None, "exit_code": 0}, ""),
        ("leave", (7,), {"signal": None, "exit_code": 7}, ""),
        ("abort", (), {"signal": 6, "exit_code": None}, "abort"),
    ],
    ids=["segfault", "exit-0", "exit-7", "abort"],
)
async def test_02_ways_to_die(
    start_method: str, handler: type, operation: str, arguments: tuple[int, ...], facts: dict[str, Any], tail: str
) -> None:
    """A worker's end is told as what it was, with the stack faulthandler left, and never as success."""
    async with checked_pool(handler, start_method=start_method) as pool:
        recorder = EventRecorder(pool)
        old = await pool.call("pid")
        error, _ = await failure(pool.options(deadline=20.0).call(operation, *arguments))
        check_error(error, "worker_died", "unknown", **facts)
        assert tail in error.stderr_tail, "the stack faulthandler wrote ends with the operation"
        assert tail in str(error), "and is in what is printed of it"
        await recorder.wait("worker.gone", timeout=5.0, **facts)
        assert await pool.call("pid") != old


@pytest.mark.parametrize(
    ("handler", "operation", "name"),
    [
        (Deadly, "sys_exit", "SystemExit"),
        (Deadly, "system_exit", "SystemExit"),
        (Deadly, "keyboard_interrupt", "KeyboardInterrupt"),
        (Deadly, "generator_exit", "GeneratorExit"),
        (AsyncDeadly, "sys_exit", "SystemExit"),
        (AsyncDeadly, "keyboard_interrupt", "KeyboardInterrupt"),
        (AsyncDeadly, "asys_exit", "SystemExit"),
        (AsyncDeadly, "akeyboard_interrupt", "KeyboardInterrupt"),
    ],
)
async def test_02_ways_to_leave_without_dying(start_method: str, handler: type, operation: str, name: str) -> None:
    """What would end a program is a handler's failure like others: the same process serves the next call."""
    async with checked_pool(handler, start_method=start_method) as pool:
        old = await pool.call("pid")
        error, _ = await failure(pool.options(deadline=20.0).call(operation))
        check_error(error, "handler_error", "completed")
        assert name in error.type_name
        assert operation in error.traceback
        assert await pool.call("pid") == old


@LOOPS
async def test_03_what_cannot_be_carried_in(start_method: str, handler: type) -> None:
    """An argument that cannot be sent fails in the caller; one that cannot be received fails in the worker."""
    async with checked_pool(handler, start_method=start_method) as pool:
        old = await pool.call("pid")
        error, _ = await failure(pool.call("echo", threading.Lock()))
        check_error(error, "bad_argument", "not_started")
        error, _ = await failure(pool.call("echo", BreaksWhenUnpickled()))
        assert isinstance(error, millpond.PoolError)
        assert error.code == "bad_argument"
        assert (await pool.call("pid"), pool.statistics().starts) == (old, 1)


@LOOPS
@pytest.mark.parametrize("operation", ["unserializable", "exits_when_pickled", "breaks_when_unpickled"])
async def test_03_what_cannot_be_carried_out(start_method: str, handler: type, operation: str) -> None:
    """A result that cannot be sent says that the work was done, and costs no worker."""
    async with checked_pool(handler, start_method=start_method) as pool:
        old = await pool.call("pid")
        error, _ = await failure(pool.call(operation))
        check_error(error, "result_not_serializable", "completed")
        assert (await pool.call("pid"), pool.statistics().starts) == (old, 1)


@LOOPS
@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
async def test_03_exceptions_that_cannot_be_carried(start_method: str, handler: type, codec: str) -> None:
    """An exception that cannot travel arrives as its type's name, its text and the worker's traceback."""
    async with checked_pool(handler, start_method=start_method, codec=codec) as pool:
        old = await pool.call("pid")
        error, _ = await failure(pool.call("raise_two_arguments"))
        if codec == "pickle":  # made again without its constructor
            assert (type(error).__name__, str(error)) == ("TwoArguments", "one and two")
        else:
            check_error(error, "handler_error", "completed")
            assert "TwoArguments" in error.type_name
            assert error.text == "one and two"
        assert "raise_two_arguments" in str(error.__cause__)
        for name in ("ExitsWhenPickled", "ExitsWhenUnpickled", "BadRepr"):
            error, _ = await failure(pool.call("raise_by_name", name))
            if name == "BadRepr" and codec == "pickle" and type(error).__name__ == name:
                continue  # its own `__reduce__` is sound: it may travel as itself
            check_error(error, "handler_error", "completed")
            assert name in error.type_name
            assert "raise_by_name" in error.traceback
        assert (await pool.call("pid"), pool.statistics().starts) == (old, 1)


KILLS = {"fork": 100, "spawn": 50}  # a start by exec costs 0.2 s of a core, and what leaks by the death shows with 50


async def test_04_no_slow_leak(start_method: str) -> None:
    """A hundred deaths leave no descriptor, no thread, no zombie and no memory behind, and each has its cause."""
    async with checked_pool(min_workers=4, start_method=start_method) as pool:
        recorder = EventRecorder(pool, "worker.gone")
        async with Callers(pool, 2).calling():
            await _kill(pool, recorder, 5, 0)
            # The metrics take what they need with the first looks, and the alerts have their say of the first deaths.
            await eventually(lambda: pool.metrics.snapshot().watch.folds >= 4, 8.0, "the metrics to be warm")
            files, threads, memory = open_files(), Leftovers(), resident_bytes()
            await _kill(pool, recorder, KILLS[start_method], 5)
            await eventually(lambda: not more_open(files), 2.0, lambda: f"the end of {more_open(files)}")
        # They write alerts and call log handlers, and start with the first of each.
        late = {"millpond-log", "millpond-logging"}
        await eventually(lambda: set(threads.threads()) <= late, 2.0, lambda: f"the end of {threads.threads()}")
        assert resident_bytes() - memory <= 10 * 2**20
        await eventually(lambda: not zombies(), 2.0, lambda: f"zombies {zombies()}")
        deaths = [event for event in recorder.events if event.name == "worker.gone"]
        assert [event.signal for event in deaths] == [9] * (KILLS[start_method] + 5)


async def _kill(pool: millpond.Pool, recorder: EventRecorder, count: int, before: int) -> None:
    """Kill `count` workers one after another, the next as soon as two others serve."""
    for number in range(before + 1, before + count + 1):
        await eventually(lambda: _serving(pool) >= 3, 10.0, f"replacements before death {number}")
        worker, pid = next(iter(pool.statistics().pids.items()))
        os.kill(pid, signal.SIGKILL)
        await recorder.wait("worker.gone", timeout=10.0, worker=worker)
    await eventually(lambda: _serving(pool) == 4, 10.0, "the last replacement")


def _serving(pool: millpond.Pool) -> int:
    states = pool.statistics().workers
    return states.get("ready", 0) + states.get("busy", 0)
