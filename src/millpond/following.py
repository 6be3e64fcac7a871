"""A blocking pool's warmer: follows the progress from a thread, one step at a time.

The rounds themselves, and who else follows, are the `PoolWarmer`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

from millpond.errors import PoolClosed

if TYPE_CHECKING:
    from millpond.loopthread import LoopThread
    from millpond.warming.outcomes import Progress, WarmReport
    from millpond.warming.warmer import PoolWarmer


class SyncWarmer:
    """The warm-up of one pool; iterating over it waits for the round that is on, or the next, and gives its `Progress`.

    The iteration ends with the round, and when the pool closes; on a pool that is not open there is nothing to follow.
    """

    def __init__(self, warmer: PoolWarmer, thread: LoopThread) -> None:
        self._warmer = warmer
        self._thread = thread

    @property
    def report(self) -> WarmReport | None:
        """That of the last round that ended, or `None`."""
        return self._warmer.report

    def __iter__(self) -> Iterator[Progress]:
        if not self._thread.is_running:
            return
        steps = aiter(self._warmer)
        try:
            while (step := self._next(steps)) is not None:
                yield step
        finally:
            self._thread.start_task(_ended(steps))

    def _next(self, steps: AsyncIterator[Progress]) -> Progress | None:
        try:
            step: Progress | None = self._thread.run(_following(steps))
        except PoolClosed:
            return None
        return step


async def _following(steps: AsyncIterator[Progress]) -> Progress | None:
    return await anext(steps, None)


async def _ended(steps: AsyncIterator[Progress]) -> None:
    await steps.aclose()  # type: ignore[attr-defined]
