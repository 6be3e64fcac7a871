"""Spans: what begins is said to end, well or with its exception, and knows what it happened in."""

from __future__ import annotations

import asyncio

import pytest

from millpond.telemetry.bus import Bus


class Rig:
    """A bus on a clock moved by hand, and what it said: (name, metadata, seconds)."""

    def __init__(self):
        self.now = 0.0
        self.events = []
        self.bus = Bus(lambda: self.now)
        self.bus.attach("test", None, self.events.append)

    def told(self):
        return [(event.name, event.metadata, event.measurements) for event in self.events]

    def families(self):
        return [(event.name, event.metadata["span"], event.metadata["parent"]) for event in self.events]


def test_a_span_emits_its_start_and_its_stop_with_the_seconds_between():
    """With the metadata it was given, and what was measured meanwhile."""
    rig = Rig()
    with rig.bus.span("model.load", size="small") as span:
        rig.now += 1.5
        span.measurements["tokens"] = 7
    about = {"size": "small", "span": 1, "parent": None}
    assert rig.told() == [
        ("model.load.start", about, {}),
        ("model.load.stop", about, {"tokens": 7, "seconds": 1.5}),
    ]


async def test_an_exception_is_emitted_by_its_type_and_goes_on():
    """Its text may hold anything and is not said; a cancelled task is an exception too."""
    rig = Rig()

    async def fail():
        async with rig.bus.span("model.load"):
            rig.now += 0.5
            raise KeyError("secret")

    with pytest.raises(KeyError, match="secret"):
        await fail()
    with pytest.raises(asyncio.CancelledError), rig.bus.span("model.ask"):
        raise asyncio.CancelledError
    ends = [told for told in rig.told() if told[0].endswith("exception")]
    assert ends == [
        ("model.load.exception", {"error": "KeyError", "span": 1, "parent": None}, {"seconds": 0.5}),
        ("model.ask.exception", {"error": "CancelledError", "span": 2, "parent": None}, {"seconds": 0.0}),
    ]


async def test_spans_nest_across_calls_and_tasks():
    """The parent is the span it was entered in; a task begun in one belongs to it, however they interleave."""
    rig = Rig()

    async def fetch(gate):
        async with rig.bus.span("fetch"):
            await gate.wait()

    async with rig.bus.span("outer"):
        gates = [asyncio.Event(), asyncio.Event()]
        tasks = [asyncio.create_task(fetch(gate)) for gate in gates]
        with rig.bus.span("inner"):
            await asyncio.sleep(0)
        for gate, task in zip(reversed(gates), reversed(tasks), strict=True):
            gate.set()
            await task
    assert rig.families() == [
        ("outer.start", 1, None),
        ("inner.start", 2, 1),
        ("fetch.start", 3, 1),
        ("fetch.start", 4, 1),
        ("inner.stop", 2, 1),
        ("fetch.stop", 4, 1),
        ("fetch.stop", 3, 1),
        ("outer.stop", 1, None),
    ]


def test_a_parent_is_of_the_same_bus():
    """Numbers of another pool's spans would name strangers."""
    one, other = Rig(), Rig()
    with one.bus.span("a"), other.bus.span("b"), one.bus.span("c"):
        pass
    assert one.families() == [("a.start", 1, None), ("c.start", 2, 1), ("c.stop", 2, 1), ("a.stop", 1, None)]
    assert other.families() == [("b.start", 1, None), ("b.stop", 1, None)]


def test_after_an_exception_the_outer_span_is_the_current_one_again():
    """Whatever ended the inner one."""
    rig = Rig()
    with rig.bus.span("outer"):
        with pytest.raises(ZeroDivisionError), rig.bus.span("inner"):
            1 / 0
        with rig.bus.span("next"):
            pass
    assert ("next.start", 3, 1) in rig.families()


def test_a_generator_closed_elsewhere_leaves_the_others_alone():
    """Its span ends in a context where it never was the current one."""
    rig = Rig()

    def work():
        with rig.bus.span("work"):
            yield

    held = work()
    next(held)
    with rig.bus.span("later"):
        held.close()
        with rig.bus.span("inside"):
            pass
    with rig.bus.span("after"):
        pass
    assert ("work.exception", 1, None) in rig.families()
    assert ("inside.start", 3, 2) in rig.families()
    assert ("after.start", 4, None) in rig.families()


async def test_a_task_outlives_the_span_it_was_begun_in():
    """That one is still its parent, and nothing keeps the chain of all parents alive."""
    rig = Rig()

    async def late(gate):
        await gate.wait()
        with rig.bus.span("late") as span:
            return span

    gate = asyncio.Event()
    with rig.bus.span("early"):
        task = asyncio.create_task(late(gate))
        await asyncio.sleep(0)
    gate.set()
    span = await task
    assert (span.parent, span._outer) == (1, None)


def test_a_span_is_entered_once_and_keeps_its_own_words():
    """A second entry would mix two stretches up; metadata cannot replace what the span says itself."""
    rig = Rig()
    span = rig.bus.span("a")
    with span:
        pass
    with pytest.raises(RuntimeError, match="entered once"):
        span.__enter__()
    with pytest.raises(ValueError, match="error, parent"):
        rig.bus.span("a", parent=1, error="none")
