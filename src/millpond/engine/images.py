"""The images of one engine: which one workers are made from, and which are only kept till their workers are gone.

Each has a line of wardens of its own (`succession`). The code is loaded anew by making another image beside the present
one; which of the two stays is said later.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from millpond.engine import control
from millpond.engine.bodies import decode_facts
from millpond.engine.logs import Ring
from millpond.engine.succession import Notices, Succession
from millpond.errors import StartFailed
from millpond.seams import EngineSpec, HandlerFacts


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom to tell and whom to ask: see `succession.Notices`; `has_workers` of a line of wardens."""

    report: Callable[[control.Record], None]
    lost: Callable[[Succession], None]
    swept: Callable[[Succession], None]
    back: Callable[[Succession], None]
    has_workers: Callable[[Succession], bool]


class Images:
    """All images of one engine; nothing runs before `make`. `present` is what workers are made from."""

    def __init__(self, loop: asyncio.AbstractEventLoop, spec: EngineSpec, program: str, owner: Owner) -> None:
        self.present: Succession | None = None
        self._before: Succession | None = None  # until it is settled which of the two stays
        self._all: list[Succession] = []  # those whose image, or whose workers, are there
        self._numbers = itertools.count(1)
        self._leaving: set[asyncio.Task[None]] = set()  # wardens on their way out
        self._is_closed = False
        self._loop = loop
        self._spec = spec
        self._program = program
        self._owner = owner

    @property
    def outputs(self) -> list[Ring]:
        """What the wardens wrote."""
        return [wardens.output for wardens in self._all]

    @property
    def is_unsettled(self) -> bool:
        """Whether it is still to be said which of two images stays."""
        return self._before is not None

    async def make(self) -> HandlerFacts | None:
        """Make an image, which is the present one from now on; `StartFailed` ends with the user's traceback."""
        made = self._found()
        try:
            facts = await self._awaited(made)
            if self._is_closed:
                raise StartFailed("the engine was closed")
        except BaseException:
            self._end(made)
            raise
        self._before, self.present = self.present, made
        return facts

    def catch_up(self) -> None:
        """Take what the wardens have reported until now."""
        for wardens in list(self._all):
            wardens.catch_up()

    def settle(self, is_kept: bool) -> None:
        """Let the image go that is not to be started from any more; its warden follows its last worker."""
        if self._before is None or self.present is None:
            return
        gone, self._before = self._before, None
        if not is_kept:
            gone, self.present = self.present, gone
        gone.retire()
        self.maybe_dismiss(gone)

    def maybe_dismiss(self, wardens: Succession) -> None:
        """Let a warden go that has no worker left and is to make no other."""
        if wardens.is_retired and not self._is_closed and not self._owner.has_workers(wardens):
            leaving = self._loop.create_task(wardens.quit())
            self._leaving.add(leaving)
            leaving.add_done_callback(lambda _: self._end(wardens))
            leaving.add_done_callback(self._leaving.discard)

    async def quit(self) -> None:
        """Let every warden end what it started."""
        self._is_closed = True
        await asyncio.gather(*(wardens.quit() for wardens in self._all))

    def end_now(self) -> None:
        """Kill, reap and free what is left, without the loop. Idempotent."""
        self._is_closed = True
        for wardens in list(self._all):
            self._end(wardens)

    def _end(self, wardens: Succession) -> None:
        wardens.end_now()
        if wardens in self._all:
            self._all.remove(wardens)

    def _found(self) -> Succession:
        owner = self._owner
        notices = Notices(owner.report, lambda: owner.lost(made), lambda: owner.swept(made), lambda: owner.back(made))
        try:
            made = Succession(self._loop, self._spec, self._program, notices, next(self._numbers))
        except OSError as error:
            raise StartFailed(f"the warden could not be started: {error}") from error
        except Exception as error:
            raise StartFailed(f"the handler or its arguments cannot be sent to a worker: {error}") from error
        self._all.append(made)
        return made

    async def _awaited(self, wardens: Succession) -> HandlerFacts | None:
        timeout: float = self._spec.settings.start_timeout
        try:
            async with asyncio.timeout(timeout):
                facts, failure = await wardens.begin()
                failure = failure or wardens.lost_because
        except TimeoutError:
            facts, failure = b"", f"the handler was not imported within start_timeout ({timeout} s); it wrote: "
            failure += repr(wardens.output.tail())
        except OSError as error:
            facts, failure = b"", str(error)
        if failure:
            raise StartFailed(f"no worker can be started: {failure}")
        return decode_facts(facts)
