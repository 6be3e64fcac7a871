"""The loop of tasks: async operations, several calls at once, and the socket read all the while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time

import pytest

from millpond.errors import HandlerError
from millpond.wire import frames
from millpond.worker.log_records import Forwarder

WAIT_S = 60.0
LOGGER = logging.getLogger("millpond.test.parallel")


class Async:
    """Async operations beside plain ones."""

    def __init__(self):
        self.events = []
        self.gate = None
        self.at_once = self.most_at_once = 0

    async def setup(self):
        self.gate = asyncio.Event()
        self.events.append("setup")

    async def teardown(self):
        self.events.append("teardown")

    async def echo(self, value):
        await asyncio.sleep(0)
        return value

    async def wait(self):
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
            self.events.append("waited")
        return "waited"

    async def swallow(self):
        with contextlib.suppress(asyncio.CancelledError):
            await self.gate.wait()
        return "an answer all the same"

    async def slow_clean_up(self):
        try:
            await self.gate.wait()
        finally:
            await asyncio.sleep(0.05)
            self.events.append("cleaned up")

    async def open_gate(self):
        self.gate.set()

    async def fail(self, kind, *args):
        raise kind(*args)

    async def cancel_all(self):
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.sleep(1)

    async def log(self):
        await asyncio.create_task(self._log_in_child())

    async def _log_in_child(self):
        LOGGER.warning("from a child task")

    async def count(self, to):
        try:
            for number in range(to):
                await asyncio.sleep(0)
                yield number
        finally:
            self.events.append("closed")

    async def wait_between(self):
        try:
            yield 1
            await self.gate.wait()
            yield 2
        finally:
            self.events.append("closed")

    def plain(self, value):
        return [value, threading.current_thread() is threading.main_thread()]

    def plain_stream(self, to):
        yield from range(to)

    def log_of_events(self):
        return [*self.events, self.most_at_once]

    async def tell(self, *, session):
        return [session.id, session.state, session.interrupted]

    async def wait_in(self, *, session):
        await self.gate.wait()


class AsyncHooks:
    """Async session hooks around a plain operation."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.has_waited = False

    async def open_session(self, session):
        if session.id == "waits once" and not self.has_waited:
            self.has_waited = True
            await self.gate.wait()
        await asyncio.sleep(0)
        session.state["opened"] = True

    async def close_session(self, session):
        await asyncio.sleep(0)

    async def export_session(self, session):
        await asyncio.sleep(0)
        return ["exported"]

    def tell(self, *, session):
        return session.state


class Threaded:
    """Plain operations that meet: each needs the other to go on."""

    def __init__(self):
        self.barrier = threading.Barrier(2, timeout=WAIT_S)
        self.gate = threading.Event()

    def meet(self):
        self.barrier.wait()
        return threading.get_ident()

    def wait(self):
        assert self.gate.wait(WAIT_S)
        return "waited"

    def open_gate(self):
        self.gate.set()

    def exit(self):
        raise SystemExit(3)

    def count(self, to):
        for number in range(to):
            if number > 100:
                time.sleep(0.001)
            yield number

    def tell(self, *, session):
        return session.id

    async def ask(self):
        return "asked"


def once_running(parent, act):
    """Act when what was sent so far has begun: the second PONG comes a turn of the loop after the first."""
    pongs = []

    def count(answer):
        if answer.kind == frames.PONG:
            pongs.append(answer)
            if len(pongs) == 2:
                act()
            else:
                parent.frame(frames.PING)

    parent.on_answer = count
    parent.frame(frames.PING)


def instance_of(parent):
    return parent.runner.operations[1].function.__self__


def test_async_operations_run_side_by_side(parent_of):
    """Three wait for what the fourth does."""
    parent = parent_of(Async, concurrency=4)
    waiting = [parent.call("wait") for _ in range(3)]
    opened, events = parent.call("open_gate"), parent.call("log_of_events")
    parent.serve()
    assert [parent.value(call) for call in waiting] == ["waited"] * 3
    assert parent.value(opened) is None
    assert parent.value(events)[0] == "setup"
    assert instance_of(parent).most_at_once == 3


