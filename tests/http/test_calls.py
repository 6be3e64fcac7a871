"""Calls over HTTP: what is answered to whom, and what a client that leaves ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import millpond
from millpond.http import app
from millpond.http.access.caller import Caller
from millpond.http.application import Application
from millpond.testing import FakeEngine
from tests.contract.documented import Shop
from tests.contract.sites import until
from tests.http.talk import POOL, Site, Talk, client_of, site

SECRET = "canary-7f3a"


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that an answer is."""
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code), told
    return told


class Unicode:
    """Operations and sessions with names from everywhere."""

    def grüße(self, name: str) -> str:
        return f"Grüße, {name}"

    def whose(self, *, session: millpond.Session) -> str:
        return session.id


async def test_a_call_is_answered_in_the_format_that_is_asked_for():
    """JSON, msgpack, bytes; the second time on the short way of the application."""
    async with site() as at:
        for _ in range(2):
            answer = await at.post("/call/price", {"item": {"name": "x"}, "times": 2})
            assert answer.json() == [{"name": "x", "count": 1, "when": None}] * 2
            packed = await at.call("later", 2, accept="application/msgpack")
            assert (packed.headers["content-type"], packed.content) == ("application/msgpack", b"\xcb@\0\0\0\0\0\0\0")
            raw = await at.client.post(
                f"{POOL}/call/raw", content=b"\0\xff", headers={"content-type": "application/octet-stream"}
            )
            assert (raw.headers["content-type"], raw.content) == ("application/octet-stream", b"\0\xff")
            assert raw.headers["x-content-type-options"] == "nosniff"


async def test_arguments_that_do_not_fit_name_the_field():
    """And have not run."""
    async with site() as at:
        for _ in range(2):
            told = problem(await at.post("/call/price", {"item": {"name": 1}}), 400, "bad_argument")
            assert (told["field"], told["outcome"]) == ("$.item.name", "not_started")


async def test_what_is_not_there_is_404():
    """A pool, an operation, a path; each says which by its code."""
    async with site() as at:
        problem(await at.call("nix"), 404, "bad_argument")
        problem(await at.client.post("/v1/pools/other/call/later"), 404, "unknown_pool")
        problem(await at.client.post(f"{POOL}/call"), 404, "not_found")
        problem(await at.client.post(f"{POOL}/call/later/"), 404, "not_found")


async def test_names_travel_percent_encoded():
    """Of operations and of sessions, in whatever script; the id of a session also in its header, as UTF-8."""
    async with site(Unicode) as at:
        assert (await at.call("gr%C3%BC%C3%9Fe", "x")).json() == "Grüße, x"
        assert (await at.call("grüße", "x")).json() == "Grüße, x"
        assert (await at.post("/sessions", {"id": "日 本"})).status_code == 201
        assert (await at.post("/sessions/%E6%97%A5%20%E6%9C%AC/call/whose")).json() == "日 本"
        answer = await at.client.post(f"{POOL}/call/whose", headers=[(b"millpond-session", "日 本".encode())])
        assert answer.json() == "日 本"


@pytest.mark.parametrize("path", ["%ff", "%fe", "%c3%28", "a%0ab", "%00", "%7f", "%2e%2e", "a%2fb", "a%5cb", "..", "."])
async def test_a_path_that_is_read_in_two_ways_is_refused(path):
    """Bytes that are no UTF-8 (two such names would be one session), control characters, separators."""
    async with site() as at:
        raw = f"{POOL}/sessions/{path}/call/hold"
        talk = Talk(at.application, unquote(raw), raw_path=raw.encode())
        await talk.ended()
        assert (talk.status, json.loads(talk.body)["code"]) == (400, "bad_path")


