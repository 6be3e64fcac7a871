"""Commands that are wrong, that two give at once, and whose client leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import millpond
from millpond.http import app
from millpond.testing import FakeEngine
from tests.contract.sites import until
from tests.http.test_watching import POOL, a_pool, client

WRONG: list[tuple[str, Any, str]] = [
    ("resize", {"min_workers": -1}, "$.min_workers"),
    ("resize", {"max_workers": True}, "$.max_workers"),
    ("resize", {"max_workers": 10**30}, "$.max_workers"),
    ("resize", {"max": 3}, "$"),
    ("configure", {"cancel_grace": "x"}, "$.cancel_grace"),
    ("configure", {"nonsense": 1}, "$.nonsense"),
    ("configure", {"self": 1}, "$.self"),
    ("configure", [1], "$"),
    ("silence", {"matchers": "", "seconds": 5}, "$.matchers"),
    ("silence", {"matchers": 'alertname="X"', "seconds": -5}, "$.seconds"),
    ("silence", {"matchers": 'alertname="X"', "seconds": 1e300}, "$.seconds"),
    ("pause", {"reason": 5}, "$.reason"),
]


class Waiting:
    """Waits until the test says so."""

    over = asyncio.Event()

    async def wait(self) -> None:
        await self.over.wait()


@pytest.mark.parametrize(("verb", "body", "field"), WRONG)
async def test_a_wrong_command_names_its_field_and_changes_nothing(verb, body, field):
    """Settings, bounds, silences and the optimizer are as they were."""
    async with a_pool() as pool, client(app(pool, auth=None)) as asked:
        before = pool.settings, pool.optimizer.state, pool.alerts.silences()
        answer = await asked.post(f"{POOL}/admin/{verb}", json=body)
        assert (answer.status_code, answer.json()["field"]) == (400, field)
        assert (pool.settings, pool.optimizer.state, pool.alerts.silences()) == before


async def test_two_who_command_at_once_are_both_answered():
    """Replacing workers twice, draining twice, and two sizes: the one that came last holds."""
    async with a_pool(max_workers=2) as pool, client(app(pool, auth=None)) as asked:

        async def both(verb: str, *bodies: dict[str, Any]) -> None:
            posts = [asked.post(f"{POOL}/admin/{verb}", json=body) for body in bodies]
            answers = await asyncio.wait_for(asyncio.gather(*posts), 10)
            assert [answer.status_code for answer in answers] == [200, 200]

        await both("resize", {"min_workers": 1, "max_workers": 3}, {"min_workers": 2, "max_workers": 2})
        assert (pool.settings.min_workers, pool.settings.max_workers) == (2, 2)
        await both("replace_workers", {}, {})
        assert await pool.call("say", "hi")
        await both("drain", {}, {})
        assert pool.statistics().state == "draining"


async def test_a_command_goes_on_when_its_client_leaves():
    """It is told as an event already, and ending it half way would leave nobody to say what holds."""
    pool = millpond.Pool(Waiting, engine=FakeEngine(), name="default")
    async with pool, client(app(pool, auth=None)) as asked:
        running = asyncio.ensure_future(pool.call("wait"))
        await until(lambda: pool.statistics().running)
        leaving = asyncio.ensure_future(asked.post(f"{POOL}/admin/drain"))
        await until(lambda: pool.statistics().state == "draining")
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        Waiting.over.set()
        await running
        assert (await asked.post(f"{POOL}/admin/drain")).json() == {"state": "draining"}


async def test_a_closed_pool_says_so():
    """What it did can be read on; what would change it is refused."""
    async with a_pool() as pool:
        application = app(pool, auth=None)
    async with client(application) as asked:
        for verb in ("resize", "replace_workers", "configure"):
            answer = await asked.post(f"{POOL}/admin/{verb}", json={})
            assert (answer.status_code, answer.json()["code"]) == (503, "pool_closed")
        for path in ("statistics", "history", "journal", "alerts", "sessions"):
            assert (await asked.get(f"{POOL}/{path}")).status_code == 200