def test_never_more_than_concurrency_at_once(parent_of):
    """The others wait unclaimed: they can still be withdrawn."""
    parent = parent_of(Async, concurrency=2)
    calls = [parent.call("wait") for _ in range(5)]
    withdrawn = parent.call("echo", 1)
    plan = []

    def go_on():
        plan.append([parent.logbook.is_claimed(call % 256) for call in calls])
        assert parent.logbook.withdraw(withdrawn % 256)
        for call in calls:
            parent.frame(frames.CANCEL, call_id=call)
        parent.frame(frames.BYE)

    once_running(parent, go_on)
    parent.serve(goodbye=False)
    assert plan == [[True, True, False, False, False]]
    kinds = [parent.answer(call).kind for call in calls]
    assert kinds[:2] == [frames.INTERRUPTED] * 2
    assert set(kinds[2:]) <= {frames.INTERRUPTED, frames.SKIPPED}
    assert parent.answer(withdrawn).kind == frames.SKIPPED
    assert instance_of(parent).most_at_once == 2


@pytest.mark.parametrize("concurrency", [1, 3])
def test_cancel_stops_a_task(parent_of, concurrency):
    """The operation sees CancelledError, the answer says interrupted."""
    parent = parent_of(Async, concurrency=concurrency)
    call, after = parent.call("wait"), parent.call("echo", 1)
    once_running(parent, lambda: (parent.frame(frames.CANCEL, call_id=call), parent.frame(frames.BYE)))
    parent.serve(goodbye=False)
    assert parent.answer(call).kind == frames.INTERRUPTED
    assert parent.value(after) == 1
    assert "waited" in instance_of(parent).events


def test_a_cancel_that_is_repeated_spares_the_clean_up(parent_of):
    """The parent nags; a `finally` that awaits is cancelled once only."""
    parent = parent_of(Async)
    call = parent.call("slow_clean_up")

    def nag():
        for _ in range(3):
            parent.frame(frames.CANCEL, call_id=call)
        parent.frame(frames.BYE)

    once_running(parent, nag)
    parent.serve(goodbye=False)
    assert parent.answer(call).kind == frames.INTERRUPTED
    assert "cleaned up" in instance_of(parent).events


def test_a_swallowed_cancel_is_answered_as_it_ended(parent_of):
    """The parent decides what an answer after it is worth."""
    parent = parent_of(Async)
    call = parent.call("swallow")
    once_running(parent, lambda: (parent.frame(frames.CANCEL, call_id=call), parent.frame(frames.BYE)))
    parent.serve(goodbye=False)
    assert parent.value(call) == "an answer all the same"


def test_a_cancel_before_the_first_step_skips_the_call(parent_of):
    """Read together with its call: nothing has run, whether it waits or has a task already."""
    parent = parent_of(Async)
    first, waiting = parent.call("wait"), parent.call("wait")
    for call in (first, waiting):
        parent.frame(frames.CANCEL, call_id=call)
    parent.serve()
    assert parent.answer(waiting).kind == frames.SKIPPED
    assert parent.answer(first).kind == frames.SKIPPED
    assert instance_of(parent).most_at_once == 0


def test_cancelled_error_of_the_handlers_own_is_its_exception(parent_of):
    """Nobody asked for it; also if it cancels every task it finds, those that wait for it included."""
    parent = parent_of(Async, concurrency=3)
    calls = [parent.call("fail", asyncio.CancelledError), parent.call("wait"), parent.call("cancel_all")]
    after = parent.call("echo", 1)
    parent.serve()
    assert all(isinstance(parent.answer(call).value, HandlerError) for call in calls)
    assert parent.value(after) == 1


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_whatever_an_async_operation_raises_costs_its_own_call(parent_of, raised):
    """An event loop would stop for some of these."""
    parent = parent_of(Async)
    failed, after = parent.call("fail", raised), parent.call("echo", 1)
    parent.serve()
    assert parent.answer(failed).kind == frames.RAISED
    assert parent.value(after) == 1


