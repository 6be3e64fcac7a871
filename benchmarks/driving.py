"""How a pool is driven: one call after another, or many in flight, with every answer checked.

Each way returns times; none decides what is good. Pools that hand out futures are kept busy in two ways, because each
of them is the faster for some pool (see `process_pools`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np


class WrongAnswer(Exception):
    """A caller got something else than it sent: the one result that no speed excuses."""


class Peer(Protocol):
    """One contender, with two workers, in a process of its own. Blocking ones simply block."""

    name: str

    async def open(self, workers: int) -> None:
        """Start the workers and have an answer from each of them, as nearly as the pool allows."""

    async def close(self) -> None: ...

    async def round_trips(self, values: Iterable[Any]) -> list[float]:
        """Send each value after the answer to the one before; seconds of each."""

    async def in_flight(self, calls: int, depth: int) -> float:
        """Send `calls` numbers, keeping `depth` of them in flight; seconds in all."""

    async def batches(self, calls: int, size: int) -> float:
        """Send `calls` numbers, `size` at once and no more before all of these are answered; seconds in all."""


def check(sent: Any, got: Any) -> None:
    """Raise if the answer is not what was sent; of an array the shape and the last element are compared."""
    if isinstance(sent, np.ndarray):
        if sent.shape != got.shape or sent[-1] != got[-1]:
            raise WrongAnswer("a foreign or damaged array came back")
    elif sent != got:
        raise WrongAnswer(f"sent {sent!r}, got {got!r}")


def ask_each(ask: Callable[[Any], Any], values: Iterable[Any]) -> list[float]:
    """Seconds of each blocking round trip."""
    seconds = []
    for value in values:
        started = time.perf_counter()
        got = ask(value)
        seconds.append(time.perf_counter() - started)
        check(value, got)
    return seconds


Submit = Callable[[int], Any]
SubmitThen = Callable[[int, Callable[[Any], None]], None]
Result = Callable[[Any], Any]


def by_window(submit: Submit, result: Result, calls: int, depth: int) -> float:
    """Wait for the oldest before each further submit."""
    started = time.perf_counter()
    waiting: deque[tuple[int, Any]] = deque()
    for number in range(calls):
        if len(waiting) >= depth:
            oldest, future = waiting.popleft()
            check(oldest, result(future))
        waiting.append((number, submit(number)))
    for number, future in waiting:
        check(number, result(future))
    return time.perf_counter() - started


def by_batches(submit: Submit, result: Result, calls: int, depth: int) -> float:
    """Submit `depth` calls, wait for all of them, and again."""
    started = time.perf_counter()
    for first in range(0, calls, depth):
        batch = [(number, submit(number)) for number in range(first, min(first + depth, calls))]
        for number, future in batch:
            check(number, result(future))
    return time.perf_counter() - started


def by_callback(submit_then: SubmitThen, calls: int, depth: int) -> float:
    """Let the callback of each answer submit the next call, in the pool's own thread.

    The callback gets the plain result. Answers are summed rather than compared one by one: a call is not at hand in
    the callback of every pool.
    """
    started = time.perf_counter()
    numbers = iter(range(calls))
    state = {"left": calls, "sum": 0}
    ended = threading.Event()

    def answered(value: int) -> None:
        state["sum"] += value
        state["left"] -= 1
        if not state["left"]:
            ended.set()
        elif (number := next(numbers, None)) is not None:
            submit_then(number, answered)

    for _ in range(depth):
        if (number := next(numbers, None)) is not None:  # answers that came already may have used them up
            submit_then(number, answered)
    if not ended.wait(30.0):
        raise TimeoutError(f"{state['left']} of {calls} answers never came")
    check(sum(range(calls)), state["sum"])
    return time.perf_counter() - started
