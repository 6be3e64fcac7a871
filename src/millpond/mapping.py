"""One operation over many arguments: results in the order of the arguments, a bounded number ahead.

What `map` does at a pool and at a client of one, each of which makes the calls in its own way. Part of the vocabulary.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

MAP_AHEAD = 64  # calls `map` keeps in flight beyond two for each slot


async def in_order(
    call: Callable[[Any], Coroutine[Any, Any, Any]], items: Iterable[Any] | AsyncIterable[Any], window: int
) -> AsyncIterator[Any]:
    """The results of `call` for each item, at most `window` of them in flight.

    The first failure is raised at its place; what was sent ahead is cancelled, as it is when the iterator is closed.
    """
    ahead: deque[asyncio.Task[Any]] = deque()
    try:
        async for item in _each(items):
            ahead.append(asyncio.ensure_future(call(item)))
            if len(ahead) >= window:
                yield await _first(ahead)
        while ahead:
            yield await _first(ahead)
    finally:
        for task in reversed(ahead):  # those that wait first, so that none begins where another stops
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


async def _first(ahead: deque[asyncio.Task[Any]]) -> Any:
    """The first result, or what it raises. A caller who leaves does not cancel it here: all go together."""
    result = await asyncio.shield(ahead[0])
    ahead.popleft()
    return result


async def _each(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
