"""What a call gives back, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.contract.handlers import RAISED, Mixed, NoException, Plain, Rude, Shy, double
from tests.contract.sites import check, failure

WRONG_CALLS = [
    ("nothing_like_it", (), {}, "has no operation 'nothing_like_it'"),
    ("grete", (), {}, "did you mean 'greet'?"),
    ("_private", (), {}, "has no operation '_private'"),
    ("attribute", (), {}, "has no operation 'attribute'"),
    ("setup", (), {}, "has no operation 'setup'"),
    ("open_session", (1,), {}, "has no operation 'open_session'"),
    ("__init__", (), {}, "has no operation '__init__'"),
    (double, (), {}, "functions go to pool.run()"),
    (["greet"], (), {}, "the first argument is the operation's name, not ['greet']"),
    ("greet", (), {}, "is missing 'name'"),
    ("greet", ("a", "b", "c"), {}, "takes 2 positional arguments but 3 were given"),
    ("greet", ("a",), {"volume": 11}, "unexpected keyword argument 'volume'"),
    ("greet", ("a", "b"), {"mark": "?"}, "multiple values for argument 'mark'"),
    ("greet", (), {"name": "a"}, "'name'"),
    ("say", ("word",), {}, "needs a session"),
    ("say", ("word",), {"session": 1}, "receives its session from the pool"),
    ("count", (3,), {}, "use pool.stream()"),
]


class Strange(float):
    """A number that cannot be reckoned with."""

    def __add__(self, _other):
        raise ArithmeticError

    __radd__ = __mul__ = __rmul__ = __add__


class StrangeInt(int):
    """Another."""

    def __mul__(self, _other):
        raise ArithmeticError

    __rmul__ = __mul__


async def test_each_caller_gets_its_own_answer(site):
    """A thousand answers over several workers all go where they belong."""
    async with site.pool(min_workers=2) as pool:
        tokens = [f"token-{number}" for number in range(1000)]
        assert await asyncio.gather(*(pool.call("echo", token) for token in tokens)) == tokens


async def test_arguments_arrive_as_they_were_given(any_site):
    """Positions, keywords, defaults and the constructor's own arguments mean what they mean in a plain call."""
    async with any_site.pool(Plain, args=("good day",)) as pool:
        assert await pool.call("greet", "Ann") == "good day Ann!"
        assert await pool.call("greet", "Ann", mark="?", loud=True) == "GOOD DAY ANN?"
    async with any_site.pool(Plain, kwargs={"greeting": "ciao"}) as pool:
        assert await pool.call("greet", "Ann", ".") == "ciao Ann."


async def test_caller_and_worker_share_no_object(site):
    """A list that the operation changes stays as it is at the caller, and the answer is a list of its own."""
    async with site.pool() as pool:
        given = [1]
        assert await pool.call("change", given) == [1, "changed"]
        assert given == [1]


async def test_arguments_are_as_they_were_at_the_call(site):
    """What the caller changes while its call waits changes nothing about the call."""
    async with site.pool() as pool:
        gate = site.gate(pool)
        busy = asyncio.create_task(pool.call("stay", gate.path))
        await gate.entered()
        array = np.zeros(100_000)
        waiting = asyncio.create_task(pool.call("echo", [array, (text := ["as it was"])]))
        await asyncio.sleep(0)
        array[:] = 1
        text[0] = "changed"
        gate.open()
        await busy
        arrived, said = await waiting
        assert said == ["as it was"]
        assert not arrived.any()


async def test_arrays_arrive_private_and_writable(site):
    """Large buffers leave the stream and come back as memory of the receiver's own."""
    async with site.pool() as pool:
        array = np.arange(200_000)
        back = await pool.call("echo", array)
        back[0] = -1
        assert array[0] == 0
        assert (back[1:] == array[1:]).all()
        large = b"y" * 300_000
        assert await pool.call("echo", large) == large


async def test_a_call_that_does_not_fit_is_refused_at_once(site):
    """Nothing is sent, the refusal says what is wrong, and it is counted."""
    async with site.pool() as pool:
        for operation, args, kwargs, told in WRONG_CALLS:
            error = check(await failure(pool.call(operation, *args, **kwargs)), "bad_argument", "not_started")
            assert told in str(error)
        facts, refused = pool.statistics(), len(WRONG_CALLS)
        assert (facts.submitted, facts.endings["rejected"], facts.codes["bad_argument"]) == (refused,) * 3


async def test_a_program_without_memory_for_an_argument_blames_no_argument(site):
    """It did not run, and may be made again."""

    class Greedy:
        def __reduce__(self):
            raise MemoryError

    async with site.pool() as pool:
        check(await failure(pool.call("echo", Greedy())), "out_of_memory", "not_started")


