"""`Executor.map`: the calls are submitted, all at once or so many ahead, and their results come in order.

Holds on to neither executor nor results: an executor that is dropped meanwhile takes no more calls.
"""

from __future__ import annotations

import itertools
import operator
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import Any, SupportsIndex, TypeVar

from millpond.wire.remote import run_chunk

T = TypeVar("T")
Calls = Iterator[tuple[Any, ...]]  # the arguments of each


def ordered_map(
    executor: Executor,
    function: Callable[..., T],
    iterables: tuple[Iterable[Any], ...],
    timeout: float | None,
    chunksize: int,
    buffersize: SupportsIndex | None,
) -> Iterator[T]:
    """See `Executor.map`. What is submitted goes to the executor's `submit`, a subclass's too."""
    if chunksize < 1:
        raise ValueError("chunksize must be >= 1.")
    ahead = None if buffersize is None else _checked(buffersize)
    calls = _ending(zip(*iterables, strict=False))
    if chunksize == 1:
        return _submitted(executor, function, calls, timeout, ahead)
    chunks = zip(itertools.repeat(function), _chunks(calls, chunksize), strict=False)
    return _each(_submitted(executor, run_chunk, chunks, timeout, ahead))


def _checked(buffersize: SupportsIndex) -> int:
    try:
        ahead = operator.index(buffersize)
    except TypeError:
        raise TypeError("buffersize must be an integer or None") from None
    if ahead < 1:
        raise ValueError("buffersize must be None or > 0")
    return ahead


def _submitted(
    executor: Executor, function: Callable[..., Any], calls: Calls, timeout: float | None, ahead: int | None
) -> Iterator[Any]:
    """The first of them are submitted now, not when the first result is asked for."""
    end = None if timeout is None else timeout + time.monotonic()
    futures = deque(executor.submit(function, *args) for args in itertools.islice(calls, ahead))
    return _results(weakref.ref(executor), function, calls, futures, end)


def _results(
    executor: weakref.ref[Executor],
    function: Callable[..., Any],
    calls: Calls,
    futures: deque[Future[Any]],
    end: float | None,
) -> Iterator[Any]:
    try:
        while futures:
            _submit_next(executor(), function, calls, futures)
            yield _result(futures.popleft(), end)
    finally:
        for future in futures:
            future.cancel()


def _submit_next(
    executor: Executor | None, function: Callable[..., Any], calls: Calls, futures: deque[Future[Any]]
) -> None:
    if executor is not None and (args := next(calls, None)) is not None:
        futures.append(executor.submit(function, *args))


def _result(future: Future[Any], end: float | None) -> Any:
    try:
        return future.result(None if end is None else end - time.monotonic())
    except BaseException:  # the time is over, or whoever waits is interrupted
        future.cancel()
        raise
    finally:
        del future  # the traceback of what it raised would hold it


def _ending(calls: Calls) -> Calls:
    """They end for good, where `zip` asked again would take one more from the first iterable."""
    yield from calls


def _chunks(calls: Calls, size: int) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(itertools.islice(calls, size)):
        yield chunk


def _each(chunks: Iterator[list[Any]]) -> Iterator[Any]:
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()
