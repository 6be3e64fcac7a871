"""Calls over HTTP: listed with filters, one by its id, given up by an administrator; and who is told what."""

from __future__ import annotations

import asyncio

import pytest

import millpond
from millpond.http import app
from millpond.http.access.caller import Caller
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.contract.sites import failure
from tests.http.test_watching import POOL, a_pool, client


async def test_calls_are_listed_found_and_cancelled():
    """The caller of the cancelled one gets the problem `cancelled`; a second cancellation finds nothing."""
    engine = FakeEngine()
    pool = millpond.Pool(Shop, engine=engine, max_workers=1)
    async with pool, client(app(pool, auth=None)) as asked:
        engine.hold("say")
        post = asyncio.ensure_future(asked.post(f"{POOL}/call/say", json=["hi"]))
        await engine.wait_held(1, "say")
        found = (await asked.get(f"{POOL}/calls")).json()
        (call,) = found["calls"]
        assert (found["of"], call["operation"], call["state"], call["ending"]) == (1, "say", "running", None)
        assert (await asked.get(f"{POOL}/calls/{call['call_id']}")).json()["state"] == "running"
        for query in ("show=waiting", "operation=price", "worker=77", "session=a", "code=cancelled"):
            assert (await asked.get(f"{POOL}/calls?{query}")).json() == {"calls": [], "of": 0}
        answer = await asked.post(f"{POOL}/admin/cancel", json={"call_id": call["call_id"]})
        assert answer.json() == {"call_id": call["call_id"], "cancelled": True}
        assert ((await post).status_code, (await post).json()["code"]) == (499, "cancelled")
        again = await asked.post(f"{POOL}/admin/cancel", json={"call_id": call["call_id"]})
        assert again.json()["cancelled"] is False
        (failed,) = (await asked.get(f"{POOL}/calls?show=failed&code=cancelled")).json()["calls"]
        assert (failed["call_id"], failed["ending"], failed["outcome"]) == (call["call_id"], "cancelled", "unknown")


@pytest.mark.parametrize("call_id", ["77", "0", "x", "-1", "9" * 40, "%20"])
async def test_a_call_that_is_not_there_is_unknown(call_id):
    """Whatever stands in the path."""
    async with a_pool() as pool, client(app(pool, auth=None)) as asked:
        answer = await asked.get(f"{POOL}/calls/{call_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_call")


@pytest.mark.parametrize(("query", "field"), [("show=all", "show"), ("limit=0", "limit"), ("worker=x", "worker")])
async def test_a_listing_names_what_cannot_be_asked_for(query, field):
    """400, and the field."""
    async with a_pool() as pool, client(app(pool, auth=None)) as asked:
        answer = await asked.get(f"{POOL}/calls?{query}")
        assert (answer.status_code, answer.json()["field"]) == (400, field)


@pytest.mark.parametrize("role", ["admin", "view", "call"])
async def test_what_a_dead_worker_wrote_is_for_administrators(role):
    """Who may view is told how it ended; who may call is told of no call in this way, and cancels none."""
    engine = FakeEngine()
    pool = millpond.Pool(Shop, engine=engine, max_workers=1)
    async with pool, client(app(pool, auth=lambda _: Caller("o", role, "program"))) as asked:
        engine.hold("say")
        lost = asyncio.ensure_future(failure(pool.call("say", "hi")))
        await engine.wait_held(1, "say")
        engine.workers[1].die(9, stderr_tail="a secret")
        await lost
        answer = await asked.get(f"{POOL}/calls?show=failed")
        cancelled = await asked.post(f"{POOL}/admin/cancel", json={"call_id": 1})
        assert cancelled.status_code == (200 if role == "admin" else 403)
        if role == "call":
            assert answer.status_code == 403
            return
        (call,) = answer.json()["calls"]
        one = (await asked.get(f"{POOL}/calls/{call['call_id']}")).json()
        assert one.pop("wall") == pytest.approx(call.pop("wall"), abs=60)
        assert one == call
        assert (call["code"], call["signal"]) == ("worker_died", 9)
        assert call["stderr_tail"] == ("a secret" if role == "admin" else None)