async def test_an_exception_comes_as_itself_with_the_workers_traceback(site):
    """Same type and arguments; the cause is text that shows the handler's own line."""
    async with site.pool() as pool:
        error = await failure(pool.call("fail", "what it said"))
        assert type(error) is ValueError
        assert error.args == ("what it said",)
        assert "raise ValueError(text)" in str(error.__cause__)
        assert pool.statistics().endings["failed"] == 1


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_what_raises_while_it_is_sent_costs_its_own_call(site, concurrency):
    """Whatever it raises, an interrupt's own exception too: the worker goes on, and a session's state is in it."""
    async with site.pool(Rude, durability="reply", max_workers=1, concurrency=concurrency) as pool:
        pid = await pool.call("pid")
        for name in RAISED:
            check(await failure(pool.call("give", name)), "result_not_serializable", "completed")
            items = pool.stream("items", name)
            assert await anext(items) == 1
            check(await failure(anext(items)), "result_not_serializable", "completed")
            session = await pool.session(name)
            assert await session.call("keep", name) == 1
        assert len(pool.statistics().sessions_pinned) == len(RAISED)
        assert await pool.call("pid") == pid


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_an_exception_that_cannot_be_asked_anything_costs_its_own_call(site, concurrency):
    """What class it is of is asked of its type, never of itself; the worker goes on."""
    async with site.pool(Rude, max_workers=1, concurrency=concurrency) as pool:
        pid = await pool.call("pid")
        told = check(await failure(pool.call("fail")), "handler_error", "completed")
        assert told.type_name == f"{Shy.__module__}.Shy"
        items = pool.stream("fail_late")
        assert await anext(items) == 1
        check(await failure(anext(items)), "handler_error", "completed")
        assert await pool.call("pid") == pid


@pytest.mark.parametrize(
    ("how", "type_name"),
    [
        ("no exception", f"{NoException.__module__}.NoException"),
        ("exit", "SystemExit"),
        ("stop", "StopIteration"),
        ("pool's", "millpond.errors.QueueFull"),
    ],
)
async def test_what_cannot_come_as_itself_is_a_handler_error(site, how, type_name):
    """Its type, text and traceback come as text, the work counts as completed, and the worker lives on."""
    async with site.pool() as pool:
        pids = pool.statistics().pids
        error = check(await failure(pool.call("fail_strangely", how)), "handler_error", "completed")
        assert error.type_name == type_name
        assert "fail_strangely" in error.traceback
        assert await pool.call("echo", 1) == 1
        assert pool.statistics().pids == pids


async def test_payloads_over_the_bound_are_refused_on_both_ways(site):
    """An argument is refused before it is sent, a result after the work was done."""
    async with site.pool(max_payload=100_000) as pool:
        check(await failure(pool.call("echo", b"x" * 100_001)), "payload_too_large", "not_started")
        check(await failure(pool.call("large", 100_001)), "payload_too_large", "completed")
        assert len(await pool.call("large", 90_000)) == 90_000


async def test_msgpack_carries_data_and_nothing_else(site):
    """Tuples arrive as lists, exceptions as text, and an object is refused."""
    async with site.pool(codec="msgpack") as pool:
        assert await pool.call("echo", {"a": (1, 2.5, None, b"bytes")}) == {"a": [1, 2.5, None, b"bytes"]}
        error = check(await failure(pool.call("fail", "what it said")), "handler_error", "completed")
        assert (error.type_name, error.text) == ("ValueError", "what it said")
        check(await failure(pool.call("echo", Plain())), "bad_argument", "not_started")
        check(await failure(pool.call("unsendable")), "result_not_serializable", "completed")


async def test_functions_run_by_name_and_by_value(any_site):
    """An importable function, a lambda, a closure and a builtin; a handler is not needed."""
    async with any_site.pool(None) as pool:
        offset = 40
        assert await pool.run(double, 4) == 8
        assert await pool.run(lambda number: number + offset, 2) == 42
        assert await pool.run(sorted, [2, 1], reverse=True) == [2, 1]
        assert type(await failure(pool.run(lambda: 1 / 0))) is ZeroDivisionError
        check(await failure(pool.run("double")), "bad_argument", "not_started")
        error = check(await failure(pool.call("echo")), "bad_argument", "not_started")
        assert "no operations" in str(error)


async def test_async_operations_answer_and_fail_like_plain_ones(site):
    """They run as tasks in the worker; errors keep their type."""
    async with site.pool(Mixed) as pool:
        gate = site.gate(pool, "astay")
        gate.open()
        assert await pool.call("astay", gate.path, "token") == "token"
        assert type(await failure(pool.call("afail", "no"))) is ValueError
        assert await pool.call("echo", 1) == 1


async def test_options_are_checked_and_never_mixed_with_arguments(site):
    """A wrong option is the program's error and is said at once."""
    async with site.pool() as pool:
        with pytest.raises(TypeError, match="'deadlin'; did you mean 'deadline'"):
            pool.options(deadlin=1)
        with pytest.raises(TypeError, match="'timeout'; did you mean 'deadline'"):
            pool.options(timeout=1)
        for wrong in ({"deadline": -1}, {"priority": 1.5}, {"on_cancel": "ignore"}, {"idempotent": 1}, {"session": 7}):
            with pytest.raises(ValueError, match="cannot be"):
                pool.options(**wrong)
        strange = {"deadline": Strange(9), "priority": StrangeInt(1)}
        assert await pool.options(**strange).call("greet", "Ann") == "hello Ann!"
        for beyond in ({"deadline": 1.1e8}, {"deadline": 1e400}, {"priority": 2**31 + 1}, {"priority": -(10**400)}):
            with pytest.raises(ValueError, match=r"it is .* to "):
                pool.options(**beyond)
        assert await pool.options(deadline=1e8, priority=2**31).call("echo", 1) == 1
        assert await pool.options(priority=-(2**31)).call("echo", 1) == 1
        hurried = pool.options(deadline=30, idempotent=True).options(priority=2)
        assert await hurried.call("echo", 1) == 1
        check(await failure(hurried.call("greet", "a", deadline=1)), "bad_argument", "not_started")
