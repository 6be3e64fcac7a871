"""What a reader of events may count on, whatever the program tells, whoever leaves, and wherever it comes back to."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from millpond.http import app, feed
from millpond.http.access.gate import unauthorized
from tests.contract.sites import until
from tests.http.test_watching import POOL, Events, a_pool, client


async def test_text_that_no_json_can_have_ends_no_feed():
    """Half a surrogate pair comes as an escape; those who read go on reading."""
    async with a_pool() as pool:
        reader = Events(app(pool, auth=None), "name=mine")
        await until(lambda: reader.sent)
        pool.telemetry.execute("mine.odd", {"n": float("nan")}, {"text": "a\udc80"})
        pool.telemetry.execute("mine.next", {"n": 1})
        await until(lambda: reader.of("mine.next"))
        assert [one["text"] for one in reader.of("mine.odd")] == ["a\\udc80"]
        assert pool.telemetry.removed == {}
        await reader.leave()


async def test_an_event_told_on_another_thread_wakes_the_reader():
    """A program may tell its own from any thread."""
    async with a_pool() as pool:
        reader = Events(app(pool, auth=None), "name=mine")
        await until(lambda: reader.sent)
        thread = threading.Thread(target=pool.telemetry.execute, args=("mine.own", {"n": 1}))
        thread.start()
        await until(lambda: reader.of("mine.own"))
        thread.join()
        await reader.leave()


@pytest.mark.parametrize("last", ["0", "42", "1" * 19])
async def test_who_comes_back_from_another_server_is_told_that_events_were_missed(last):
    """Nobody knows how many; those that are kept come after that."""
    async with a_pool() as pool:
        application = app(pool, auth=None)
        first = Events(application, "name=mine")
        await until(lambda: first.sent)
        pool.telemetry.execute("mine.one", {"n": 1})
        back = Events(application, "name=mine", last=last)
        await until(lambda: back.of("mine.one"))
        assert (back.of("missed"), first.of("missed")) == ([{"count": None}], [])
        await first.leave()
        await back.leave()


async def test_a_reader_that_never_came_to_read_keeps_no_feed(monkeypatch: pytest.MonkeyPatch):
    """Whether it left before its answer began, or its token ended: else sixteen of them would lock all others out."""
    monkeypatch.setattr(feed, "KEPT_S", 0.01)
    async with a_pool() as pool:
        application = app(pool, auth=None)

        class Leaving(Events):
            async def _send(self, message: dict[str, Any]) -> None:
                raise unauthorized()

        reader = Leaving(application, "name=mine")
        with pytest.raises(Exception, match="token"):
            await reader.task
        await until(lambda: application.feeds.all() == ())
        application.feeds.get(pool, ("mine",))
        await until(lambda: application.feeds.all() == ())
        assert not pool.telemetry.has_listener("mine.one")


async def test_a_pool_without_metrics_has_events_and_no_snapshots():
    """Asking for them by name says so."""
    async with a_pool(metrics=False, alerts=False) as pool:
        application = app(pool, auth=None)
        reader = Events(application)
        await until(lambda: reader.sent)
        await pool.replace_workers()
        await until(lambda: reader.of("worker.ready"))
        async with client(application) as asked:
            answer = await asked.get(f"{POOL}/events?name=snapshot")
        assert (answer.status_code, len(application.feeds.all())) == (404, 1)
        await reader.leave()
        assert (await client(application).get(f"{POOL}/history")).status_code == 404


async def test_a_sign_of_life_comes_where_nothing_happens(monkeypatch: pytest.MonkeyPatch):
    """So that proxies and clients keep the connection."""
    monkeypatch.setattr(feed, "HEARTBEAT_S", 0.01)
    async with a_pool() as pool:
        reader = Events(app(pool, auth=None), "name=mine")
        await until(lambda: any(one.get("body", b"").startswith(b": ") for one in reader.sent))
        await reader.leave()


async def test_one_choice_too_many_is_told_to_come_later(monkeypatch: pytest.MonkeyPatch):
    """Each choice of names is a feed of its own, and feeds are counted."""
    monkeypatch.setattr(feed, "MOST_FEEDS", 2)
    async with a_pool() as pool:
        application = app(pool, auth=None)
        readers = [Events(application, f"name=mine{number}") for number in range(2)]
        await until(lambda: all(reader.sent for reader in readers))
        async with client(application) as asked:
            answer = await asked.get(f"{POOL}/events?name=mine3")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
            assert (await asked.get(f"{POOL}/events?name=no%0Aname")).status_code in (400, 503)
        for reader in readers:
            await reader.leave()
