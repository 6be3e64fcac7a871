"""The local engine with its real worker program: starts that fail, exceptions, streams, records, heartbeat."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from millpond.errors import ResultNotSerializable
from tests.processes.engine_rig import Session, engine_for, on_a_loop, until

REAL = "millpond.worker.main"


class Homebody:
    """A value that cannot be rebuilt in another process."""

    def __reduce__(self) -> Any:
        return stay_home, (os.getpid(),)


def stay_home(pid: int) -> Homebody:
    """Fail away from home."""
    if os.getpid() != pid:
        raise LookupError("not at home")
    return Homebody()


class Reader:
    """Does what the tests ask."""

    def echo(self, value: Any) -> Any:
        return value

    def note(self) -> None:
        logging.getLogger("reader").warning("a note")

    def count(self, until: int) -> Iterator[int]:
        yield from range(until)

    def homebodies(self) -> Iterator[Any]:
        yield 1
        while True:
            yield Homebody()

    def doze(self) -> None:
        time.sleep(60)

    def say(self, text: str, *, session: Any) -> Any:
        session.state["said"] = [*session.state.get("said", []), text]
        return session.state["said"]


@on_a_loop
async def test_a_stream_goes_on_as_credit_is_given() -> None:
    """No more items than the window come without it."""
    async with engine_for(Reader, program=REAL, stream_window=4) as rig:
        worker = await rig.start()
        call = rig.call("count", 10)
        rig.engine.send(worker, call)
        await rig.events.wait("item", count=4)
        rig.engine.ping(worker)
        assert [fact[3] for fact in rig.events.of("item")] == [0, 1, 2, 3]
        rig.engine.credit(worker, call.id, 8)
        assert await rig.answer(call) == ("ok", None)
        assert [fact[3] for fact in rig.events.of("item")] == list(range(10))


@on_a_loop
async def test_an_item_the_parent_cannot_decode_ends_its_stream_only() -> None:
    """Its caller is told once, the generator is closed, and the worker serves on."""
    async with engine_for(Reader, program=REAL, stream_window=4) as rig:
        worker = await rig.start()
        call = rig.call("homebodies")
        rig.engine.send(worker, call)
        kind, error = await rig.answer(call)
        assert (kind, type(error)) == ("failed", ResultNotSerializable)
        assert await rig.ask(worker, "echo", 1) == ("ok", 1)
        assert [fact[2] for fact in rig.events.of("answered")].count(call.id) == 1


@on_a_loop
async def test_an_interrupted_call_comes_back() -> None:
    """The signal reaches the operation, and the worker is the same afterwards."""
    async with engine_for(Reader, program=REAL) as rig:
        worker = await rig.start()
        call = rig.call("doze")
        rig.engine.send(worker, call)
        await until(lambda: rig.has_begun(worker, call))
        while not [fact for fact in rig.events.of("answered") if fact[2] == call.id]:
            rig.engine.interrupt(worker, call)
            await rig.events.news(0.1)
        assert await rig.answer(call) == ("interrupted", None)
        assert await rig.ask(worker, "echo", 1) == ("ok", 1)


@on_a_loop
async def test_sessions_records_and_heartbeat_pass_through() -> None:
    """State stays in the worker, its logging arrives with the call, and its heart beats."""
    async with engine_for(Reader, program=REAL) as rig:
        worker, session = await rig.start(), Session("a", 1)
        await rig.ask(worker, "say", "one", session=session)
        assert await rig.ask(worker, "say", "two", session=session) == ("ok", ["one", "two"])
        call = rig.call("note")
        rig.engine.send(worker, call)
        logged = await rig.events.wait("logged", worker)
        assert logged[2:] == (call.id, logging.WARNING, "reader", "a note")
        await until(lambda: time.monotonic() - rig.engine.heartbeat(worker) < 5)


@on_a_loop
async def test_a_model_fitted_with_openmp_before_the_fork_predicts_after_it() -> None:
    """The warden fits with one thread; the workers may then use more, and do not hang."""
    pytest.importorskip("sklearn")
    async with engine_for("tests.processes.engine_openmp:Fitted", program=REAL, threads_per_worker=2) as rig:
        for worker in [await rig.start(), await rig.start()]:
            assert await rig.ask(worker, "predict") == ("ok", (worker.pid, 10_000))
