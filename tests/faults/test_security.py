"""Rows 26 and 28 as far as they concern the wire: a hostile worker and bombs as arguments do no harm here.

What comes over HTTP is not here: rows 24 and 25 are in `test_security_of_access.py`.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

import millpond
from tests.faults.forger import PICKLES, Forger
from tests.faults.handlers import Plain
from tests.faults.harness import (
    DEATH_S,
    at_most,
    check_error,
    checked_pool,
    eventually,
    failure,
    is_alive,
    only_pid,
    resident_bytes,
)

MIB = 2**20
CODECS = pytest.mark.parametrize("codec", ["pickle", "msgpack"])


def nest(depth: int) -> Any:
    """A list in a list in a list."""
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


@CODECS
async def test_26_bombs_as_arguments(start_method: str, codec: str) -> None:
    """What is nested too deep or too long for the codec is refused here, and no worker is touched."""
    async with checked_pool(Plain, codec=codec, start_method=start_method) as pool:
        old, memory = only_pid(pool), resident_bytes()
        error, _ = await failure(pool.call("echo", nest(200_000)))
        check_error(error, "bad_argument", "not_started")
        assert math.isnan(await pool.call("echo", math.nan))
        digits = 10**5_000 - 1
        if codec == "pickle":
            assert await pool.call("echo", digits) == digits
        else:
            error, _ = await failure(pool.call("echo", digits))
            check_error(error, "bad_argument", "not_started")
        assert resident_bytes() - memory <= 50 * MIB
        assert (await pool.call("pid"), pool.statistics().starts) == (old, 1)


@CODECS
async def test_26_bombs_as_results(start_method: str, codec: str) -> None:
    """A result nested too deep fails its own call, in the worker, which lives on."""
    async with checked_pool(Forger, codec=codec, start_method=start_method) as pool:
        old = only_pid(pool)
        error, _ = await failure(pool.call("deep", 200_000))
        check_error(error, "result_not_serializable", "completed")
        assert (await pool.call("pid"), pool.statistics().starts) == (old, 1)


@CODECS
@pytest.mark.parametrize("how", ["oversized", "kind", "incarnation", "segments", "garbage"])
async def test_26_forged_frames(start_method: str, codec: str, how: str) -> None:
    """A frame that breaks the protocol costs the worker that sent it and the call it ran, and no memory."""
    async with checked_pool(Forger, min_workers=1, codec=codec, start_method=start_method) as pool:
        hostile = await pool.call("tamper", how)
        memory = resident_bytes()
        error, took = await failure(pool.options(deadline=20.0).call("echo", "token"))
        check_error(error, "worker_died", "unknown")
        assert took <= at_most(DEATH_S)
        await eventually(lambda: not is_alive(hostile), 2.0, "the end of the hostile worker")
        assert await pool.call("pid") != hostile
        assert resident_bytes() - memory <= 50 * MIB


@pytest.mark.parametrize("then", ["exit", "silence"])
async def test_26_truncated_frame(start_method: str, then: str) -> None:
    """Half an answer is none: its worker dies with it, or the deadline passes."""
    async with checked_pool(Forger, start_method=start_method) as pool:
        hostile = await pool.call("tamper", "truncated", then)
        error, _ = await failure(pool.options(deadline=1.0).call("echo", "token"))
        if then == "exit":
            check_error(error, "worker_died", "unknown", exit_code=5)
        else:
            check_error(error, "deadline_exceeded", "unknown")
        await eventually(lambda: not is_alive(hostile), 4.0, "the end of the hostile worker")


@CODECS
async def test_26_nested_answer(start_method: str, codec: str) -> None:
    """An answer nested too deep to be decoded ends its call with an error and this process not at all."""
    async with checked_pool(Forger, codec=codec, start_method=start_method) as pool:
        await pool.call("tamper", "nested")
        error, _ = await failure(pool.options(deadline=20.0).call("echo", "token"))
        assert isinstance(error, millpond.PoolError)


@CODECS
@pytest.mark.parametrize("how", ["twice", "others"])
async def test_28_answers_to_the_calls_of_others(start_method: str, codec: str, how: str, tmp_path: Path) -> None:
    """An answer counts for a call that runs on the worker that sent it, once, and for no other."""
    async with checked_pool(Forger, min_workers=3, codec=codec, start_method=start_method) as pool:
        naps = [asyncio.create_task(pool.call("nap", 0.8, str(tmp_path / str(number)), number)) for number in range(2)]
        await eventually(lambda: all((tmp_path / f"{number}.began").exists() for number in range(2)), 5.0, "two naps")
        await pool.call("tamper", how)
        assert await pool.call("echo", "forged") == "forged"
        assert await pool.call("echo", "honest") == "honest"
        assert not any(nap.done() for nap in naps)
        assert await asyncio.gather(*naps) == [0, 1]
        assert pool.statistics().late_answers >= 1


@pytest.mark.parametrize("by", PICKLES)
async def test_28_forged_result_under_msgpack(start_method: str, by: str, tmp_path: Path) -> None:
    """Under msgpack a pickle in place of a result is a breach of the protocol and is never decoded."""
    marker = tmp_path / "marker"
    async with checked_pool(Forger, codec="msgpack", start_method=start_method) as pool:
        hostile = await pool.call("tamper", "result", f"{by}:{marker}")
        error, _ = await failure(pool.options(deadline=20.0).call("echo", "token"))
        assert isinstance(error, millpond.PoolError)
        await eventually(lambda: not is_alive(hostile), 2.0, "the end of the hostile worker")
        assert await pool.call("echo", "after") == "after"
        assert not marker.exists()


@CODECS
@pytest.mark.parametrize("by", PICKLES)
async def test_28_forged_exception(start_method: str, codec: str, by: str, tmp_path: Path) -> None:
    """A forged exception arrives as text; decoding it calls nothing."""
    marker = tmp_path / "marker"
    async with checked_pool(Forger, codec=codec, start_method=start_method) as pool:
        await pool.call("tamper", "exception", f"{by}:{marker}")
        error, _ = await failure(pool.options(deadline=20.0).call("echo", "token"))
        check_error(error, "handler_error", "completed")
        assert (error.type_name, error.text) == ("builtins.ValueError", "forged")
        assert await pool.call("echo", "after") == "after"
        assert not marker.exists()
