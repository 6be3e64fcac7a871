"""Workers over HTTP: those that are there, those that are gone, and who is told what they wrote."""

from __future__ import annotations

import gzip

import pytest

import millpond
from millpond.http import app
from millpond.http.access.caller import Caller
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.contract.sites import until
from tests.http.test_watching import POOL, a_pool, client


@pytest.mark.parametrize("role", ["admin", "view", "call"])
async def test_what_a_worker_that_is_gone_wrote_is_for_administrators(role):
    """Who may view is told why it went; who may call is told of no worker."""
    engine = FakeEngine()
    pool = millpond.Pool(Shop, engine=engine, max_workers=1, restart_backoff=0.01)
    async with pool, client(app(pool, auth=lambda _: Caller("o", role, "program"))) as asked:
        engine.workers[1].die(9, stderr_tail="a secret")
        await until(lambda: pool.statistics().is_ready)
        answer = await asked.get(f"{POOL}/workers")
        if role == "call":
            assert answer.status_code == 403
            return
        (worker,), (gone,) = answer.json()["workers"], answer.json()["gone"]
        assert (worker["worker"], worker["state"], worker["operation"]) == (2, "ready", None)
        assert (gone["worker"], gone["cause"], gone["signal"]) == (1, "crashed", 9)
        assert gone["stderr_tail"] == ("a secret" if role == "admin" else None)


async def test_a_snapshot_tells_of_each_worker_as_the_listing_does():
    """By the same records."""
    from millpond.http.figures import encoded
    from millpond.http.snapshot import snapshot_of

    async with a_pool(min_workers=2, max_workers=2) as pool, client(app(pool, auth=None)) as asked:
        fields = [one.keys() for one in (await asked.get(f"{POOL}/workers")).json()["workers"]]
        told = [one.__slots__ for one in snapshot_of(pool)["each_worker"]]
        assert [set(one) for one in fields] == [set(one) for one in told]
        assert encoded(pool.workers()).startswith(b'[{"worker":1,')


async def test_only_a_large_answer_is_compressed_and_only_for_who_accepts_that():
    """It says so, and that it depends on what the client accepts."""
    for count, is_large in ((1, False), (64, True)):
        async with a_pool(min_workers=count, max_workers=count) as pool, client(app(pool, auth=None)) as asked:
            for accepted in ("gzip", "identity", "gzip;q=0"):
                async with asked.stream("GET", f"{POOL}/workers", headers={"accept-encoding": accepted}) as answer:
                    body = b"".join([part async for part in answer.aiter_raw()])
                is_packed = answer.headers.get("content-encoding") == "gzip"
                assert is_packed is (is_large and accepted == "gzip")
                assert answer.headers["vary"] == "Accept-Encoding"
                assert int(answer.headers["content-length"]) == len(body)
                assert b'"gone":[]' in (gzip.decompress(body) if is_packed else body)


@pytest.mark.parametrize("role", ["admin", "view"])
async def test_what_a_worker_wrote_and_its_stack_are_for_administrators(role):
    """A stack that cannot be had is 409 with the reason; asking for one is told as an event."""
    pool = a_pool(max_workers=1, min_workers=1)
    seen: list[tuple[str, str]] = []
    async with pool, client(app(pool, auth=lambda _: Caller("o", role, "program"))) as asked:
        pool.telemetry.attach("watcher", ["pool.command"], lambda event: seen.append((event.verb, event.by)))
        answers = {what: await asked.get(f"{POOL}/workers/1/{what}") for what in ("logs", "stack")}
        if role == "view":
            assert [one.status_code for one in answers.values()] == [403, 403]
            assert seen == []
            return
        assert answers["logs"].json() == {"worker": 1, "text": ""}
        assert (answers["stack"].status_code, answers["stack"].json()["code"]) == (409, "no_stack")
        assert "no process" in answers["stack"].json()["detail"]
        assert seen == [("stack", "o")]


@pytest.mark.parametrize("worker", ["77", "x", "9" * 40])
async def test_logs_of_a_worker_that_is_not_there_are_unknown(worker):
    """404, whatever stands in the path."""
    async with a_pool() as pool, client(app(pool, auth=None)) as asked:
        answer = await asked.get(f"{POOL}/workers/{worker}/logs")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_worker")
