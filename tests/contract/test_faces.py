"""What a program sees of a pool is the same whether the pool is its own or a served one, awaited or blocking."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import millpond
from millpond.facts import SessionFacts, Statistics
from tests.contract.faces import told
from tests.contract.handlers import NoException, Plain, double
from tests.contract.sites import BEGUN_S, check, failure, read, until
from tests.docs.test_mentions import INNER

WRONG_CALLS = [
    ("nothing_like_it", (), {}, "has no operation 'nothing_like_it'"),
    ("grete", (), {}, "did you mean 'greet'?"),
    ("_private", (), {}, "has no operation '_private'"),
    (double, (), {}, "functions go to pool.run()"),
    (["greet"], (), {}, "the first argument is the operation's name, not ['greet']"),
    ("x" * 257, (), {}, "1 to 256 bytes"),
    ("greet", (), {}, "name"),
    ("greet", ("a", "b", "c"), {}, "takes 2"),
    ("greet", ("a",), {"volume": 11}, "volume"),
    ("greet", ("a", "b"), {"mark": "?"}, "multiple values for argument 'mark'"),
    ("say", ("word",), {}, "needs a session"),
    ("count", (3,), {}, "use pool.stream()"),
    ("echo", (Plain(),), {}, "cannot be sent"),
]


async def test_arguments_arrive_as_they_were_given(face):
    """Positions, keywords, defaults, and data of every kind."""
    async with face.open(args=("good day",)) as at:
        assert await at.verbs.call("greet", "Ann") == "good day Ann!"
        assert await at.verbs.call("greet", "Ann", mark="?", loud=True) == "GOOD DAY ANN?"
        value = {"text": "ü\0", "bytes": b"\0\xff", "numbers": [1, -(2**63), 2**64 - 1, 2.5, None, True]}
        assert await at.verbs.call("echo", value) == value
        assert await at.verbs.call("echo", (1, (2,))) == [1, [2]]
        assert await at.verbs.call("kind", b"") == "bytes"
        large = b"y" * 3_000_000
        assert await at.verbs.call("echo", large) == large


async def test_each_caller_gets_its_own_answer(face):
    """However many there are at once."""
    async with face.open() as at:
        tokens = [f"token-{number}" for number in range(150)]
        assert await asyncio.gather(*(at.verbs.call("echo", token) for token in tokens)) == tokens


async def test_a_call_that_does_not_fit_is_refused(face):
    """With the same code, before it started, and it says what is wrong."""
    async with face.open() as at:
        for operation, args, kwargs, told in WRONG_CALLS:
            error = check(await failure(at.verbs.call(operation, *args, **kwargs)), "bad_argument", "not_started")
            assert told in str(error)
        assert await at.verbs.call("echo", 1) == 1


async def test_an_exception_of_the_handler_is_a_handler_error(face):
    """Its type and text; the work counts as completed."""
    async with face.open() as at:
        error = check(await failure(at.verbs.call("fail", "what it said")), "handler_error", "completed")
        assert (error.type_name, error.text) == ("ValueError", "what it said")
        assert "raise ValueError(text)" in error.traceback
        for how, name in [("exit", "SystemExit"), ("no exception", f"{NoException.__module__}.NoException")]:
            error = check(await failure(at.verbs.call("fail_strangely", how)), "handler_error", "completed")
            assert error.type_name == name
        assert await at.verbs.call("echo", 1) == 1


async def test_a_result_that_cannot_be_carried_says_so(face):
    """No data, or too large; an argument that is too large is refused before it is sent."""
    async with face.open(max_payload=100_000) as at:
        check(await failure(at.verbs.call("unsendable")), "result_not_serializable", "completed")
        check(await failure(at.verbs.call("large", 100_001)), "payload_too_large", "completed")
        check(await failure(at.verbs.call("echo", b"x" * 100_001)), "payload_too_large", "not_started")
        assert len(await at.verbs.call("large", 90_000)) == 90_000


async def test_a_deadline_ends_a_call_that_runs(face):
    """Whether it ran is unknown, and its worker serves others."""
    async with face.open() as at:
        gate = at.gate()
        error = check(
            await failure(at.verbs.options(deadline=BEGUN_S).call("stay", gate.path)), "deadline_exceeded", "unknown"
        )
        assert isinstance(error, TimeoutError)
        assert await at.verbs.call("echo", 1) == 1
        check(await failure(at.verbs.options(deadline=0).call("echo", 1)), "deadline_exceeded", "not_started")
        assert await at.verbs.options(deadline=None).call("echo", 1) == 1


async def test_options_are_checked_where_they_are_given(face):
    """With the same words."""
    async with face.open() as at:
        with pytest.raises(TypeError, match="'timeout'; did you mean 'deadline'"):
            at.verbs.options(timeout=1)
        for wrong in ({"deadline": -1}, {"priority": 1.5}, {"on_cancel": "ignore"}, {"idempotent": 1}, {"session": 7}):
            with pytest.raises(ValueError, match="cannot be"):
                at.verbs.options(**wrong)
        hurried = at.verbs.options(deadline=30, idempotent=True).options(priority=-(2**31), on_cancel="abandon")
        assert await hurried.call("echo", 1) == 1
        check(await failure(hurried.call("greet", "a", deadline=1)), "bad_argument", "not_started")


async def test_functions_are_told_apart_from_operations(face):
    """A pool of one's own runs them, a served one says why it does not."""
    async with face.open() as at:
        if face.is_served:
            assert "HTTP" in str(check(await failure(at.verbs.run(double, 4)), "bad_argument", "not_started"))
        else:
            assert await at.verbs.run(double, 4) == 8


