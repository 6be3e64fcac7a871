"""The short way of a call answers what the long way answers, and leaves to that what is out of the ordinary."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import pytest

import millpond
from millpond.http import app
from millpond.http.access.caller import Caller
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.contract.sites import until

PATH = "/v1/pools/default/call/"
REQUESTS: list[tuple[str, bytes, dict[str, str]]] = [
    ("later", b"[1]", {}),
    ("later", b'{"number":2}', {"accept": "application/msgpack"}),
    ("later", b'{"number":"2"}', {}),
    ("later", b"[", {}),
    ("later", b"[1]", {"content-type": "text/plain"}),
    ("later", b"[1]", {"accept": "text/html"}),
    ("later", b"[1]", {"millpond-deadline": "soon"}),
    ("later", b"[1]", {"millpond-deadline": "0"}),
    ("later", b"[1]", {"millpond-session": "nobody"}),
    ("raw", b"\x00", {"content-type": "application/octet-stream"}),
    ("raw", b"x" * 2000, {"content-type": "application/octet-stream"}),
    ("fail", b'["here"]', {}),
    ("strange", b"", {}),
]


class Exchange:
    """A request as the server has it: keeps the answer."""

    def __init__(self) -> None:
        self.on_disconnect: Any = None
        self.answered: asyncio.Future[tuple[int, dict[bytes, bytes], bytes]] = asyncio.Future()

    def respond(self, status: int, head: bytes, body: bytes) -> None:
        lines = [line.partition(b": ") for line in head.decode("latin-1").encode("latin-1").split(b"\r\n") if line]
        self.answered.set_result((status, {name.lower(): value for name, _, value in lines}, body))


class Broken(Exchange):
    """One whose answer cannot be written."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken_off = asyncio.Event()

    def respond(self, status: int, head: bytes, body: bytes) -> None:
        raise OSError("no")

    def break_off(self) -> None:
        self.is_broken_off.set()


@pytest.mark.parametrize("body", [b"[1]", b'["x"]'])
async def test_an_answer_that_cannot_be_written_is_broken_off(body):
    """Its client is not left waiting, and the pool goes on."""
    async with a_pool() as pool:
        application = app(pool, auth=None)
        application.know_call(PATH + "later", pool, "later")
        exchange = Broken()
        assert application.start_call(scope_of("later", {}), body, exchange)
        await asyncio.wait_for(exchange.is_broken_off.wait(), 10)
        assert application.traffic.running == 0
        assert await pool.call("later", 2.0) == 2.0


def scope_of(operation: str, headers: dict[str, str]) -> dict[str, Any]:
    given = {"content-type": "application/json", **headers}
    return {
        "type": "http",
        "method": "POST",
        "path": PATH + operation,
        "raw_path": (PATH + operation).encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }


