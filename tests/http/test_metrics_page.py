"""The page for Prometheus, and what clients can do to it: nothing."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families

import millpond
from millpond.http import app
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.http.test_watching import Events, a_pool, client

MANY = 20_000


def rss() -> int:
    """Bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def answered(application: Any, method: str, path: str, agent: str, body: bytes = b"") -> int:
    """The status of one request, by ASGI."""
    sent: list[dict[str, Any]] = []
    came = [{"type": "http.request", "body": body, "more_body": False}]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return came.pop() if came else await asyncio.get_running_loop().create_future()

    scope = {"type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode()}
    headers = [(b"user-agent", agent.encode()), (b"content-type", b"application/json"), (b"host", b"localhost")]
    await application({**scope, "query_string": b"", "headers": headers}, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0", "text/plain;version=0.0.4"])
async def test_pools_of_one_name_are_told_apart_by_what_they_are_served_as(accept):
    """A page that names a series twice is refused by Prometheus as a whole; each format can be read."""
    first, second = a_pool(), a_pool(alerts=False)
    async with first, second, client(app({"a": first, "b": second}, auth=None)) as asked:
        answer = await asked.get("/metrics", headers={"accept": accept})
        is_open = answer.headers["content-type"].startswith("application/openmetrics-text")
        read = open_families if is_open else parser.text_string_to_metric_families
        series = [(one.name, tuple(sorted(one.labels.items()))) for each in read(answer.text) for one in each.samples]
    assert (is_open, len(series)) == ("openmetrics" in accept, len(set(series)))
    assert {dict(labels)["pool"] for _, labels in series if "pool" in dict(labels)} == {"a", "b"}


async def test_27_whatever_names_clients_choose_the_page_and_memory_are_bounded():
    """20,000 session ids, user agents and verbs: at most 500 series and 20 MB, also while somebody reads events."""
    async with millpond.Pool(Shop, engine=FakeEngine()) as pool:
        application = app(pool, auth=None)
        reader = Events(application, "name=session")

        async def use(number: int) -> None:
            path, agent = f"/v1/pools/default/sessions/id-{number}", f"agent-{number}"
            opened = b'{"id": "id-%d"}' % number
            assert await answered(application, "POST", "/v1/pools/default/sessions", agent, opened) == 201
            assert await answered(application, "DELETE", path, agent) == 204
            assert await answered(application, f"VERB{number}", f"/nothing/{number}", agent) == 404
            assert await answered(application, "POST", f"/v1/pools/default/call/op{number}", agent) == 404
            reader.sent.clear()

        for number in range(2000):
            await use(number)
        gc.collect()
        before = rss()
        for number in range(2000, MANY):
            await use(number)
        gc.collect()
        assert rss() - before <= 20 * 2**20
        page = (await client(application).get("/metrics")).text
        await reader.leave()
    assert len([line for line in page.splitlines() if not line.startswith("#")]) <= 500
    assert not [name for name in ("id-", "agent-", "VERB") if name in page]


def test_connections_are_told_if_the_server_counts_them():
    """In another program's server nobody does, and no figure is made up."""
    application = app(a_pool(), auth=None)
    names = {family.name for family in application.traffic.families()}
    application.traffic.connections = lambda: 3
    more = {family.name: family.samples for family in application.traffic.families()}
    assert (set(more) - names, more["millpond_http_connections"]) == (
        {"millpond_http_connections"},
        [("", (), 3.0)],
    )
