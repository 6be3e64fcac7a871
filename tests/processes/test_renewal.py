"""`replace_workers` with code that changes on disk: what new workers run, and what happens if it does not work."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import psutil
import pytest

import millpond
import millpond.http
from millpond import Warmup
from millpond.engine import kernel
from millpond.engine.image_set import OperationNumbers
from millpond.seams import CLOSE_SESSION, EXPORT_CONCURRENT, EXPORT_SESSION, FUNCTION, NO_OPERATION
from tests.contract.sites import check, failure, until
from tests.start_methods import both

FIRST = """
class Cook:
    def cook(self):
        return "soup"
    def wash(self):
        return "plates"
    def count(self, *, session):
        session.state["n"] = session.state.get("n", 0) + 1
        return session.state["n"]
"""
SECOND = FIRST.replace('"soup"', '"stew"').replace("def wash", "def bake")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module on disk with the first version of the handler."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "kitchen_on_disk.py"
    path.write_text(FIRST)
    return path


def kitchen(**settings) -> millpond.Pool:
    settings = {"min_workers": 2, "max_workers": 2, "restart_backoff": 0.05, **settings}
    return millpond.Pool("kitchen_on_disk:Cook", worker_env={"PYTHONDONTWRITEBYTECODE": "1"}, **settings)


@both
async def test_new_workers_run_the_code_that_is_on_disk_now(module, start_method):
    """Every worker is replaced; operations that came are there, those that went are refused."""
    async with kitchen(start_method=start_method) as pool:
        assert await pool.call("cook") == "soup"
        before = set(pool.statistics().pids)
        module.write_text(SECOND)
        await pool.replace_workers()
        assert before.isdisjoint(pool.statistics().pids)
        answers = await asyncio.gather(*(pool.call(name) for name in ["cook", "bake"] * 10))
        assert answers == ["stew", "plates"] * 10
        check(await failure(pool.call("wash")), "bad_argument", "not_started")
        module.write_text(FIRST)
        await pool.replace_workers()
        assert [await pool.call(name) for name in ("cook", "wash")] == ["soup", "plates"]


async def test_sessions_move_to_the_new_code(module):
    """Nobody loses anything, while calls go on."""
    async with kitchen() as pool:
        sessions = [await pool.session(f"s{n}") for n in range(6)]
        for session in sessions:
            await session.call("count")
        module.write_text(SECOND)
        renewing = asyncio.ensure_future(pool.replace_workers())
        counts = [[await session.call("count") for session in sessions] for _ in range(20)]
        await renewing
        assert counts == [[n] * 6 for n in range(2, 22)]
        assert await pool.call("cook") == "stew"


async def test_a_warm_up_by_an_operation_that_went_fails(module):
    """It runs nothing else instead, and the new workers serve; if it is required, the code before goes on."""
    async with kitchen(warmup=[Warmup("wash", required=False)]) as pool:
        module.write_text(SECOND)
        await pool.replace_workers()
        said = pool.statistics()
        assert (said.state, dict(said.warm_failures)) == ("degraded", {"wash": 2})
        assert await asyncio.gather(*(pool.call("cook") for _ in range(10))) == ["stew"] * 10
    module.write_text(FIRST)
    async with kitchen(warmup=[Warmup("wash")]) as pool:
        module.write_text(SECOND)
        error = check(await failure(pool.replace_workers()), "start_failed", "not_started")
        assert "this worker's code has no such operation" in str(error)
        assert await pool.call("wash") == "plates"


async def test_a_session_survives_a_call_of_an_operation_that_went(module):
    """While workers are replaced a call may meet new code; then it is refused, and costs nobody anything."""
    async with kitchen(min_workers=1, max_workers=1) as pool:
        session = await pool.session("ann")
        await session.call("count")
        module.write_text(SECOND)
        renewing = asyncio.ensure_future(pool.replace_workers())
        while not renewing.done():
            try:
                assert await session.call("wash") == "plates"
            except millpond.PoolError as error:
                check(error, "bad_argument", "not_started")
        await renewing
        assert await session.call("count") == 2


async def test_the_old_warden_goes_with_its_last_worker(module):
    """After a renewal there is one warden, and nothing of the old image."""
    async with kitchen(spare_workers=1) as pool:
        await pool.replace_workers()
        await pool.replace_workers()
        await until(lambda: len(kernel.carriers(pool.run_id)) == 4, "three workers and a warden")
        await until(lambda: pool.statistics().spares == 1)


async def test_a_pool_that_closes_meanwhile_leaves_nothing(module):
    """Neither of the two images."""
    pool = kitchen()
    await pool.open()
    renewing = asyncio.ensure_future(pool.replace_workers())
    await until(lambda: len(kernel.carriers(pool.run_id)) > 3)
    await pool.close()
    await asyncio.wait([renewing])
    renewing.exception()
    assert kernel.carriers(pool.run_id) == []


async def test_the_new_codes_warden_may_die_meanwhile(module):
    """Then no worker can be made of it: the code before stays, with its own warden, and is never out of service."""
    async with kitchen(min_workers=1, max_workers=1, start_timeout=60.0) as pool:
        before = set(kernel.carriers(pool.run_id))
        module.write_text(FIRST + "\n    def __init__(self):\n        import time\n        time.sleep(1000)\n")
        replacing = asyncio.create_task(pool.replace_workers())
        await until(lambda: pool.statistics().starts == 2 and len(kernel.carriers(pool.run_id)) == 4)
        new = set(kernel.carriers(pool.run_id)) - before
        (warden,) = (pid for pid in new if psutil.Process(pid).ppid() == os.getpid())
        os.kill(warden, signal.SIGKILL)
        error = check(await failure(replacing), "start_failed", "not_started")
        assert "the warden ended with signal 9" in str(error)
        assert await pool.call("cook") == "soup"
        await until(lambda: set(kernel.carriers(pool.run_id)) == before)
        assert (pool.statistics().state, pool.statistics().is_ready) == ("ready", True)
        module.write_text(SECOND)
        await pool.replace_workers()
        assert await pool.call("cook") == "stew"


def facts(*names: str):
    from millpond.seams import HandlerFacts, OperationFacts

    made = [OperationFacts(name, "plain", False, (), 0, 0, (), (), False, False) for name in names]
    return HandlerFacts("Cook", tuple(made), ())


def test_what_an_image_lost_is_none_of_the_internal_calls():
    """A worker would take its sessions for exported, and forget them."""
    assert NO_OPERATION not in (FUNCTION, EXPORT_CONCURRENT, EXPORT_SESSION, CLOSE_SESSION)


def test_an_operation_keeps_its_number():
    """A call that waits while the code changes means what it meant."""
    numbering = OperationNumbers()
    assert numbering.translation(facts("a", "c")) is None
    assert numbering.translation(facts("a", "b", "c")) == {1: 1, 2: 3, 3: 2}
    assert numbering.translation(facts("b")) == {1: NO_OPERATION, 2: NO_OPERATION, 3: 1}
    lasting = numbering.lasting(facts("b", "d"))
    assert [one.name for one in lasting.operations] == ["a", "c", "b", "d"]
    assert lasting.removed == ("a", "c")
    assert numbering.translation(facts("a", "c")) == {1: 1, 2: 2, 3: NO_OPERATION, 4: NO_OPERATION}


async def test_the_openapi_document_is_that_of_the_code_that_serves(module):
    """Its version and its paths change with the operations, not with new workers of the same code."""
    async with kitchen(min_workers=1, max_workers=1) as pool:
        transport = httpx.ASGITransport(millpond.http.app({"p": pool}, auth=None))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            first = (await client.get("/openapi.json")).json()
            await pool.replace_workers()
            assert (await client.get("/openapi.json")).json() == first
            module.write_text(SECOND)
            await pool.replace_workers()
            second = (await client.get("/openapi.json")).json()
    assert first["info"]["version"] != second["info"]["version"]
    assert "/v1/pools/p/call/wash" in first["paths"]
    assert "/v1/pools/p/call/wash" not in second["paths"]
    assert "/v1/pools/p/call/bake" in second["paths"]
