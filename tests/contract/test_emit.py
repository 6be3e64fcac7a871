"""What handlers say of their own reaches the parent's listeners, with worker and call."""

from __future__ import annotations

import pytest

import millpond
from millpond.events import UserEvent
from millpond.testing import EventRecorder
from tests.contract.sites import failure
from tests.contract.talkers import AsyncTalker, Talker, tell_from_function


async def test_what_a_handler_says_arrives_with_worker_and_call(site):
    """Name, measurements and metadata as they were given; who said it is added."""
    pool = site.pool(Talker)
    with EventRecorder(pool) as events:
        async with pool:
            assert await pool.call("tell", 12) is True
            (said,) = await events.wait("model.tokens")
            (checkout,) = events.of("worker.checkout")
            pids = dict(pool.statistics().pids)
    assert said == UserEvent(
        "model.tokens",
        checkout.worker,
        pids[checkout.worker],
        checkout.call,
        "tell",
        {"tokens": 12},
        {"model": "small", "is_cached": False},
    )


async def test_it_is_heard_before_the_answer(site):
    """In the order in which the worker said both."""
    pool = site.pool(Talker)
    with EventRecorder(pool) as events:
        async with pool:
            await pool.call("tell", 1)
            names = events.names()
    assert names.index("model.tokens") < names.index("worker.checkin") < names.index("call.stop")


async def test_hooks_and_functions_may_speak_as_well(any_site):
    """Outside a call there is no call to name."""
    pool = any_site.pool(Talker)
    with EventRecorder(pool) as events:
        async with pool:
            assert await pool.run(tell_from_function, "script.step") is True
            (step,) = await events.wait("script.step")
            (setup,) = await events.wait("talker.setup")
    assert (step.operation, step.measurements) == ("tests.contract.talkers.tell_from_function", {"of": 1.5})
    assert (setup.call, setup.operation) == (None, None)


async def test_async_operations_name_their_own_call(site):
    """Several of them run in one worker at once."""
    pool = site.pool(AsyncTalker, concurrency=4)
    with EventRecorder(pool) as events:
        async with pool:
            await pool.call("atell", 3)
            await pool.call("tell", 4)
            said = await events.wait("model.tokens", count=2)
            calls = [event.call for event in events.of("call.start")]
    assert [(event.call, event.operation, event.measurements["tokens"]) for event in said] == [
        (calls[0], "atell", 3),
        (calls[1], "tell", 4),
    ]


async def test_too_much_talk_is_suppressed_and_counted(site):
    """A second's worth goes through at once; the next that does tells how many did not."""
    pool = site.pool(Talker, emit_rate=5.0)
    with EventRecorder(pool) as events:
        async with pool:
            went = await pool.call("tell_often", 50)
            through = sum(went)
            assert 3 <= through < 50  # `setup` has used one of five
            await events.wait("model.step", count=through)
            while not await pool.call("tell", 0):  # until the bucket has one again
                pass
            (told,) = await events.wait("model.tokens")
    assert told.suppressed >= 50 - sum(went)
    assert sum(event.suppressed for event in events.of("model.step")) == 0


async def test_a_rate_of_nothing_lets_nothing_through(site):
    """A pool that wants no events of its handlers gets none."""
    pool = site.pool(Talker, emit_rate=0.0)
    with EventRecorder(pool) as events:
        async with pool:
            assert await pool.call("tell", 1) is False
    assert not events.of("model.tokens")


@pytest.mark.parametrize(
    ("how", "kind"),
    [("name", ValueError), ("reserved", ValueError), ("measurement", TypeError), ("metadata", TypeError)],
)
async def test_what_cannot_be_said_raises_where_it_is_said(site, how, kind):
    """A bad name or value is the handler's mistake."""
    async with site.pool(Talker) as pool:
        assert type(await failure(pool.call("tell_wrongly", how))) is kind


def test_outside_a_worker_nothing_happens():
    """A handler's code may be used without a pool."""
    assert millpond.emit("model.tokens", {"tokens": 1}) is False
    assert millpond.trace_context() == {}
