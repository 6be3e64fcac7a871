"""The client leaves while its request is answered: what runs for it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from millpond.http.asking import ClientLeft

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from millpond.http.asking import Receive, Scope

T = TypeVar("T")


async def answered_or_left(scope: Scope, receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What comes of the work; `ClientLeft` if the client leaves first, which cancels it.

    Millpond's own server tells when a client leaves; under any other a task waits for the message.
    """
    connection = scope.get("millpond.connection")
    if connection is not None:
        return await _told(connection, work)
    return await _watched(receive, work)


async def _told(connection: Any, work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None
    has_left = False

    def leave() -> None:
        nonlocal has_left
        has_left = True
        task.cancel()

    connection.on_disconnect = leave
    if connection.is_cut:  # it left while it was let in: nobody would tell of that now
        leave()
    try:
        return await work
    except asyncio.CancelledError:
        # Whoever else cancels this task, as a server that stops does, shall see it cancelled.
        if has_left and task.uncancel() == 0:
            raise ClientLeft from None
        raise
    finally:
        connection.on_disconnect = None


async def _watched(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    working: asyncio.Task[T] = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        watching.result()
        raise ClientLeft
    finally:
        await cancelled(working, watching)


async def _left(receive: Callable[[], Awaitable[Any]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def cancelled(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they are over."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
