"""A path that is there, asked in a way that it is not: 405, and what it may be asked."""

from __future__ import annotations

import httpx
import pytest

import millpond
import millpond.http
from millpond.testing import FakeEngine
from tests.contract.documented import Shop


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/pools/p/sessions", "GET, HEAD, POST"),
        ("/v1/pools/p/sessions/s", "DELETE, GET, HEAD"),
        ("/v1/pools/p/call/price", "POST"),
        ("/healthz", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_there_is_405_and_told_which_are(path, allowed):
    """Also where several routes have the path, each for other methods."""
    async with millpond.Pool(Shop, engine=FakeEngine()) as pool:
        transport = httpx.ASGITransport(millpond.http.app({"p": pool}, auth=None))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.request("PATCH", path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_what_a_document_forbids_is_refused():
    """An empty id of a session, which an owner's name would make one of a pool's; a priority that no call can have."""
    async with millpond.Pool(Shop, engine=FakeEngine()) as pool:
        transport = httpx.ASGITransport(millpond.http.app({"p": pool}, auth=None))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            session = await client.post("/v1/pools/p/sessions", json={"id": ""})
            call = {"operation": "nothing", "priority": 2**40}
            batch = await client.post("/v1/pools/p/batch", json={"calls": [call]})
    assert (session.status_code, session.json()["field"]) == (400, "$.id")
    assert (batch.status_code, batch.json()["field"]) == (400, "$.calls[0].priority")