async def test_a_worker_that_dies_costs_its_own_call(face):
    """The error has the signal, and the next call is served."""
    async with face.open() as at:
        gate = at.gate()
        running = asyncio.create_task(at.verbs.call("stay", gate.path))
        await gate.entered()
        at.kill()
        assert check(await failure(running), "worker_died", "unknown").signal == 9
        assert await at.verbs.call("echo", 1) == 1


async def test_a_full_queue_refuses(face):
    """At once, and says when to come again."""
    async with face.open(max_queued=0) as at:
        gate = at.gate()
        running = asyncio.create_task(at.verbs.call("stay", gate.path, "token"))
        await gate.entered()
        assert check(await failure(at.verbs.call("echo", 1)), "queue_full", "not_started").retry_after is not None
        gate.open()
        assert await running == "token"


async def test_map_keeps_the_order_and_fails_at_its_place(face):
    """Results before the failure come."""
    async with face.open() as at:
        assert [result async for result in at.verbs.map("echo", range(300))] == list(range(300))
        assert [result async for result in at.verbs.map("echo", [])] == []
        seen = []
        error = await failure(read(at.verbs.map("large", [1, 2, "three", 4]), seen))
        assert error.code in ("handler_error", "bad_argument")
        assert seen == [b"x", b"xx"]
        assert await at.verbs.call("echo", 1) == 1


async def test_streams_give_their_items_and_their_errors(face):
    """In order, to the end or to the failure."""
    async with face.open() as at:
        assert [item async for item in at.verbs.stream("count", 100)] == list(range(100))
        assert [item async for item in at.verbs.stream("count", 0)] == []
        seen = []
        error = check(await failure(read(at.verbs.stream("count_and_fail", 30), seen)), "handler_error", "completed")
        assert (seen, error.text) == (list(range(30)), "in the middle")
        for operation, args in [("echo", (1,)), ("count", ()), ("no_such", ()), (7, ())]:
            refused = await failure(anext(at.verbs.stream(operation, *args)))
            check(refused, "bad_argument", "not_started")


async def test_leaving_a_stream_early_closes_its_generator(face):
    """Its `finally` runs in the worker, which then serves others."""
    async with face.open() as at:
        path = at.path()
        async with at.verbs.stream("count_for_ever", path) as stream:
            assert await anext(stream) == 0
            assert await anext(stream) == 1
        await until(lambda: Path(path + ".closed").exists())
        assert await at.verbs.call("echo", 1) == 1


