"""Idempotency keys: what is sent again is answered again, and runs once."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

import millpond
from millpond.documents import Document
from millpond.http import idempotency
from millpond.http.access.caller import Caller
from millpond.http.idempotency import KEPT_S, REPLAYED, Kept, fingerprint, given_key
from millpond.http.problems import Problem
from tests.contract.sites import failure, until
from tests.http.talk import POOL, Talk, site

POOL_A: Any = "pool a"  # compared, and nothing else


class Counting:
    """Counts its calls."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, by: int = 1) -> int:
        self.count += by
        return self.count

    def fail(self, by: int) -> None:
        self.count += by
        raise LookupError(str(self.count))

    def mine(self, *, session: millpond.Session) -> str:
        self.count += 1
        return f"{session.id} {self.count}"


async def test_a_request_that_is_sent_again_runs_once():
    """Its answer comes again, and says that it does."""
    async with site(Counting, max_workers=1) as at:
        first, again = [await at.call("add", 1, idempotency_key="k") for _ in range(2)]
        assert (first.json(), again.json()) == (1, 1)
        assert REPLAYED.lower() not in first.headers
        assert again.headers[REPLAYED] == "true"
        assert (await at.call("add", 1, idempotency_key="l")).json() == 2
        assert (await at.call("add", 1)).json() == 3


async def test_a_failure_comes_again_too():
    """The same problem, to the same caller, marked as the answer of before."""
    roles = ["admin"]
    async with site(Counting, max_workers=1, auth=lambda _: Caller("o", roles[0], "program")) as at:  # type: ignore[arg-type]
        first, again = [await at.call("fail", 1, idempotency_key="k") for _ in range(2)]
        assert (first.status_code, again.status_code) == (500, 500)
        assert first.json() == again.json()
        assert "traceback" in again.json()
        assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
        roles[0] = "call"
        told = await at.call("fail", 1, idempotency_key="k")
        assert (told.json()["text"], "traceback" in told.json()) == ("1", False)


