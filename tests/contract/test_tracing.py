"""The caller's trace goes with the call into the worker, and hears how the call ended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import millpond
from tests.contract.handlers import Plain, double
from tests.contract.sites import failure
from tests.contract.talkers import AsyncTalker, Talker

PARENT = "00-0af7651916cd43dd8448eb211c80319c-{:016x}-01"


class Trace:
    """One call's trace, as a tracer would have it."""

    def __init__(self, number: int, operation: str, attributes: dict[str, Any]) -> None:
        self.context = {"traceparent": PARENT.format(number), "tracestate": "vendor=1"}
        self.header = "\n".join(self.context.values()).encode()
        self.operation = operation
        self.attributes = dict(attributes)
        self.ended: list[tuple[str, str | None, str | None]] = []

    def end(self, ending: str, code: str | None, error: BaseException | None) -> None:
        self.ended.append((ending, code, type(error).__name__ if error is not None else None))


class Source:
    """Traces every call."""

    def __init__(self) -> None:
        self.traces: list[Trace] = []

    def begin(self, operation: str, attributes: Any) -> Trace:
        self.traces.append(Trace(len(self.traces) + 1, operation, attributes))
        return self.traces[-1]

    @property
    def last(self) -> Trace:
        return self.traces[-1]


@pytest.fixture
def source() -> Source:
    return Source()


async def test_the_operation_runs_in_the_trace_of_its_call(site, source):
    """Plain operations and streams, one call's trace never in another."""
    pool = site.pool(Talker)
    pool.trace_source = source
    async with pool:
        assert await pool.call("trace") == source.last.context
        assert [item async for item in pool.stream("trace_items", 3)] == [source.last.context] * 3
        assert await pool.call("trace") == source.last.context
        pool.trace_source = None
        assert await pool.call("trace") == {}
    assert [trace.operation for trace in source.traces] == ["trace", "trace_items", "trace"]
    assert all(trace.ended == [("ok", None, None)] for trace in source.traces)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_async_operations_run_in_it_too(site, source, concurrency):
    """Tasks, threads and async generators beside each other, each in its own."""
    pool = site.pool(AsyncTalker, concurrency=concurrency)
    pool.trace_source = source
    async with pool:
        operations = ["atrace", "trace"] * 10
        told = await asyncio.gather(*(pool.call(name) for name in operations))
        assert told == [trace.context for trace in source.traces]
        assert [item async for item in pool.stream("atrace_items", 2)] == [source.last.context] * 2
        assert [item async for item in pool.stream("trace_items", 2)] == [source.last.context] * 2
        pool.trace_source = None
        assert await asyncio.gather(*(pool.call(name) for name in operations)) == [{}] * 20


@pytest.mark.parametrize("nbytes", [10, 50_000, 300_000, 2_000_000])
async def test_arguments_of_every_size_travel_behind_it(site, source, nbytes):
    """Inline, in pieces, and in shared memory."""
    pool = site.pool(Talker)
    pool.trace_source = source
    async with pool:
        assert await pool.call("size", b"x" * nbytes) == (nbytes, source.last.context)


async def test_a_function_is_traced_as_well(site, source):
    """Under its name."""
    pool = site.pool(None)
    pool.trace_source = source
    async with pool:
        assert await pool.run(double, 4) == 8
    assert source.last.operation == "tests.contract.handlers.double"


async def test_every_ending_is_told_once(site, source):
    """What the handler raised, a refusal, an expiry and a caller who left."""
    pool = site.pool(Plain, max_queued=0)
    pool.trace_source = source
    async with pool:
        await failure(pool.call("fail", "no"))
        assert source.last.ended == [("failed", "handler_error", "ValueError")]
        gate = site.gate(pool)
        stays = asyncio.create_task(pool.call("stay", gate.path))
        await gate.entered()
        staying = source.last
        refused = await failure(pool.call("echo", 1))
        assert refused.code == "queue_full"
        stays.cancel()
        await failure(stays)
        assert staying.ended == [("cancelled", "cancelled", "Cancelled")]
        await failure(pool.options(deadline=0.1).call("stay", gate.path))
        assert source.last.ended == [("expired", "deadline_exceeded", "DeadlineExceeded")]
        gate.open()
    assert all(len(trace.ended) <= 1 for trace in source.traces)
    assert [trace.attributes["pool"] for trace in source.traces] == ["default"] * len(source.traces)


async def test_a_call_that_is_tried_again_keeps_its_trace(site, source):
    """The worker that answers in the end runs it in the same one."""
    pool = site.pool(Plain, retry_backoff=0.01, restart_backoff=0.01)
    pool.trace_source = source
    async with pool:
        gate = site.gate(pool)
        stays = asyncio.create_task(pool.options(idempotent=True).call("stay", gate.path, 7))
        await gate.entered()
        site.kill(pool)
        gate.open()
        assert await stays == 7
    assert source.last.ended == [("ok", None, None)]


def test_a_sync_pool_asks_in_the_callers_thread(source):
    """Where the caller's own span is the current one."""
    with millpond.SyncPool(Talker, max_workers=1) as pool:
        pool.trace_source = source
        assert pool.call("trace") == source.last.context
