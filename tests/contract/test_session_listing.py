"""A pool's sessions when asked: who is there, in which state, where, and for how long without a call."""

from __future__ import annotations

import pytest

import millpond
from millpond.testing import FakeEngine, ManualClock
from tests.contract.documented import Shop
from tests.contract.sites import until


async def test_each_session_is_told_with_its_worker_and_its_state(site):
    """Open ones are bound to a worker after their first call; what sleeps or is lost says so."""
    pool = site.pool(Shop, min_workers=1, max_workers=1, sleep_after=0.01)
    async with pool, pool.session("a") as a, pool.session("b"):
        assert [(one.id, one.state, one.worker) for one in pool.sessions()] == [
            ("a", "open", None),
            ("b", "open", None),
        ]
        await a.call("say", "hi")
        await until(lambda: pool.session_facts("a").state == "asleep")
        assert pool.session_facts("a").worker is None
        assert pool.session_facts("nobody") is None
        await a.call("say", "hi")
        await a.close()
        assert [one.id for one in pool.sessions()] == ["b"]


async def test_a_listing_has_pages_and_filters():
    """Oldest first; the number of the last one is where the next page begins."""
    async with millpond.Pool(Shop, engine=FakeEngine(), max_workers=1) as pool:
        for number in range(10):
            await pool.session(f"{'odd' if number % 2 else 'even'}-{number}").open()
        first = pool.sessions(limit=4)
        assert [one.number for one in first] == sorted(one.number for one in first)
        rest = pool.sessions(after=first[-1].number)
        assert [one.id for one in (*first, *rest)] == [f"{'odd' if n % 2 else 'even'}-{n}" for n in range(10)]
        assert [one.id for one in pool.sessions(prefix="odd-", limit=2)] == ["odd-1", "odd-3"]
        await pool.options(session="odd-3").call("say", "hi")
        (bound,) = pool.sessions(worker=pool.session_facts("odd-3").worker)
        assert (bound.id, bound.generation, bound.waiting) == ("odd-3", 1, 0)
        assert pool.sessions(state="lost") == pool.sessions(state="moving") == ()
        with pytest.raises(ValueError, match="state must be one of"):
            pool.sessions(state="tired")
        with pytest.raises(ValueError, match="limit"):
            pool.sessions(limit=0)


async def test_idle_time_runs_while_no_call_is_there():
    """It is the pool's time, and none for a session whose call runs."""
    clock, engine = ManualClock(), FakeEngine()
    async with millpond.Pool(Shop, engine=engine, clock=clock, max_workers=1) as pool:
        async with pool.session("a") as session:
            await session.call("say", "hi")
            await clock.advance(5.0)
            assert pool.session_facts("a").idle_s == 5.0
        lost = engine.workers[pool.session_facts("a").worker]
        lost.die()
        assert pool.session_facts("a").state == "lost"
        assert [one.state for one in pool.sessions()] == ["lost"]
