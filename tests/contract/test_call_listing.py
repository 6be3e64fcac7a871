"""A pool's calls when asked: which run, wait, were slow or failed, and one of them given up by its id."""

from __future__ import annotations

import asyncio

import pytest

import millpond
from millpond.testing import FakeEngine, ManualClock
from tests.contract.documented import Shop
from tests.contract.handlers import Mixed
from tests.contract.sites import BEGUN_S, check, failure, until


def ids(listing: millpond.facts.CallListing) -> list[int]:
    return [one.call_id for one in listing.calls]


async def test_a_call_is_listed_where_it_is_until_it_has_ended(site):
    """One runs and the others wait, the oldest first; once answered they are among the slowest, and only there."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        busy = asyncio.create_task(pool.options(deadline=60.0).call("stay", gate.path, "first"))
        await gate.entered()
        calls = [asyncio.create_task(pool.call("stay", gate.path, number)) for number in range(3)]
        await until(lambda: pool.statistics().in_flight == 4)
        running, waiting = pool.calls("running"), pool.calls("waiting")
        assert (running.of + waiting.of, len(set(ids(running) + ids(waiting)))) == (4, 4)
        assert (running.of, waiting.of) == (pool.statistics().running, pool.statistics().queued)
        first = running.calls[0]
        assert (first.operation, first.state, first.worker, first.attempts) == ("stay", "running", 1, 1)
        assert 0 < first.deadline_left_s <= 60.0
        assert first.run_s is not None
        assert ids(waiting) == sorted(ids(waiting))
        assert {one.state for one in waiting.calls} <= {"waiting"}
        assert pool.calls("waiting", limit=1).of == waiting.of
        assert pool.calls("running", operation="other") == pool.calls("running", worker=9)
        gate.open()
        await asyncio.gather(busy, *calls)
        assert pool.calls("running").of == pool.calls("waiting").of == pool.calls("failed").of == 0
        assert sorted(ids(pool.calls("slowest"))) == sorted(ids(running) + ids(waiting))
        ended = pool.call_facts(first.call_id)
        assert (ended.state, ended.ending, ended.code, ended.outcome) == ("ended", "ok", None, None)
        assert ended.wall is not None
        assert pool.call_facts(10**6) is None


async def test_a_call_that_waits_in_its_sessions_line_is_listed_with_its_session(site):
    """Also before the session has a worker, and each once."""
    async with site.pool(Mixed) as pool, pool.session("a") as session:
        gate = site.gate(pool, "stay_and_say")
        calls = [asyncio.create_task(session.call("stay_and_say", gate.path, str(n))) for n in range(3)]
        await gate.entered()
        await until(lambda: pool.statistics().in_flight == 3)
        (running,), waiting = pool.calls(session="a").calls, pool.calls("waiting", session="a", worker=1)
        assert (running.session, running.worker) == ("a", 1)
        assert waiting.of == 2
        assert pool.calls("waiting", session="b").of == 0
        gate.open()
        await asyncio.gather(*calls)


@pytest.mark.parametrize("is_running", [True, False])
async def test_cancelling_a_call_by_its_id_gives_its_caller_the_usual_error_and_frees_the_worker(site, is_running):
    """Its caller gets `Cancelled`, the worker serves the next call, and the ledger counts one that was cancelled."""
    async with site.pool() as pool:
        gate, other = site.gate(pool), site.gate(pool, "stubborn")
        busy = asyncio.create_task(pool.call("stay", gate.path))
        await gate.entered()
        waiting = asyncio.create_task(pool.call("stubborn", other.path))
        await until(lambda: pool.statistics().in_flight == 2)
        by_operation = {one.operation: one for show in ("running", "waiting") for one in pool.calls(show).calls}
        chosen = by_operation["stay" if is_running else "stubborn"]
        assert pool.cancel_call(chosen.call_id) is True
        check(await failure(busy if is_running else waiting), "cancelled", "unknown" if is_running else "not_started")
        other.open()
        gate.open()
        await (waiting if is_running else busy)
        told = pool.statistics()
        assert (told.endings["cancelled"], told.endings["ok"], told.in_flight) == (1, 1, 0)
        assert pool.cancel_call(chosen.call_id) is False
        (failed,) = pool.calls("failed").calls
        assert (failed.call_id, failed.ending, failed.code) == (chosen.call_id, "cancelled", "cancelled")
        assert pool.cancel_call(10**6) is False


async def test_a_failed_call_is_kept_with_what_its_caller_was_told(site):
    """Its code and outcome, the newest first; of a dead worker how it ended. Filters choose among them."""
    async with site.pool() as pool:
        await failure(pool.call("fail", "no"))
        gate, other = site.gate(pool), site.gate(pool, "stubborn")
        late = failure(pool.options(deadline=BEGUN_S).call("stay", gate.path))
        check(await late, "deadline_exceeded", "unknown")
        lost = asyncio.create_task(failure(pool.call("stubborn", other.path)))
        await other.entered()
        site.kill(pool)
        error = await lost
        kept = pool.calls("failed").calls
        assert [one.code for one in kept] == ["worker_died", "deadline_exceeded", "handler_error"]
        assert [one.ending for one in kept] == ["lost", "expired", "failed"]
        assert [one.outcome for one in kept] == ["unknown", "unknown", "completed"]
        assert (kept[0].signal, kept[0].exit_code, kept[0].stderr_tail) == (9, None, error.stderr_tail)
        assert kept[1].deadline_left_s <= 0 < kept[1].age_s
        assert ids(pool.calls("failed", code="worker_died")) == [kept[0].call_id]
        assert ids(pool.calls("failed", operation="fail")) == [kept[2].call_id]
        first, of = pool.calls("failed", worker=kept[0].worker, limit=1), len(kept)
        assert (ids(first), first.of) == ([kept[0].call_id], of)


async def test_only_what_can_be_shown_is_asked_for():
    """Another list, and a limit of nothing, are errors."""
    async with millpond.Pool(Shop, engine=FakeEngine()) as pool:
        with pytest.raises(ValueError, match="show must be one of"):
            pool.calls("all")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="limit"):
            pool.calls(limit=0)


async def test_ages_are_of_the_pools_time_and_of_calls_that_wait_to_be_tried_again_too():
    """A retry that pauses is a call that waits; its age goes on, and its deadline comes nearer."""
    clock, engine = ManualClock(), FakeEngine()
    settings = {"min_workers": 1, "max_workers": 1, "retry_backoff": 100.0}
    async with millpond.Pool(Shop, engine=engine, clock=clock, **settings) as pool:
        engine.hold("price")
        call = asyncio.create_task(pool.options(idempotent=True, deadline=1000.0).call("price", {"title": "a"}))
        await engine.wait_held(1, "price")
        await clock.advance(3.0)
        (running,) = pool.calls().calls
        assert (running.age_s, running.run_s, running.wait_s, running.deadline_left_s) == (3.0, 3.0, 0.0, 997.0)
        engine.workers[running.worker].die()
        (waiting,) = pool.calls("waiting").calls
        assert (waiting.call_id, waiting.worker, waiting.attempts, waiting.run_s) == (running.call_id, None, 1, None)
        assert pool.cancel_call(waiting.call_id)
        check(await failure(call), "cancelled", "unknown")


async def test_a_blocking_pool_tells_of_its_calls_from_any_thread():
    """The same records, and the same cancellation."""

    def use() -> None:
        with millpond.SyncPool(Shop, engine=FakeEngine(), min_workers=1) as pool:
            assert pool.calls().of == 0
            pool.call("say", "hi")
            (ended,) = pool.calls("slowest").calls
            assert pool.call_facts(ended.call_id).operation == "say"
            assert pool.cancel_call(ended.call_id) is False

    await asyncio.to_thread(use)
