"""What is told of a pool over HTTP, and who is told: figures without NaN, events as they happen, health in one word."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

import millpond
from millpond.http import app
from millpond.http.access.caller import Caller
from millpond.testing import FakeEngine, ManualClock
from tests.contract.documented import Shop
from tests.contract.sites import until

POOL = "/v1/pools/default"


def a_pool(**settings: Any) -> millpond.Pool:
    return millpond.Pool(Shop, engine=FakeEngine(), **settings)


def client(application: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://127.0.0.1:8000")


class Events:
    """A reader of server-sent events, by ASGI."""

    def __init__(self, application: Any, query: str = "", last: str = "") -> None:
        self.sent: list[dict[str, Any]] = []
        self._left = asyncio.Event()
        path = f"{POOL}/events"
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"last-event-id", last.encode())] if last else [],
        }
        self.task = asyncio.ensure_future(application(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def of(self, name: str) -> list[dict[str, Any]]:
        """The data of the events of this name that came."""
        text = b"".join(one.get("body", b"") for one in self.sent).decode()
        parts = [dict(line.split(": ", 1) for line in part.split("\n") if ": " in line) for part in text.split("\n\n")]
        return [json.loads(part["data"]) for part in parts if part.get("event") == name]

    async def leave(self) -> None:
        self._left.set()
        await asyncio.wait_for(self.task, 10)


async def test_statistics_and_history_have_numbers_or_null_and_nothing_else():
    """JSON knows neither NaN nor infinity; each list of history is as long as there are steps."""
    async with a_pool() as pool, client(app(pool, auth=None)) as asked:
        await asked.post(f"{POOL}/call/later", json=[1])
        await until(lambda: pool.metrics.snapshot().reading.endings.get("ok"))
        for path in ("/statistics", "/history?seconds=60", "/journal", "/alerts"):
            answer = await asked.get(POOL + path)
            assert answer.status_code == 200
            json.loads(answer.text, parse_constant=pytest.fail)
        history = (await asked.get(f"{POOL}/history?seconds=60&fields=endings.ok,queued,wait")).json()
        steps = len(history["wall"])
        assert steps == len(history["counters"]["endings.ok"]) == len(history["gauges"]["queued"])
        assert {len(one) for one in history["percentiles"]["wait"].values()} == {steps}
        assert history.keys() == {"wall", "seconds", "boot", "counters", "gauges", "peaks", "percentiles"}
        heat = (await asked.get(f"{POOL}/history?seconds=60&fields=heat")).json()["heat"]
        assert sum(count for step in heat["counts"] for _, count in step) == 1
        assert (len(heat["counts"]), heat["bounds"][-1], len(heat["bounds"])) == (steps, None, 44)
        assert (await asked.get(f"{POOL}/history?resolution=7")).json()["field"] == "resolution"
        assert (await asked.get(f"{POOL}/history?seconds=-1")).json()["field"] == "seconds"


async def test_history_is_compressed_for_who_accepts_it():
    """It says the same; whoever does not accept it gets it plain."""
    clock = ManualClock()
    async with a_pool(clock=clock) as pool, client(app(pool, auth=None)) as asked:
        await clock.advance(60.0)
        packed = await asked.get(f"{POOL}/history?seconds=60", headers={"Accept-Encoding": "gzip"})
        plain = await asked.get(f"{POOL}/history?seconds=60", headers={"Accept-Encoding": "identity"})
        assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
        assert "content-encoding" not in plain.headers
        assert packed.json().keys() == plain.json().keys()


async def test_a_snapshot_has_all_that_a_screen_shows():
    """What was counted in its second, each worker, sessions, bounds, alerts, the optimizer; no figure is invented."""
    async with a_pool(min_workers=2, max_workers=3) as pool:
        await pool.call("later", 1)
        await pool.session("one").open()
        reader = Events(app(pool, auth=None), "name=snapshot")
        await until(lambda: [one for one in reader.of("snapshot") if one["snapshot"]["step"]["counters"]])
        seen = reader.of("snapshot")[-1]["snapshot"]
        steps = [one["snapshot"]["step"] for one in reader.of("snapshot")]
        await reader.leave()
    assert [one["worker"] for one in seen["each_worker"]] == [1, 2]
    assert seen["sessions"] == {"open": 1, "asleep": 0, "opened": 1, "closed": 0, "moved": 0, "lost": 0}
    assert seen["bounds"] == {"min_workers": 2, "max_workers": 3, "max_queued": pool.settings.max_queued, "places": 2}
    assert (seen["firing"], seen["pending"], seen["optimizer"], seen["warming"]) == (0, 0, "running", None)
    assert max(step["counters"].get("sessions_opened", 0) for step in steps) == 1
    assert all(step["percentiles"].keys() == {"wait", "service", "latency"} for step in steps)


async def test_history_goes_back_over_a_restart(tmp_path):
    """Of a pool that keeps it in a file; `boot` tells the runs apart."""
    clock, path = ManualClock(), str(tmp_path / "history.db")
    for run in range(2):
        if run:
            with closing(sqlite3.connect(path)) as file, file:
                file.execute("UPDATE slots SET wall = wall - 100")  # as if time had passed between them
        async with a_pool(history_path=path, clock=clock) as pool, client(app(pool, auth=None)) as asked:
            await asked.post(f"{POOL}/call/later", json=[1])
            await clock.advance(30.0)
            assert pool.metrics.settle(10.0)
            found = (await asked.get(f"{POOL}/history?seconds=600&resolution=10&fields=endings.ok")).json()
    assert (sum(found["counters"]["endings.ok"]), len(set(found["boot"]))) == (2, 2)
    assert len(found["wall"]) == len(found["boot"])


async def test_events_come_as_they_happen_with_the_figures_of_each_second():
    """Without the events of each call; those are for who asks for them by name."""
    async with a_pool(max_workers=2) as pool:
        application = app(pool, auth=None)
        calm, hot = Events(application), Events(application, "name=call")
        await until(lambda: calm.sent and hot.sent)
        await pool.call("later", 1.0)
        await pool.replace_workers()
        await until(lambda: calm.of("snapshot") and calm.of("worker.gone"))
        assert [one["worker"] for one in calm.of("worker.ready")] == [2]
        assert calm.of("call.stop") == []
        assert [one["operation"] for one in hot.of("call.stop")] == ["later"]
        assert calm.of("snapshot")[0]["snapshot"]["alive"] == 1
        await calm.leave()
        await hot.leave()
        assert application.traffic.running == 0


async def test_a_reader_that_comes_back_misses_nothing_and_a_slow_one_is_told():
    """Events are kept for a while after the last reader left; what is no longer kept is counted."""
    async with a_pool() as pool:
        application = app(pool, auth=None)
        first = Events(application, "name=mine")
        await until(lambda: first.sent)
        pool.telemetry.execute("mine.one", {"n": 1})
        await until(lambda: first.of("mine.one"))
        await first.leave()
        (feed,) = application.feeds.all()
        pool.telemetry.execute("mine.two", {"n": 2})
        back = Events(application, "name=mine", last=str(feed.newest - 1))
        await until(lambda: back.of("mine.two"))
        assert back.of("mine.one") == []
        for number in range(1500):
            pool.telemetry.execute("mine.many", {"n": number})
        await until(lambda: back.of("mine.many"))
        assert sum(one["count"] for one in back.of("missed")) + len(back.of("mine.many")) == 1500
        await back.leave()


async def test_nobody_listens_to_a_pool_while_nobody_reads():
    """The listener goes with the feed; event objects of calls are not made for nobody."""
    async with a_pool() as pool:
        application = app(pool, auth=None)
        before = len(pool.telemetry.listeners())
        reader = Events(application, "name=call")
        await until(lambda: reader.sent)
        assert pool.telemetry.has_listener("call.stop")
        await reader.leave()
        for feed in application.feeds.all():
            feed.close()
        assert len(pool.telemetry.listeners()) == before
        assert not pool.telemetry.has_listener("call.stop")


async def test_a_watched_session_is_not_kept_alive():
    """Listing sessions and reading events uses none of them."""
    async with a_pool(session_ttl=0.3) as pool, client(app(pool, auth=None)) as asked:
        await asked.post(f"{POOL}/sessions", json={"id": "mine"})

        async def is_gone() -> bool:
            found = (await asked.get(f"{POOL}/sessions")).json()["sessions"]
            return not [one for one in found if one["state"] != "lost"]

        async with asyncio.timeout(10):
            while not await is_gone():
                await asyncio.sleep(0.02)


async def test_health_and_readiness_are_words():
    """Alive while it answers; ready when every pool has a worker; draining as soon as the server is to stop."""
    first, second = a_pool(), millpond.Pool(Shop, engine=FakeEngine(), name="other")
    application = app({"default": first, "other": second}, auth=None)
    async with first, client(application) as asked:
        assert (await asked.get("/healthz")).text == "ok\n"
        answer = await asked.get("/readyz")
        assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "new\n", "1")
        async with second:
            assert (await asked.get("/readyz")).text == "ready\n"
            application.is_draining = True
            assert (await asked.get("/readyz")).text == "draining\n"
            assert (await asked.get("/healthz")).status_code == 200


async def test_metrics_have_the_pools_and_the_server():
    """Routes of the table are the only labels a client can choose."""
    async with a_pool() as pool, client(app(pool, auth=None)) as asked:
        for number in range(50):
            await asked.request("BREW", f"/nothing/{number}", headers={"user-agent": f"agent-{number}"})
        page = (await asked.get("/metrics")).text
        assert 'millpond_http_requests_total{route="(other)",status="4xx"} 50.0' in page
        assert "millpond_wanted_workers" in page or "millpond_workers" in page
        assert len([line for line in page.splitlines() if not line.startswith("#")]) <= 500


async def test_commands_change_the_pool_and_say_who_gave_them():
    """What holds then is the answer; wrong bodies name their field, and nothing is told of them."""
    seen: list[Any] = []
    async with a_pool() as pool:
        boss = Caller("boss", "admin", "token")
        pool.telemetry.attach("test", "pool.command", seen.append)
        async with client(app(pool, auth=lambda _: boss)) as asked:
            answer = await asked.post(f"{POOL}/admin/resize", json={"max_workers": 3})
            assert (answer.status_code, answer.json()["max_workers"], pool.settings.max_workers) == (200, 3, 3)
            assert (await asked.post(f"{POOL}/admin/pause")).json() == {"state": "paused"}
            assert (await asked.post(f"{POOL}/admin/resume")).json() == {"state": "running"}
            silence = await asked.post(f"{POOL}/admin/silence", json={"matchers": 'alertname="X"', "seconds": 5})
            listed = (await asked.get(f"{POOL}/alerts")).json()["silences"]
            assert [(one["id"], one["author"]) for one in listed] == [(silence.json()["id"], "boss")]
            assert (await asked.post(f"{POOL}/admin/unsilence", json={"id": silence.json()["id"]})).status_code == 200
            assert (await asked.post(f"{POOL}/admin/configure", json={"cancel_grace": 2})).json() == {
                "changed": {"cancel_grace": 2}
            }
            wrong = await asked.post(f"{POOL}/admin/silence", json={"matchers": 'alertname="X"', "seconds": "5"})
            assert (wrong.status_code, wrong.json()["field"]) == (400, "$.seconds")
            assert (await asked.post(f"{POOL}/admin/replace_workers")).status_code == 200
            assert (await asked.post(f"{POOL}/admin/drain")).json() == {"state": "draining"}
        assert [(one.verb, one.by) for one in seen] == [
            (verb, "boss")
            for verb in ("resize", "pause", "resume", "silence", "unsilence", "configure", "replace_workers", "drain")
        ]


async def test_new_code_that_cannot_be_loaded_is_told_by_the_pools_own_code(monkeypatch):
    """So that a client raises what `Pool.replace_workers` raises, and the pool goes on with the code before."""

    def broken() -> None:
        raise SyntaxError("half a line")

    async with a_pool() as pool, client(app(pool, auth=None)) as asked:
        monkeypatch.setattr(Shop, "preload", broken, raising=False)
        answer = await asked.post(f"{POOL}/admin/replace_workers")
        assert (answer.status_code, answer.json()["code"]) == (503, "start_failed")
        assert pool.statistics().state == "ready"


@pytest.mark.parametrize(("role", "status"), [("call", 403), ("view", 403), ("admin", 200)])
async def test_only_administrators_command(role, status):
    """Others are refused, and the pool is as it was."""
    async with a_pool() as pool, client(app(pool, auth=lambda _: Caller("x", role, "token"))) as asked:
        assert (await asked.post(f"{POOL}/admin/pause")).status_code == status
        assert pool.optimizer.state == ("paused" if status == 200 else "running")