async def test_other_methods_are_405_and_tell_no_origin_anything():
    """HEAD and OPTIONS too; the answer has no Access-Control header."""
    async with site() as at:
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            answer = await at.client.request(
                method,
                f"{POOL}/call/later",
                headers={"origin": "http://elsewhere.example", "access-control-request-method": "POST"},
            )
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
            assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_websocket_is_refused():
    """There is nothing to talk to."""
    async with site() as at:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await at.application({"type": "websocket", "path": f"{POOL}/call/later"}, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_it_can_be_mounted_below_a_path():
    """All routes are there, and the short way too."""
    async with site() as at, client_of(Starlette(routes=[Mount("/below", at.application)])) as client:
        for _ in range(2):
            assert (await client.post(f"/below{POOL}/call/later", json=[1])).json() == 1.0
        assert (await client.post(f"/below{POOL}/sessions", json={"id": "s"})).status_code == 201
        problem(await client.post(f"/below{POOL}/call/nix", json=[]), 404, "bad_argument")
        problem(await client.post("/below/nowhere", json=[]), 404, "not_found")


async def test_who_may_only_view_may_not_call():
    """Nor open sessions, nor with a path that was called before."""
    roles = ["admin"]
    async with site(auth=lambda _: Caller("o", roles[0], "program")) as at:  # type: ignore[arg-type]
        assert (await at.call("later", 1)).status_code == 200
        roles[0] = "view"
        for path in ("/call/later", "/stream/letters", "/batch", "/sessions", "/sessions/s/call/hold"):
            problem(await at.post(path, []), 403, "forbidden")
        assert at.pool.statistics().submitted == 1


async def test_sessions_are_their_owners():
    """Another finds none of that name, by path, header, batch or stream; the program's own calls see the prefix."""
    whose = ["a"]
    async with site(auth=lambda _: Caller(whose[0], "call", "program")) as at:
        assert (await at.post("/sessions", {"id": "s"})).status_code == 201
        assert (await at.post("/sessions/s/call/hold")).json() == "a:s"
        whose[0] = "b"
        for answer in (
            await at.post("/sessions/s/call/hold"),
            await at.post("/call/hold", millpond_session="s"),
            await at.post("/call/hold", millpond_session="a:s"),
            await at.post("/sessions/s/stream/letters", ["x"]),
        ):
            assert problem(answer, 404, "session_lost")["outcome"] == "not_started"
        batch = await at.post("/batch", {"calls": [{"operation": "hold", "session": "s"}]})
        assert batch.json()["results"][0]["problem"]["status"] == 404
        assert (await at.post("/sessions", {"id": "s"})).status_code == 201
        assert (await at.post("/sessions/s/call/hold")).json() == "b:s"


async def test_a_lost_session_is_410_until_it_is_reopened():
    """So its caller knows that its state is gone, and need not ask again."""
    async with site(min_workers=1, max_workers=1) as at:
        assert (await at.post("/sessions", {"id": "s"})).status_code == 201
        assert (await at.post("/sessions/s/call/hold")).json() == "s"
        next(iter(at.engine.workers.values())).die(9)
        problem(await at.post("/sessions/s/call/hold"), 410, "session_lost")
        problem(await at.post("/sessions", {"id": "s"}), 410, "session_lost")
        again = await at.post("/sessions", {"id": "s", "reopen": True})
        assert (again.status_code, again.json()["generation"]) == (201, 2)
        answer = await at.post("/sessions/s/call/hold", millpond_session_generation="1")
        problem(answer, 410, "session_lost")


async def test_calls_of_one_session_run_one_after_the_other():
    """In the order in which they came."""
    async with site() as at:
        await at.post("/sessions", {"id": "s"})
        at.engine.hold("hold")
        both = [asyncio.ensure_future(at.post("/sessions/s/call/hold")) for _ in range(2)]
        (first,) = await at.engine.wait_held()
        await until(lambda: at.pool.statistics().submitted == 2)
        assert at.engine.held() == [first]
        at.engine.release()
        assert [answer.json() for answer in await asyncio.gather(*both)] == ["s", "s"]


async def test_a_path_and_a_header_name_one_session():
    """Two different ones are a problem."""
    async with site() as at:
        await at.post("/sessions", {"id": "s"})
        assert (await at.post("/sessions/s/call/hold", millpond_session="s")).json() == "s"
        problem(await at.post("/sessions/s/call/hold", millpond_session="t"), 400, "bad_header")
        problem(await at.post("/call/hold", millpond_session="x" * 300), 404, "session_lost")


async def test_a_client_that_leaves_cancels_its_call():
    """Queued or running, and nothing is sent any more; under a server of another make, too."""
    async with site(min_workers=1, max_workers=1) as at:
        at.engine.hold("later")
        running = Talk(at.application, f"{POOL}/call/later", b"[1]")
        await at.engine.wait_held()
        queued = Talk(at.application, f"{POOL}/call/later", b"[2]")
        await until(lambda: at.pool.statistics().submitted == 2)
        for talk in (queued, running):
            talk.leave()
            await talk.ended()
        await until(lambda: at.pool.statistics().endings["cancelled"] == 2)
        assert (running.sent, queued.sent, at.application.traffic.running) == ([], [], 0)
        assert len(at.engine.sent) == 1


async def test_a_client_that_leaves_before_its_body_is_complete_calls_nothing():
    """There is nothing to call with."""
    async with site() as at:
        talk = Talk(at.application, f"{POOL}/call/later", b"[", is_whole=False)
        talk.leave()
        await talk.ended()
        assert (talk.sent, at.pool.statistics().submitted) == ([], 0)


async def test_a_body_has_its_bound():
    """One more byte is 413, whether or not the length was announced; nothing is sent to a worker."""
    async with site(max_payload=100) as at:
        kind = {"content-type": "application/octet-stream"}
        for size, status in ((100, 200), (101, 413)):
            assert (await at.client.post(f"{POOL}/call/raw", content=b"x" * size, headers=kind)).status_code == status

        async def pieces(count: int) -> Any:
            for _ in range(count):
                yield b"y" * 10

        for count, status in ((10, 200), (11, 413)):
            answer = await at.client.post(f"{POOL}/call/raw", content=pieces(count), headers=kind)
            assert answer.status_code == status
        assert at.pool.statistics().submitted == 2


async def test_no_error_has_the_arguments_in_it():
    """Neither what is told nor what is logged."""
    async with site() as at:
        for path, body in (
            ("/call/price", {"item": {"name": [SECRET]}}),
            ("/call/price", {"item": {"name": "x", "when": SECRET}}),
            ("/call/later", [SECRET]),
            ("/call/later", {"number": 1, SECRET: 2}),
            ("/call/unknown", [SECRET, SECRET]),
            ("/batch", {"calls": [{"operation": "later", "arguments": [SECRET]}]}),
            ("/sessions", {"id": SECRET * 30}),
            ("/sessions", {"reopen": SECRET}),
            ("/stream/broken", [SECRET]),
        ):
            answer = await at.post(path, body)
            assert "bad_argument" in answer.text, (path, answer.text)
            told = answer.text.replace(f"`{SECRET}`", "").replace(f"$.{SECRET}", "")  # the name of a field
            assert SECRET not in told, (path, answer.text)


async def test_while_a_pool_opens_calls_wait():
    """And are answered when it is open."""
    engine = FakeEngine()
    engine.hold_starts()
    pool = millpond.Pool(Shop, engine=engine)
    async with client_of(app(pool, auth=None)) as client:
        answer = await client.post(f"{POOL}/call/later", json=[1])
        assert problem(answer, 503, "pool_closed")["outcome"] == "not_started"
        assert answer.headers["retry-after"] == "1"
        opening = asyncio.ensure_future(pool.open())
        await until(lambda: pool.driver.view.state == "opening")
        waiting = asyncio.ensure_future(client.post(f"{POOL}/call/later", json=[1]))
        unknown = asyncio.ensure_future(client.post(f"{POOL}/call/nix", json=[1]))
        await until(lambda: pool.statistics().submitted == 2)
        engine.release_starts()
        await opening
        assert (await waiting).json() == 1.0
        problem(await unknown, 404, "bad_argument")
        await pool.close()


async def test_a_pool_that_drains_or_is_closed_is_503():
    """With `Retry-After`: another server may be there by then. What runs is answered."""
    async with site() as at:
        assert (await at.post("/sessions", {"id": "s"})).status_code == 201
        at.engine.hold("later")
        running = asyncio.ensure_future(at.call("later", 1))
        await at.engine.wait_held()
        draining = asyncio.ensure_future(at.pool.drain())
        await until(lambda: at.pool.driver.view.state == "draining")
        assert await _refusals(at) == {"pool_closing"}
        at.engine.release()
        assert (await running).json() == 1.0
        await draining
        await at.pool.close()
        assert await _refusals(at) == {"pool_closed"}


async def _refusals(at: Site) -> set[str]:
    """The codes with which all kinds of requests are refused."""
    codes = set()
    for path, body in (("/call/later", [1]), ("/stream/letters", ["x"]), ("/sessions/s/call/hold", None)):
        answer = await at.post(path, body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["outcome"] == "not_started"
        codes.add(answer.json()["code"])
    return codes


async def test_a_handlers_exception_is_told_to_its_caller():
    """By its class and text; its traceback to administrators only."""
    roles = ["admin"]
    async with site(auth=lambda _: Caller("o", roles[0], "program")) as at:  # type: ignore[arg-type]
        for role, has_traceback in (("admin", True), ("call", False)):
            roles[0] = role
            told = problem(await at.call("fail", "why"), 500, "handler_error")
            assert (told["type_name"], told["text"], told["outcome"]) == ("LookupError", "'why'"[1:-1], "completed")
            assert ("traceback" in told) is has_traceback


async def test_a_fault_of_our_own_is_logged_once_and_without_text(caplog, monkeypatch):
    """The text may have what a client sent; where it was raised says enough."""
    async with site() as at:

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError(SECRET)

        monkeypatch.setattr(Application, "most_bytes", broken)
        for path in ("/call/later", "/batch"):
            caplog.clear()
            told = problem(await at.post(path, [1]), 500, "internal_error")
            assert told["outcome"] == "unknown"
            (record,) = [one for one in caplog.records if one.name == "millpond.http"]
            assert "ZeroDivisionError" in record.getMessage()
            assert "in broken" in record.getMessage()
            assert SECRET not in caplog.text


class Slow:
    """Notes what became of it."""

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count

    def letters(self) -> Iterator[str]:
        yield from "ab"


async def test_two_pools_are_served_by_their_names():
    """Each its own operations."""
    async with millpond.Pool(Shop, engine=FakeEngine()) as shop, site(Slow) as at:
        at.application.pools.update(shop=shop, slow=at.pool)
        del at.application.pools["default"]
        async with client_of(at.application) as client:
            for _ in range(2):
                assert (await client.post("/v1/pools/shop/call/later", json=[1])).json() == 1.0
            assert (await client.post("/v1/pools/slow/call/add")).json() == 1
            problem(await client.post("/v1/pools/slow/call/later", json=[1]), 404, "bad_argument")
            problem(await client.post("/v1/pools/default/call/add"), 404, "unknown_pool")


class Tracer:
    """Notes the trace that each call is made in, and keeps none."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None, str | None]] = []

    def begin(self, operation: str, about: dict[str, Any]) -> None:
        self.seen.append((operation, about.get("traceparent"), about.get("tracestate")))


async def test_calls_go_on_in_the_trace_of_their_request():
    """However they are asked for; OpenTelemetry's spans hang where the client's stand."""
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with site() as at:
        await at.post("/sessions", {"id": "s"})
        at.pool.trace_source = tracer = Tracer()
        for _ in range(2):
            await at.call("later", 1, traceparent=parent, tracestate="a=1")
        await at.call("later", 1, traceparent=parent, tracestate="a=1", idempotency_key="k")
        await at.post("/sessions/s/call/hold", traceparent=parent, tracestate="a=1")
        await at.post("/stream/letters", ["x"], traceparent=parent, tracestate="a=1")
        await at.post("/batch", {"calls": [{"operation": "nothing"}]}, traceparent=parent, tracestate="a=1")
        assert tracer.seen == [
            (one, parent, "a=1") for one in ("later", "later", "later", "hold", "letters", "nothing")
        ]
        await at.call("later", 1, traceparent="00-0-0-00")
        assert tracer.seen[-1] == ("later", None, None)