async def long_way(application: Any, scope: dict[str, Any], body: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """The answer to a request by ASGI."""
    sent: list[Any] = []

    asked: list[Any] = [{"type": "http.request", "body": body}]

    async def receive() -> Any:
        return asked.pop() if asked else await asyncio.Future()

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(one["body"] for one in sent[1:])


def a_pool() -> millpond.Pool:
    return millpond.Pool(Shop, engine=FakeEngine(), max_payload=1000)


def without_ids(body: bytes) -> bytes:
    """A problem without the number of its call."""
    before, found, after = body.partition(b'"call_id":')
    return before + after.lstrip(b"0123456789") if found else body


@pytest.mark.parametrize(("operation", "body", "headers"), REQUESTS)
async def test_both_ways_answer_the_same(operation, body, headers):
    """Status, headers and body, of answers and of problems."""
    async with a_pool() as pool:
        application = app(pool, auth=None)
        application.know_call(PATH + operation, pool, operation)
        scope, exchange = scope_of(operation, headers), Exchange()
        assert application.claims(scope)
        assert application.start_call(scope, body, exchange)
        status, said, answer = await asyncio.wait_for(exchange.answered, 10)
        other_status, other_said, other_answer = await long_way(application, scope, body)
        assert (status, without_ids(answer)) == (other_status, without_ids(other_answer))
        assert said[b"content-length"] == b"%d" % len(answer)
        assert {**said, b"content-length": b""} == {**other_said, b"content-length": b""}
        assert (exchange.on_disconnect, application.traffic.running) == (None, 0)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("open/call/hold", {}),
        ("open/call/later", {"millpond-session": "other"}),
        ("nobody/call/hold", {}),
        ("%6fpen/call/hold", {}),
        ("./call/hold", {}),
        ("a%2fb/call/hold", {}),
    ],
)
async def test_both_ways_answer_the_same_in_a_session(path, headers):
    """Named by the path: one that is open, one that is not, and what names none."""
    async with a_pool() as pool, pool.session("open"):
        application = app(pool, auth=None)
        for operation in ("hold", "later"):
            application.know_call(PATH + operation, pool, operation)
        scope, exchange = scope_of("", headers), Exchange()
        raw = "/v1/pools/default/sessions/" + path
        scope |= {"path": unquote(raw), "raw_path": raw.encode()}
        body = b"[1]" if path.endswith("later") else b""
        is_claimed = application.claims(scope)
        assert is_claimed is ("%2f" not in path)
        if is_claimed:
            assert application.start_call(scope, body, exchange)
            status, said, answer = await asyncio.wait_for(exchange.answered, 10)
            other_status, other_said, other_answer = await long_way(application, scope, body)
            assert (status, without_ids(answer)) == (other_status, without_ids(other_answer))
            assert {**said, b"content-length": b""} == {**other_said, b"content-length": b""}


async def test_an_operation_that_answered_in_a_session_is_known_in_all():
    """Once it was looked up, whichever session was named."""
    async with a_pool() as pool, pool.session("a"):
        application = app(pool, auth=None)
        scope = scope_of("", {}) | {"path": "/v1/pools/default/sessions/a/call/hold", "raw_path": b""}
        assert not application.claims(scope)
        assert (await long_way(application, scope, b""))[0] == 200
        assert application.claims(scope | {"path": "/v1/pools/default/sessions/b/call/hold"})
        assert not application.claims(scope | {"path": "/v1/pools/default/sessions/b/call/raw"})


async def test_a_client_that_leaves_cancels_the_call():
    """And nothing is written any more."""
    async with a_pool() as pool:
        application = app(pool, auth=None)
        application.know_call(PATH + "later", pool, "later")
        pool.driver.engine.hold("later")
        exchange = Exchange()
        assert application.start_call(scope_of("later", {}), b"[1]", exchange)
        await pool.driver.engine.wait_held()
        exchange.on_disconnect()
        await until(lambda: pool.statistics().endings["cancelled"] == 1)
        assert (exchange.answered.done(), application.traffic.running) == (False, 0)


async def test_what_is_out_of_the_ordinary_is_left_to_the_long_way():
    """A key for idempotency, a caller who may not call, access that has to be awaited, and paths nobody called yet."""
    async with a_pool() as pool:
        viewer = Caller("v", "view", "program")

        async def decide(_scope: Any) -> Caller:
            return viewer

        for auth, headers in ((None, {"idempotency-key": "k"}), (lambda _: viewer, {})):
            application = app(pool, auth=auth)
            application.know_call(PATH + "later", pool, "later")
            assert not application.start_call(scope_of("later", headers), b"[1]", Exchange())
        assert not app(pool, auth=None).claims(scope_of("later", {}))
        awaited = app(pool, auth=decide)
        awaited.know_call(PATH + "later", pool, "later")
        assert not awaited.claims(scope_of("later", {}))
        assert pool.statistics().submitted == 0


async def test_who_is_not_let_in_is_answered_and_counted():
    """As on the long way."""
    async with a_pool() as pool:
        application = app(pool, auth=lambda _: None)
        application.know_call(PATH + "later", pool, "later")
        scope, exchange = scope_of("later", {}), Exchange()
        assert application.start_call(scope, b"[1]", exchange)
        assert (await exchange.answered)[0] == 401
        assert (await long_way(application, scope, b"[1]"))[0] == 401
        (counted,) = application.traffic.families()[0].samples
        assert counted == ("", (("route", "/v1/pools/{pool}/call/{operation}"), ("status", "4xx")), 2.0)
