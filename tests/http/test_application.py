"""The application: what it serves, its lifespan, and the paths it takes."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from starlette.exceptions import HTTPException

import millpond
from millpond.http import Application, app
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.contract.sites import until
from tests.http.talk import site


class Life:
    """The lifespan of an application, as a server leads it."""

    def __init__(self, application: Application) -> None:
        self.sent: asyncio.Queue[Any] = asyncio.Queue()
        self._told: asyncio.Queue[Any] = asyncio.Queue()
        self.task = asyncio.ensure_future(application({"type": "lifespan"}, self._told.get, self.sent.put))

    async def tell(self, what: str) -> str:
        """Say `startup` or `shutdown`; what the application answers."""
        self._told.put_nowait({"type": f"lifespan.{what}"})
        async with asyncio.timeout(30):
            answer: str = (await self.sent.get())["type"]
        return answer.removeprefix("lifespan.")


def pools(*names: str) -> dict[str, millpond.Pool]:
    return {name: millpond.Pool(Shop, engine=FakeEngine(), name=name) for name in names}


def states(served: dict[str, millpond.Pool]) -> list[str]:
    return [pool.driver.view.state for pool in served.values()]


@pytest.mark.parametrize(
    ("served", "error"), [({"": None}, ValueError), ({"p": None}, TypeError), ({3: None}, TypeError), (Shop, TypeError)]
)
def test_what_cannot_be_served_is_refused(served, error):
    """Before anything is."""
    with pytest.raises(error):
        app(served, auth=None)


def test_who_is_let_in_has_no_default():
    """Neither everybody nor nobody by mistake."""
    with pytest.raises(TypeError, match="auth"):
        app(pools("p"))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="auth"):
        app(pools("p"), auth="everybody")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a/b", ".", "..", "a\\b", "a\nb"])
def test_a_pool_that_no_path_could_name_is_not_served(name):
    """Every request to it would be 400, so that is told where it is made."""
    with pytest.raises(ValueError, match="stands in paths"):
        app({name: millpond.Pool(Shop, engine=FakeEngine())}, auth=None)


async def test_pools_are_opened_and_closed_with_the_server_if_that_is_asked_for():
    """Otherwise the program does it."""
    served = pools("a", "b")
    life = Life(app(served, auth=None))
    assert (await life.tell("startup"), states(served)) == ("startup.complete", ["new", "new"])
    assert (await life.tell("shutdown"), states(served)) == ("shutdown.complete", ["new", "new"])
    application = app(served, auth=None, open_pools=True)
    life = Life(application)
    assert (await life.tell("startup"), states(served)) == ("startup.complete", ["ready", "ready"])
    assert not application.is_draining
    assert (await life.tell("shutdown"), states(served)) == ("shutdown.complete", ["closed", "closed"])
    assert application.is_draining


async def test_a_pool_that_cannot_open_ends_the_others():
    """Those that were open, and those that still opened."""
    served = pools("bad", "good", "slow")
    served["bad"].driver.engine.fail_starts("no such model", 100)
    served["slow"].driver.engine.hold_starts()
    life = Life(app(served, auth=None, open_pools=True))
    told = asyncio.ensure_future(life.tell("startup"))
    await until(lambda: states(served)[:2] == ["closed", "ready"])
    served["slow"].driver.engine.release_starts()
    assert await told == "startup.failed"
    await life.task
    assert states(served) == ["closed"] * 3


async def test_a_server_that_gives_up_closes_the_pools():
    """Whether it does while they open or later."""
    for holds in (True, False):
        served = pools("a", "b")
        if holds:
            served["b"].driver.engine.hold_starts()
        life = Life(app(served, auth=None, open_pools=True))
        told = asyncio.ensure_future(life.tell("startup"))
        await until(lambda served=served, holds=holds: states(served) == ["ready", "opening" if holds else "ready"])
        life.task.cancel()
        told.cancel()
        await asyncio.gather(life.task, told, return_exceptions=True)
        assert states(served) == ["closed", "closed"]


@pytest.mark.parametrize("status", [400, 404, 418, 431, 500, 599])
async def test_what_a_route_raises_for_starlette_is_a_problem(status, monkeypatch):
    """By its status, with its headers."""

    def broken(*_: Any) -> int:
        raise HTTPException(status, headers={"X-Why": "so"})

    monkeypatch.setattr(Application, "most_bytes", broken)
    async with site() as at:
        answer = await at.post("/batch", {})
        assert (answer.status_code, answer.json()["status"], answer.headers["x-why"]) == (status, status, "so")
        assert re.fullmatch(r"[a-z_'-]+", answer.json()["code"])


@pytest.mark.parametrize("path", ["/batch", "/sessions", "/admin/drain"])
async def test_what_the_server_itself_reads_is_json(path):
    """A form, as a page of another site can send it, is 415 and changes nothing."""
    async with site() as at:
        for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
            answer = await at.post(path, {}, content_type=kind)
            assert (answer.status_code, answer.headers["accept"]) == (415, "application/json")
        assert (at.pool.driver.view.state, at.pool.sessions()) == ("ready", ())


def test_only_so_many_paths_are_remembered():
    """Those of operations that were called; a client cannot make more of them than there are."""
    served = pools("p")
    application = app(served, auth=None)
    for number in range(10_001):
        application.know_call(f"/{number}", served["p"], "later")
    assert not application.claims({"path": "/10000", "method": "POST"})
    assert application.claims({"path": "/9999", "method": "POST"})