async def test_a_deadline_ends_a_stream(face):
    """In the middle, after the items that came."""
    async with face.open() as at:
        path, seen = at.path(), []
        stream = at.verbs.options(deadline=BEGUN_S).stream("count_for_ever", path)
        check(await failure(read(stream, seen, pause=0.002)), "deadline_exceeded", "unknown")
        assert seen == list(range(len(seen)))
        await until(lambda: Path(path + ".closed").exists())
        assert await at.verbs.call("echo", 1) == 1


async def test_a_session_keeps_its_state(face):
    """Apart from others, for every handle and for options; its first opening counts one."""
    async with face.open() as at:
        async with at.verbs.session("ann") as ann, at.verbs.session("bob/ü") as bob:
            assert await ann.call("say", "a") == ["a"]
            assert await bob.call("say", "b") == ["b"]
            assert await ann.call("say", "c") == ["a", "c"]
            assert await bob.call("about") == ["bob/ü", 1, False]
        again = await at.verbs.session("ann")
        assert await again.call("say", "d") == ["a", "c", "d"]
        assert (again.id, again.generation, again.state) == ("ann", 1, "open")
        assert await again.options(deadline=30).call("say", "e") == ["a", "c", "d", "e"]
        assert await at.verbs.options(session="ann").call("say", "f") == ["a", "c", "d", "e", "f"]
        check(await failure(at.verbs.options(session="nobody").call("say", "a")), "session_lost", "not_started")


async def test_a_session_that_is_lost_says_so_until_it_is_reopened(face):
    """To calls, to options and to who opens it; then it is one generation higher."""
    async with face.open() as at, at.verbs.session("ann") as ann:
        await ann.call("say", "a")
        at.kill()
        await until(lambda: at.pool.driver.view.starts > 1)
        check(await failure(ann.call("say", "b")), "session_lost", "not_started")
        check(await failure(opened(at.verbs.session("ann"))), "session_lost", "not_started")
        check(await failure(at.verbs.options(session="ann").call("say", "b")), "session_lost", "not_started")
        new = await at.verbs.session("ann", reopen=True)
        assert new.generation == 2
        assert await new.call("say", "new") == ["new"]
        check(await failure(ann.call("say", "old")), "session_lost", "not_started")
        assert await new.call("about") == ["ann", 2, False]


async def opened(handle):
    return await handle


async def test_a_session_is_checked_where_it_is_named(face):
    """With the same words."""
    async with face.open() as at:
        for wrong in ("", 7, None, "x" * 257):
            with pytest.raises(TypeError if wrong in (7, None) else ValueError, match="session id"):
                await at.verbs.session(wrong)
        with pytest.raises(ValueError, match="affinity must be one of"):
            await at.verbs.session("ann", affinity="loose")
        busy = await at.verbs.session("ann", affinity="fail_fast")
        await busy.call("say", "a")
        gate = at.gate()
        staying = asyncio.create_task(at.verbs.call("stay", gate.path))
        await gate.entered()
        check(await failure(busy.call("say", "b")), "session_busy", "not_started")
        gate.open()
        await staying


async def test_after_closing_every_call_is_refused(face):
    """Closing again does no harm."""
    async with face.open() as at:
        assert await at.verbs.call("echo", 1) == 1
        await at.verbs.close()
        await at.verbs.close()
        check(await failure(at.verbs.call("echo", 1)), "pool_closed", "not_started")


async def test_cancelling_stops_the_work(face):
    """The worker is free for others, whose calls would wait otherwise."""
    if face.is_blocking:
        pytest.skip("a thread that waits is not cancelled; an interrupt of it is tried elsewhere")
    async with face.open() as at:
        gate = at.gate()
        running = asyncio.create_task(at.verbs.call("stay", gate.path))
        await gate.entered()
        running.cancel()
        assert isinstance(await failure(running), asyncio.CancelledError)
        assert await at.verbs.call("echo", 1) == 1
        await until(lambda: at.pool.statistics().endings["cancelled"] == 1)


