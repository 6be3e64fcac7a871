"""Each part for applications of one's own, alone, in each framework that it is for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

import millpond
import millpond.http
from millpond.http.integration import (
    begun,
    cancel_on_disconnect,
    exception_handlers,
    healthz,
    lifespan,
    metrics,
    provide,
    readyz,
)
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.contract.sites import until
from tests.needs import need


async def test_a_stream_that_fails_before_its_first_item_has_a_status_of_its_own():
    """The others come one by one, and closing them ends the stream in its worker."""
    async with a_pool() as pool:
        assert [item async for item in await begun(pool.stream("letters", "abc"))] == ["a", "b", "c"]
        assert [item async for item in await begun(pool.stream("letters", ""))] == []
        with pytest.raises(millpond.BadArgument):
            await begun(pool.stream("nope"))
        items = await begun(pool.stream("numbers", 10_000))
        assert await anext(items) == 0
        await items.aclose()
        await until(lambda: pool.statistics().in_flight == 0)


def a_pool(name: str = "shop") -> millpond.Pool:
    return millpond.Pool(Shop, engine=FakeEngine(), name=name)


def asking(application: Any) -> httpx.AsyncClient:
    """A client of the application, without a server."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


def test_nothing_of_a_framework_is_imported_that_is_not_used():
    """FastAPI and Litestar need not be there for the parts that all have."""
    program = "import sys, millpond.http.integration; print({'fastapi', 'litestar'} & sys.modules.keys())"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (ended.stdout, ended.stderr) == ("set()\n", "")


async def test_the_lifespan_opens_the_pools_and_closes_them():
    """Inside the application's own, whose state is handed on."""
    pools, seen = (a_pool("a"), a_pool("b")), []

    @asynccontextmanager
    async def own(application: Any) -> Any:
        seen.append(("begins", pools[0].statistics().state, application))
        yield {"mine": 1}
        seen.append(("ends", pools[0].statistics().state, application))

    async with lifespan(*pools, within=own)("app") as state:
        assert state == {"mine": 1}
        assert [pool.statistics().is_ready for pool in pools] == [True, True]
    assert seen == [("begins", "new", "app"), ("ends", "closed", "app")]
    async with lifespan()(None) as state:
        assert state == {}


async def test_a_pool_that_cannot_start_ends_the_start():
    """With its own error, and the others closed."""

    class Broken:
        def __init__(self) -> None:
            raise LookupError("no model")

    good, bad = a_pool(), millpond.Pool(Broken, engine=FakeEngine(), name="bad")
    with pytest.raises(millpond.StartFailed):
        async with lifespan(good, bad)(None):
            raise AssertionError("it was opened")
    assert good.statistics().state == "closed"


async def test_an_application_that_fails_closes_its_pools():
    """Whatever ends the time in which it serves."""
    pool = a_pool()
    with pytest.raises(LookupError):
        async with lifespan(pool)(None):
            raise LookupError
    assert pool.statistics().state == "closed"


async def test_errors_of_a_pool_become_problems():
    """In Starlette, FastAPI and Litestar alike: status, content type, code, outcome, Retry-After."""
    need("fastapi", "litestar")
    from fastapi import FastAPI
    from litestar import Litestar, get

    from millpond.http.integration import litestar

    async def closed(request: Request) -> JSONResponse:
        return JSONResponse(await a_pool().call("nothing"))

    @get("/")
    async def closed_too() -> None:
        await a_pool().call("nothing")

    answers = []
    for kind in (Starlette, FastAPI):
        application = kind(exception_handlers=exception_handlers())
        application.add_route("/", closed)
        answers.append(application)
    answers.append(Litestar([closed_too], exception_handlers=litestar.exception_handlers()))
    for application in answers:
        async with asking(application) as client:
            answer = await client.get("/")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        assert (answer.json()["code"], answer.json()["outcome"]) == ("pool_closed", "not_started")
        assert answer.headers["retry-after"] == "1"


async def test_health_and_metrics_tell_of_the_pools():
    """Ready while all are; else 503 and the state of the first that is not."""
    need("litestar")
    from litestar import Litestar

    from millpond.http.integration import litestar

    pool = a_pool()
    application = Starlette()
    application.add_route("/healthz", healthz)
    application.add_route("/readyz", readyz(pool))
    application.add_route("/metrics", metrics(pool))
    for served in (application, Litestar(litestar.route_handlers(pool))):
        async with asking(served) as client:
            if pool.statistics().state == "new":
                before = await client.get("/readyz")
                assert (before.status_code, before.headers["retry-after"]) == (503, "1")
                await pool.open()
            assert (await client.get("/readyz")).text == "ready\n"
            assert (await client.get("/healthz")).text == "ok\n"
            page = await client.get("/metrics")
            assert 'pool="shop"' in page.text
            assert page.headers["content-type"].startswith("text/plain; version=")
    await pool.close()


async def test_the_dependency_can_be_overridden_in_a_test():
    """FastAPI finds it by the function; a test puts another pool there."""
    need("fastapi")
    from fastapi import Depends, FastAPI

    given = provide(a_pool("real"))
    application = FastAPI()

    async def name(pool: millpond.Pool = Depends(given)) -> str:  # noqa: B008
        return pool.name

    application.add_api_route("/", name)
    async with asking(application) as client:
        assert (await client.get("/")).json() == "real"
        application.dependency_overrides[given] = provide(a_pool("other"))
        assert (await client.get("/")).json() == "other"


class Leaving:
    """A request whose client leaves when the test says so."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {"type": "http"}
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


async def test_a_call_ends_with_its_client():
    """Its worker is told, and the route ends with a status that nobody reads."""
    async with a_pool() as pool:
        request = Leaving()
        pool.driver.engine.hold("later")  # type: ignore[attr-defined]
        waiting = asyncio.create_task(cancel_on_disconnect(request, pool.call("later", 1.0)))
        await pool.driver.engine.wait_held()  # type: ignore[attr-defined]
        request.left.set()
        with pytest.raises(HTTPException) as told:
            await waiting
        assert told.value.status_code == 499
        await until(lambda: pool.statistics().endings["cancelled"] == 1)


async def test_a_call_that_ends_first_gives_its_answer_or_its_error():
    """And leaves no task behind."""
    async with a_pool() as pool:
        before = asyncio.all_tasks()
        assert await cancel_on_disconnect(Leaving(), pool.call("later", 1.0)) == 1.0
        with pytest.raises(LookupError):
            await cancel_on_disconnect(Leaving(), pool.call("fail", "here"))
        assert await cancel_on_disconnect(Leaving(), asyncio.ensure_future(pool.call("later", 2.0))) == 2.0
        assert asyncio.all_tasks() == before


async def test_cancelling_the_route_cancels_the_call():
    """As a server does that stops."""
    async with a_pool() as pool:
        pool.driver.engine.hold("later")  # type: ignore[attr-defined]
        waiting = asyncio.create_task(cancel_on_disconnect(Leaving(), pool.call("later", 1.0)))
        await pool.driver.engine.wait_held()  # type: ignore[attr-defined]
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: pool.statistics().endings["cancelled"] == 1)


async def test_it_leaves_the_servers_own_cancellation_alone():
    """Millpond's server tells by a function; what it set is taken back."""
    async with a_pool() as pool:
        request = Leaving()
        connection = type("Connection", (), {"on_disconnect": None, "is_cut": False})()
        request.scope["millpond.connection"] = connection
        assert await cancel_on_disconnect(request, pool.call("later", 1.0)) == 1.0
        assert connection.on_disconnect is None