def test_plain_operations_run_in_the_main_thread_if_one_call_runs_at_a_time(parent_of):
    """So that a signal can interrupt them; above that they run in threads."""
    alone, together = parent_of(Async), parent_of(Async, concurrency=2)
    calls = [(alone, alone.call("plain", 1)), (together, together.call("plain", 1))]
    alone.serve()
    together.serve()
    assert [parent.value(call) for parent, call in calls] == [[1, True], [1, False]]


def test_async_streams_give_their_items_within_their_credit(parent_of):
    """Two of them interleave, and a plain one beside them."""
    parent = parent_of(Async, concurrency=3)
    calls = [parent.call("count", 50), parent.call("count", 30), parent.call("plain_stream", 40)]

    def grant(answer):
        if answer.kind == frames.ITEM:
            parent.frame(frames.CREDIT, call_id=answer.call_id, amount=1)

    parent.on_answer = grant
    parent.serve()
    assert [parent.items(call) for call in calls] == [list(range(n)) for n in (50, 30, 40)]
    assert [parent.value(call) for call in calls] == [None, None, None]


@pytest.mark.parametrize("operation", [("count", 1000), ("wait_between",)])
def test_cancel_closes_an_async_stream(parent_of, operation):
    """Whether it waits for its reader or for something of its own."""
    parent = parent_of(Async)
    call = parent.call(*operation)

    def give_up(answer):
        if answer.kind == frames.ITEM and answer.value in (1, 3):
            parent.frame(frames.CANCEL, call_id=call)
            parent.frame(frames.BYE)

    parent.on_answer = give_up
    parent.serve(goodbye=False)
    assert parent.answer(call).kind == frames.INTERRUPTED
    assert instance_of(parent).events[-1] == "closed"


@pytest.mark.parametrize("concurrency", [1, 2])
def test_cancel_stops_a_plain_stream(parent_of, concurrency):
    """Between two items, in the main thread or in another."""
    parent = parent_of(Async, concurrency=concurrency)
    call = parent.call("plain_stream", 1000)

    def give_up(answer):
        if answer.kind == frames.ITEM and answer.value == 3:
            parent.frame(frames.CANCEL, call_id=call)
            parent.frame(frames.BYE)

    parent.on_answer = give_up
    parent.serve(goodbye=False)
    assert parent.items(call) == [0, 1, 2, 3]
    assert parent.answer(call).kind == frames.INTERRUPTED


def test_plain_operations_run_side_by_side_in_threads(parent_of):
    """Two that need each other both end, and one that exits its thread costs its own call."""
    parent = parent_of(Threaded, concurrency=2)
    calls = [parent.call("meet"), parent.call("meet")]
    exited, after = parent.call("exit"), parent.call("ask")
    parent.serve()
    assert len({parent.value(call) for call in calls}) == 2
    assert isinstance(parent.answer(exited).value, HandlerError)
    assert parent.value(after) == "asked"


def test_cancel_is_ignored_by_a_running_thread(parent_of):
    """Nothing interrupts a thread: the operation ends as it does, the parent decides."""
    parent = parent_of(Threaded, concurrency=2)
    call = parent.call("wait")

    def give_up():
        parent.frame(frames.CANCEL, call_id=call)
        parent.call("open_gate")
        parent.frame(frames.BYE)

    once_running(parent, give_up)
    parent.serve(goodbye=False)
    assert parent.value(call) == "waited"


def test_streams_in_threads_give_their_items_within_their_credit(parent_of):
    """The credit comes from the main thread, the items from others."""
    parent = parent_of(Threaded, concurrency=3)
    calls = [parent.call("count", 120) for _ in range(3)]

    def grant(answer):
        if answer.kind == frames.ITEM:
            parent.frame(frames.CREDIT, call_id=answer.call_id, amount=1)

    parent.on_answer = grant
    parent.serve()
    assert all(parent.items(call) == list(range(120)) for call in calls)