async def test_a_key_is_for_one_call():
    """Another operation, other arguments, another session, another format: 422, and nothing runs."""
    async with site(Counting, max_workers=1) as at:
        for name in "ab":
            await at.post("/sessions", {"id": name})
        assert (await at.call("mine", idempotency_key="k", millpond_session="a")).json() == "a 1"
        assert (await at.post("/sessions/a/call/mine", [], idempotency_key="k")).json() == "a 1"
        for answer in (
            await at.call("add", idempotency_key="k"),
            await at.call("mine", idempotency_key="k", millpond_session="b"),
            await at.post("/sessions/b/call/mine", [], idempotency_key="k"),
            await at.call("mine", 1, idempotency_key="k", millpond_session="a"),
            await at.call("mine", idempotency_key="k", millpond_session="a", accept="application/msgpack"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
            assert answer.json()["outcome"] == "not_started"
        again = await at.call("mine", idempotency_key="k", millpond_session="a", millpond_deadline="9")
        assert again.json() == "a 1"


async def test_a_second_request_while_the_first_runs_is_409():
    """It may come again when that has ended; whether the work is done is not known yet."""
    async with site(Counting, max_workers=1) as at:
        at.engine.hold("add")
        first = asyncio.ensure_future(at.call("add", idempotency_key="k"))
        await at.engine.wait_held()
        second = await at.call("add", idempotency_key="k")
        assert (second.status_code, second.json()["code"]) == (409, "idempotency_running")
        assert (second.json()["outcome"], second.headers["retry-after"]) == ("unknown", "1")
        at.engine.release()
        assert (await first).json() == 1
        assert (await at.call("add", idempotency_key="k")).json() == 1


async def test_a_call_with_a_key_goes_on_without_its_client():
    """Which asks for the answer by the same key; nobody's answer is waited for meanwhile."""
    async with site(Counting, max_workers=1) as at:
        at.engine.hold("add")
        talk = Talk(at.application, f"{POOL}/call/add", b"[]", idempotency_key="k")
        await at.engine.wait_held()
        talk.leave()
        await talk.ended()
        assert (talk.sent, at.application.traffic.running) == ([], 0)
        at.engine.release()
        await until(lambda: at.pool.statistics().endings["ok"] == 1)
        again = await at.call("add", idempotency_key="k")
        assert (again.json(), again.headers[REPLAYED]) == (1, "true")


async def test_what_was_refused_may_be_asked_for_again():
    """By the same key: nothing has run."""
    async with site(Counting, max_workers=1) as at:
        assert (await at.call("add", "x", idempotency_key="k")).status_code == 400
        assert (await at.call("nix", idempotency_key="k")).status_code == 404
        assert (await at.call("add", millpond_deadline="0", idempotency_key="k")).status_code == 504
        assert (await at.call("add", idempotency_key="k")).json() == 1


async def test_keys_are_their_owners_and_their_pools():
    """Another's key is another key."""
    whose = ["a"]
    async with site(Counting, max_workers=1, auth=lambda _: Caller(whose[0], "call", "program")) as at:
        assert (await at.call("add", idempotency_key="k")).json() == 1
        whose[0] = "b"
        assert (await at.call("add", idempotency_key="k")).json() == 2
        other = millpond.Pool(Counting, engine=millpond.testing.FakeEngine(), max_workers=1)  # of the same name
        async with other:
            at.application.pools["other"] = other
            answer = await at.client.post("/v1/pools/other/call/add", headers={"idempotency-key": "k"})
            assert (answer.json(), REPLAYED in answer.headers) == (1, False)


@pytest.mark.parametrize("path", ["/batch", "/stream/letters", "/sessions"])
async def test_what_cannot_be_kept_takes_no_key(path):
    """It is refused, so that nobody relies on it."""
    async with site() as at:
        answer = await at.post(path, {}, idempotency_key="k")
        assert (answer.status_code, answer.json()["header"]) == (400, "Idempotency-Key")
        assert at.pool.statistics().submitted == 0


@pytest.mark.parametrize("header", [b"", b"x" * 256, "ü".encode(), b"a\tb"])
def test_a_key_is_printable_and_short(header):
    """Others are 400."""
    with pytest.raises(Problem) as told:
        given_key(header)
    assert told.value.status == 400


def test_what_is_asked_for_is_told_apart():
    """However the parts would read when put together."""
    parts = [("a", None, "b"), ("a", "", "b"), ("a", "=", "b"), ("a\0", None, "b"), ("a", None, "b\0")]
    prints = {fingerprint(operation, session, Document(body.encode()), "json") for operation, session, body in parts}
    assert len(prints) == len(parts)


# What is kept, and for how long


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def ask(kept: Kept, owner: str, key: str, size: int = 0) -> bool:
    """Whether the answer to this was kept; if not it is, from now on."""

    async def call() -> Document:
        return Document(b"x" * size)

    return (await kept.answer((owner, POOL_A, key), b"print", call(), False))[1]


async def test_answers_are_kept_for_ten_minutes():
    """And then forgotten, with what they took."""
    kept = Kept(clock := Clock())
    assert not await ask(kept, "o", "k", 1000)
    clock.now += KEPT_S - 1
    assert await ask(kept, "o", "k")
    clock.now += 1
    assert not await ask(kept, "o", "k")
    assert len(kept) == 1
    clock.now += KEPT_S
    assert not await ask(kept, "o", "l", 10)
    assert len(kept) == 1
    assert kept.nbytes < 2000


async def test_an_owner_loses_no_answer_to_one_who_has_more(monkeypatch):
    """Where there is no room the oldest answer goes of the owner whose answers take the most."""
    monkeypatch.setattr(idempotency, "MOST_BYTES", 20_000)
    kept = Kept()
    assert not await ask(kept, "small", "k", 100)
    for number in range(100):
        assert not await ask(kept, "large", str(number), 3000)
    assert kept.nbytes <= 20_000
    assert await ask(kept, "small", "k")
    assert await ask(kept, "large", "99")
    assert not await ask(kept, "large", "0")


async def test_there_are_so_many_answers_and_no_more(monkeypatch):
    """However small; those that run do not push kept ones out."""
    monkeypatch.setattr(idempotency, "MOST_ENTRIES", 3)
    kept = Kept()
    for number in range(5):
        await ask(kept, "o", str(number))
    assert len(kept) == 3
    bell = asyncio.Event()

    async def call() -> Document:
        await bell.wait()
        return Document(b"")

    running = [asyncio.ensure_future(kept.answer(("p", POOL_A, f"r{n}"), b"", call(), False)) for n in range(4)]
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(Problem) as told:
        await running[3]
    assert (told.value.status, told.value.code) == (503, "idempotency_full")
    assert [await ask(kept, "o", str(number)) for number in (2, 3, 4)] == [True] * 3
    bell.set()
    await asyncio.gather(*running[:3])


async def test_a_kept_failure_keeps_no_more_than_it_says():
    """Neither the request's body nor anything else that was at hand where it was raised."""

    class Body:
        pass

    kept, body = Kept(), Body()
    gone = weakref.ref(body)

    async def call(held: Body) -> Document:
        raise Problem(500, "handler_error", "x" * 5000, outcome="completed")

    assert (await failure(kept.answer(("o", POOL_A, "k"), b"", call(body), False))).args == ("x" * 5000,)
    del body
    await asyncio.sleep(0)  # the loop holds what woke this task until the task waits again
    gc.collect()
    assert gone() is None
    assert kept.nbytes > 5000


async def test_a_fault_of_our_own_is_not_kept():
    """Whether the call ran is not known."""
    kept = Kept()

    async def call() -> Document:
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await kept.answer(("o", POOL_A, "k"), b"", call(), False)
    assert len(kept) == 0
