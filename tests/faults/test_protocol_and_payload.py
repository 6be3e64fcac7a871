"""Rows 9 and 10, protocol and payload: no noise and no size comes between a caller and the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy
import pytest

from tests.faults.handlers import AsyncPlain, Plain
from tests.faults.harness import check_error, checked_pool, failure, only_pid

KIB, MIB = 2**10, 2**20
SIZES = (0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, 64 * MIB)
NOISES = ("print", "write", "echo", "printf", "end")


async def test_09_noise(start_method: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever a handler writes lands in a bounded log of its worker and never in the protocol or on our output."""
    async with checked_pool("tests.faults.noisy:Noisy", min_workers=2, start_method=start_method) as pool:
        calls = [asyncio.create_task(pool.options(deadline=30.0).call("echo", number)) for number in range(20)]
        assert await asyncio.gather(*calls) == list(range(20))
        everything = pool.logs()
        for worker in pool.statistics().pids:
            kept = pool.logs(worker=worker)
            assert len(kept) <= 64 * KIB + 200, "the ring and a line that says what was dropped"
            assert "dropped" in kept
            assert "noise-end-call" in kept
        assert "noise-end-" in everything
    captured = capfd.readouterr()
    assert "noise" not in captured.out
    assert "noise" not in captured.err


@pytest.mark.parametrize("handler", [Plain, AsyncPlain], ids=["blocking", "asyncio"])
@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
async def test_10_sizes(start_method: str, codec: str, handler: type) -> None:
    """Payloads of every size, at and around the threshold of the shared buffers, arrive as equal bytes."""
    async with checked_pool(handler, codec=codec, start_method=start_method) as pool:
        for size in SIZES:
            data = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
            assert await pool.call("size_of", data) == size
            answer = await pool.call("echo", data)
            assert type(answer) is bytes
            assert answer == data
            assert await pool.call("make", size) == b"m" * size


@pytest.mark.parametrize("kind", ["bytearray", "array", "nested"])
async def test_10_sizes_of_buffers_of_other_kinds(start_method: str, kind: str) -> None:
    """Arrays and byte arrays arrive equal, writable and nobody else's, several at a time."""
    async with checked_pool(start_method=start_method, min_workers=2) as pool:

        async def there_and_back(number: int) -> None:
            sent = _value(kind, number)
            answer = await pool.call("echo", sent)
            for part, own in zip(*(_parts(value) for value in (answer, sent)), strict=True):
                assert type(part) is type(own)
                assert bytes(part) == bytes(own)
                part[0] = part[0]

        await asyncio.gather(*(there_and_back(number) for number in range(24)))


def _value(kind: str, number: int) -> Any:
    raw = bytes([number]) * ((64 * KIB - 2) + 1_000 * number)
    if kind == "bytearray":
        return bytearray(raw)
    array = numpy.frombuffer(raw, dtype=numpy.uint8).copy()
    return array if kind == "array" else {"array": array, "more": [bytearray(raw), bytearray(b"s")]}


def _parts(value: Any) -> list[Any]:
    return [value["array"], *value["more"]] if isinstance(value, dict) else [value]


@pytest.mark.parametrize("codec", ["pickle", "msgpack"])
async def test_10_sizes_beyond_the_limit(start_method: str, codec: str) -> None:
    """One byte too much is refused before it is sent, or told after the work was done; the worker stays."""
    async with checked_pool(max_payload=MIB, codec=codec, start_method=start_method) as pool:
        old = only_pid(pool)
        error, _ = await failure(pool.call("echo", b"x" * (MIB + 1)))
        check_error(error, "payload_too_large", "not_started")
        error, _ = await failure(pool.call("make", MIB + 1))
        check_error(error, "payload_too_large", "completed")
        assert len(await pool.call("make", MIB - KIB)) == MIB - KIB
        assert await pool.call("size_of", b"x" * (MIB - KIB)) == MIB - KIB
        assert (await pool.call("pid"), pool.statistics().starts) == (old, 1)


async def test_10_sizes_do_not_hold_up_others(start_method: str) -> None:
    """While 64 MiB travel there and back, the echoes of other workers stay quick and no worker seems dead."""
    data = b"x" * (64 * MIB)
    async with checked_pool(min_workers=3, health_interval=0.1, start_method=start_method) as pool:
        pids = pool.statistics().pids
        transfer = asyncio.create_task(_echo_all(pool, data, 4))
        answered = 0
        while not transfer.done():
            assert await pool.call("echo", "small") == "small"
            answered += 1
            await asyncio.sleep(0.005)
        assert await transfer
        assert answered >= 8, "they were answered between its parts"
        assert pool.statistics().pids == pids


async def _echo_all(pool: Any, data: bytes, times: int) -> bool:
    return all([await pool.call("echo", data) == data for _ in range(times)])