def test_many_calls_through_few_threads(parent_of):
    """Each gets its own answer."""
    parent = parent_of(Threaded, concurrency=4)
    for number in range(1, 201):
        parent.open_session(number, f"session {number}")
    calls = [parent.call("tell", session=number) for number in range(1, 201)]
    parent.serve()
    assert [parent.value(call) for call in calls] == [f"session {number}" for number in range(1, 201)]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_async_session_hooks_run_on_the_loop(parent_of, concurrency):
    """Opening, closing and exporting, around plain operations."""
    parent = parent_of(AsyncHooks, concurrency=concurrency)
    parent.open_session(1, "one")
    told = parent.call("tell", session=1)
    answers = []

    def go_on(answer):
        if answer.call_id == told:
            answers.append(parent.export_session(1))
            parent.open_session(2, "two")
            answers.append(parent.close_session(2))
            parent.frame(frames.BYE)

    parent.on_answer = go_on
    parent.serve(goodbye=False)
    assert parent.value(told) == {"opened": True}
    assert [parent.value(call) for call in answers] == [["exported"], None]


def test_an_opening_hook_that_is_cancelled_is_tried_again(parent_of):
    """The call is answered as interrupted; the worker forgets the session and is told of it anew."""
    parent = parent_of(AsyncHooks)
    parent.open_session(1, "waits once")
    given_up = parent.call("tell", session=1)
    again = []

    def go_on():
        parent.frame(frames.CANCEL, call_id=given_up)
        parent.open_session(1, "waits once")
        again.append(parent.call("tell", session=1))
        parent.frame(frames.BYE)

    once_running(parent, go_on)
    parent.serve(goodbye=False)
    answer = parent.answer(given_up)
    assert (answer.kind, answer.flags) == (frames.INTERRUPTED, frames.SESSION_FAILED)
    assert parent.value(again[0]) == {"opened": True}


def test_the_session_of_a_cancelled_task_tells_its_next_caller(parent_of):
    """As after an interrupt by signal."""
    parent = parent_of(Async)
    parent.open_session(1, "one")
    call, told = parent.call("wait_in", session=1), parent.call("tell", session=1)
    once_running(parent, lambda: (parent.frame(frames.CANCEL, call_id=call), parent.frame(frames.BYE)))
    parent.serve(goodbye=False)
    assert parent.value(told) == ["one", {}, True]


def test_a_record_logged_in_a_child_task_belongs_to_its_call(parent_of, monkeypatch):
    """Tasks inherit the call they were started in."""
    parent = parent_of(Async, concurrency=2)
    isolated = logging.Logger(LOGGER.name)
    isolated.addHandler(Forwarder(parent.worker.channel, 7))
    monkeypatch.setitem(globals(), "LOGGER", isolated)
    parent.call("echo", 1)
    call = parent.call("log")
    parent.serve()
    assert [answer.value[3] for answer in parent.answers if answer.kind == frames.LOG] == [call]


def test_expired_and_withdrawn_calls_do_not_run(parent_of):
    """As in the blocking loop."""
    parent = parent_of(Async, concurrency=2)
    late, gone = parent.call("echo", 1, deadline=1.0), parent.call("echo", 2)
    parent.logbook.withdraw(gone % 256)
    parent.serve()
    assert [parent.answer(call).kind for call in (late, gone)] == [frames.EXPIRED, frames.SKIPPED]


def test_the_parents_end_of_the_socket_ends_the_loop_of_tasks(parent_of):
    """Even if tasks and threads go on."""
    parent = parent_of(Threaded, concurrency=2)
    parent.call("wait")
    parent.go()
    parent.serve(goodbye=False)
    instance_of(parent).gate.set()
    assert type(parent.failure).__name__ == "Disconnected"


def test_a_bug_of_ours_ends_the_loop_loudly(parent_of):
    """An event loop would log it and go on with a call that is never answered."""
    parent = parent_of(Async)
    parent.frame(99)
    parent.serve(goodbye=False)
    assert type(parent.failure).__name__ == "ProtocolError"