async def test_a_session_that_was_closed_is_gone(face):
    """Its hook ran, closing again is silent, using it is refused; the id begins anew."""
    async with face.open() as at:
        path = at.path()
        async with at.verbs.session("ann") as ann:
            await ann.call("remember_path", path)
            await ann.close()
            await ann.close()
            assert Path(path + ".ran").read_text() == "closed ann\n"
            assert ann.state == "closed"
            check(await failure(ann.call("say", "late")), "session_lost", "not_started")
        async with at.verbs.session("ann") as new:
            assert await new.call("say", "new") == ["new"]


async def test_the_pool_tells_of_itself(face):
    """The same records: counts, states, percentiles, sessions."""
    async with face.open() as at:
        await at.verbs.call("echo", 1)
        await at.verbs.session("ann")
        await at.verbs.session("bob")
        seen = await told(at.verbs.statistics())
        assert type(seen) is Statistics
        assert (seen.name, seen.state, seen.is_ready) == ("default", "ready", True)
        assert (seen.submitted, seen.endings["ok"], seen.sessions_open) == (1, 1, 2)
        assert set(seen.pids) == {1}
        listed = await told(at.verbs.sessions(prefix="b", limit=5))
        assert [(one.id, one.state, type(one)) for one in listed] == [("bob", "open", SessionFacts)]
        assert [one.id for one in await told(at.verbs.sessions())] == ["ann", "bob"]
        with pytest.raises(ValueError, match="state must be one of"):
            await told(at.verbs.sessions(state="odd"))


async def test_the_pool_is_administered(face):
    """Size and settings change, workers are replaced, and draining ends what it takes."""
    async with face.open(max_workers=2) as at:
        await at.verbs.resize(min_workers=2, max_workers=2)
        assert len((await told(at.verbs.statistics())).pids) == 2
        assert await at.verbs.configure(spare_workers=0, cancel_grace=0.5) == {"cancel_grace": 0.5}
        with pytest.raises(TypeError, match="did you mean 'cancel_grace'"):
            await at.verbs.configure(cancel_grac=1)
        with pytest.raises(ValueError, match="cannot change while the pool runs"):
            await at.verbs.configure(concurrency=2)
        with pytest.raises(ValueError, match="cancel_grace must be from 0"):
            await at.verbs.configure(cancel_grace=-1)
        with pytest.raises(ValueError, match=r"min_workers \(9\) is above max_workers"):
            await at.verbs.resize(min_workers=9)
        before = set((await told(at.verbs.statistics())).pids)
        await at.verbs.replace_workers()
        assert not before & set((await told(at.verbs.statistics())).pids)
        await at.verbs.drain()
        check(await failure(at.verbs.call("echo", 1)), "pool_closing", "not_started")


def test_both_kinds_of_faces_have_the_same_verbs():
    """With the same parameters, but for what the page on clients says."""
    from inspect import signature

    absent = {"logs", "warm", "warmer", "telemetry", "metrics", "alerts", "optimizer", "settings", "trace_source"}
    absent |= {"calls", "call_facts", "cancel_call", "stack", "workers", "gone_workers"}
    encoded = {"call_document", "begin_document", "stream_documents", "operations"}
    own_alone = {"session_facts", "run_id", "pool", "thread"}
    for own, served in [(millpond.Pool, millpond.Client), (millpond.SyncPool, millpond.SyncClient)]:
        verbs = {name for name in dir(own) if not name.startswith("_")} - absent - encoded - own_alone - INNER
        assert verbs <= set(dir(served)), verbs - set(dir(served))
        for name in verbs:
            mine, theirs = getattr(own, name), getattr(served, name)
            if callable(mine):
                assert list(signature(mine).parameters.values()) == list(signature(theirs).parameters.values()), name
