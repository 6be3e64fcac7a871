"""The globals of `__main__` when calls overlap: each sees the program's values as they were when it was made."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.wire import functions, mainglobals
from millpond.wire.codec import PickleCodec
from millpond.wire.functions import decode_function, encode_function
from millpond.wire.mainglobals import Namespace
from millpond.worker.overlap import OverlappedNamespace

WAIT_S = 60.0
SCRIPT = """
x, k, made = 0, [], 0
def helper(): return x
class Box:
    def get(self): return x
    def static():
        before = x
        yield
        yield x, before
def plain():
    before = x, helper()
    yield
    yield x, helper(), *before
def listed():
    before = x, k[-1]
    yield
    yield x, k[-1], *before
def boxed():
    yield
    yield Box().get()
def count():
    global made
    yield
    made += 1
    yield made
"""


class Worker:
    """Calls of generator functions, each run up to its `yield` and ended later; `calling` is the one that asks."""

    def __init__(self) -> None:
        self.calling = 0
        self.scope: dict[str, Any] = {"__name__": "__main__"}
        exec(SCRIPT, self.scope)
        functions._arrived.clear()
        self.here = OverlappedNamespace(Namespace({"__name__": "__main__"}), lambda: self.calling)
        mainglobals.share(self.here)
        self.running: dict[int, Iterator[Any]] = {}

    def begin(self, call: int, name: str) -> None:
        """A call arrives, and runs to its `yield`."""
        blob = encode_function(self.scope.get(name) or vars(self.scope["Box"])[name])
        self.calling = call
        self.running[call] = iter(decode_function(blob)())
        next(self.running[call])

    def end(self, call: int) -> Any:
        """What a call answers."""
        self.calling = call
        value = next(self.running.pop(call))
        self.here.leave()
        return value


@pytest.fixture(autouse=True)
def _nothing_shared() -> Iterator[None]:
    yield
    functions._arrived.clear()
    mainglobals.share(None)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["plain", "listed", "static"]), st.integers(0, 2)), max_size=40
    )
)
def test_each_of_many_overlapping_calls_sees_its_own_values(steps: list[tuple[int, str, int]]) -> None:
    """Whatever begins and ends while it runs: a global, a list, and what a helper sees of them."""
    worker, made = Worker(), dict[int, int]()
    for call, name, value in steps:
        if call in made:
            assert set(worker.end(call)) == {made.pop(call)}
        else:
            worker.scope["x"] = made[call] = value
            worker.scope["k"].append(value)
            worker.begin(call, name)
    for call, value in made.items():
        assert set(worker.end(call)) == {value}
    assert not worker.here._users
    assert not worker.here._copies


def test_calls_that_change_nothing_share_what_they_assign() -> None:
    """As threads of one process do: nobody's count is lost."""
    worker = Worker()
    for call in range(4):
        worker.begin(call, "count")
    assert [worker.end(call) for call in range(4)] == [1, 2, 3, 4]


def test_what_a_call_assigned_in_its_copy_is_given_back() -> None:
    """The next call sees it, unless the program has a new value."""
    worker = Worker()
    worker.begin(1, "plain")
    worker.scope["made"] = 5
    worker.begin(2, "count")
    assert (worker.end(2), worker.end(1)) == (6, (0, 0, 0, 0))
    worker.begin(3, "count")
    assert worker.end(3) == 7
    worker.scope["made"] = 1
    worker.begin(4, "count")
    assert worker.end(4) == 2


def test_a_class_that_arrived_in_a_copy_does_not_keep_it() -> None:
    """Its methods have the globals all share, and see what the program changes later."""
    worker = Worker()
    worker.begin(1, "plain")
    worker.scope["x"] = 1
    worker.begin(2, "boxed")
    worker.end(2), worker.end(1)
    for worker.scope["x"] in (2, 3, 2):
        worker.begin(3, "boxed")
        assert worker.end(3) == worker.scope["x"]


def test_functions_among_the_arguments_see_their_own_values() -> None:
    """They share the globals of the call's function."""
    worker, codec = Worker(), PickleCodec()
    worker.begin(1, "plain")
    worker.scope["x"] = 1
    arguments = codec.encode_arguments((worker.scope["helper"],), {})
    worker.calling = 2
    (helper,), _ = codec.decode_arguments(arguments)  # type: ignore[arg-type]
    assert (helper(), worker.end(1)) == (1, (0, 0, 0, 0))
    worker.calling = 2
    worker.here.leave()
    assert not worker.here._copies


def test_what_the_program_defines_comes_after_the_calls_that_use_another_value() -> None:
    """A new name is there at once; a call that was made before the change still has the value of then."""
    worker = Worker()
    worker.begin(1, "plain")
    before = encode_function(worker.scope["plain"])
    worker.here.define("x", 5)
    worker.here.define("new", 6)
    assert (worker.here.names["x"], worker.here.names["new"], worker.end(1)) == (0, 6, (0, 0, 0, 0))
    assert worker.here.names["x"] == 5
    late = iter(decode_function(before)())
    assert (next(late), next(late)) == (None, (0, 0, 0, 0))


def test_a_call_that_fails_to_arrive_leaves_nothing_behind() -> None:
    """The next one finds the namespace free."""
    worker = Worker()
    worker.calling = 1
    mainglobals.place(is_method=False)  # and what was to follow could not be decoded
    worker.here.leave()
    worker.begin(2, "plain")
    assert not worker.here._copies


def test_threads_of_a_worker_see_their_own_values(parent_of: Any) -> None:
    """In a worker with `concurrency`, through the loop: a call made later does not change what an earlier one sees."""
    mainglobals.share(Namespace({"__name__": "__main__", "meet": threading.Barrier(3, timeout=WAIT_S).wait}))
    parent = parent_of(concurrency=3)
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def ask():\n    meet()\n    return x", scope)
    called = {parent.function(scope["ask"]): scope["x"] for scope["x"] in (1, 2, 3)}
    assert {answer.call_id: answer.value for answer in parent.serve()} == called
    assert isinstance(mainglobals.here, OverlappedNamespace)
    assert not mainglobals.here._users
