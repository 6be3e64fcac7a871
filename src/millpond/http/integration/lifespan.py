"""A pool lives as long as the application: opened when it starts, closed when it stops, given to whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from millpond.pool import Pool

# What Starlette, FastAPI and Litestar take: given the application, the time in which it serves.
Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]


def lifespan(*pools: Pool, within: Lifespan | None = None) -> Lifespan:
    """A lifespan that opens the pools, all at once, before the application serves, and closes them after.

    `within` is a lifespan of the application's own: it begins before the pools and ends after them, and what it yields
    is yielded. A pool that cannot start ends the start of the application with its `StartFailed`.
    """

    @asynccontextmanager
    async def live(application: Any) -> AsyncGenerator[Mapping[str, Any], None]:
        async with AsyncExitStack() as stack:
            state = {} if within is None else await stack.enter_async_context(within(application))
            await stack.enter_async_context(_open(pools))
            yield state or {}

    return live


@asynccontextmanager
async def _open(pools: tuple[Pool, ...]) -> AsyncIterator[None]:
    try:
        async with asyncio.TaskGroup() as opening:
            for pool in pools:
                opening.create_task(pool.open())
    except BaseException as error:
        await _close(pools)
        if isinstance(error, BaseExceptionGroup):
            raise error.exceptions[0] from None
        raise
    try:
        yield
    finally:
        await _close(pools)


async def _close(pools: tuple[Pool, ...]) -> None:
    await asyncio.gather(*(pool.close() for pool in pools))


def provide(pool: Pool) -> Callable[[], Awaitable[Pool]]:
    """A dependency that gives the pool: `Depends(provide(pool))` in FastAPI, `Provide(provide(pool))` in Litestar.

    Each use of it is one function, which a test can override by another.
    """

    async def provided() -> Pool:
        return pool

    return provided
