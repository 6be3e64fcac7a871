"""The images of one engine: the one that workers are made from, and those that are kept until their workers are gone.

Each image has a warden of its own, with a supervisor that replaces it. The code is loaded anew by making another image
beside the present one; which of the two stays is decided later (`settle`). Operations keep their numbers throughout.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from millpond.engine.bodies import decoded
from millpond.engine.endpoints import OutputRing
from millpond.engine.supervisor import Supervisor
from millpond.errors import StartFailed
from millpond.seams import NO_OPERATION, EngineSpec, HandlerFacts, OperationFacts

if TYPE_CHECKING:
    from millpond.engine.local import LocalEngine


class ImageSet:
    """All images of one engine; nothing runs before `make`. `present` is what workers are made from."""

    def __init__(self, loop: asyncio.AbstractEventLoop, spec: EngineSpec, program: str, owner: LocalEngine) -> None:
        self.present: Supervisor | None = None
        self._before: Supervisor | None = None  # until it is settled which of the two stays
        self._all: list[Supervisor] = []  # those whose image, or whose workers, are there
        self._numbers = itertools.count(1)
        self._quitting: set[asyncio.Task[None]] = set()  # wardens on their way out
        self._is_closed = False
        self._loop = loop
        self._spec = spec
        self._program = program
        self._owner = owner

    @property
    def outputs(self) -> list[OutputRing]:
        """What the wardens wrote."""
        return [supervisor.output for supervisor in self._all]

    @property
    def is_unsettled(self) -> bool:
        """Whether it is still open which of two images stays."""
        return self._before is not None

    async def make(self) -> HandlerFacts | None:
        """Make an image, which is the present one from now on; `StartFailed` ends with the user's traceback."""
        made = self._new_supervisor()
        try:
            facts = await self._awaited(made)
            # The engine may have been closed while the image was made, and has then not waited for this warden.
            if self._is_closed:
                raise StartFailed("the engine was closed")
        except BaseException:
            self._end(made)
            raise
        self._before, self.present = self.present, made
        return facts

    def catch_up(self) -> None:
        """Take what the wardens have reported until now."""
        for supervisor in list(self._all):
            supervisor.catch_up()

    def settle(self, is_kept: bool) -> None:
        """Let the image go that is not to be started from any more; its warden follows its last worker."""
        if self._before is None or self.present is None:
            return
        gone, self._before = self._before, None
        if not is_kept:
            gone, self.present = self.present, gone
        gone.retire()
        self.maybe_dismiss(gone)

    def maybe_dismiss(self, supervisor: Supervisor) -> None:
        """Let a warden go that has no worker left and is to make no other."""
        if supervisor.is_retired and not self._is_closed and not self._owner.has_workers(supervisor):
            quitting = self._loop.create_task(supervisor.quit())
            self._quitting.add(quitting)
            quitting.add_done_callback(lambda _: self._end(supervisor))
            quitting.add_done_callback(self._quitting.discard)

    async def quit(self) -> None:
        """Let every warden end what it started."""
        self._is_closed = True
        await asyncio.gather(*(supervisor.quit() for supervisor in self._all))

    def end_now(self) -> None:
        """Kill, reap and free what is left, without the loop. Idempotent."""
        self._is_closed = True
        for supervisor in list(self._all):
            self._end(supervisor)

    def _end(self, supervisor: Supervisor) -> None:
        supervisor.end_now()
        if supervisor in self._all:
            self._all.remove(supervisor)

    def _new_supervisor(self) -> Supervisor:
        try:
            made = Supervisor(self._loop, self._spec, self._program, self._owner, next(self._numbers))
        except OSError as error:
            raise StartFailed(f"the warden could not be started: {error}") from error
        except Exception as error:
            raise StartFailed(f"the handler or its arguments cannot be sent to a worker: {error}") from error
        self._all.append(made)
        return made

    async def _awaited(self, supervisor: Supervisor) -> HandlerFacts | None:
        timeout: float = self._spec.settings.start_timeout
        try:
            async with asyncio.timeout(timeout):
                facts, failure = await supervisor.begin()
                failure = failure or supervisor.lost_because
        except TimeoutError:
            facts, failure = b"", f"the handler was not imported within start_timeout ({timeout} s); it wrote: "
            failure += repr(supervisor.output.tail())
        except OSError as error:
            facts, failure = b"", str(error)
        if failure:
            raise StartFailed(f"no worker can be started: {failure}")
        return decoded(facts, HandlerFacts) if facts else None  # empty: a worker will report them


class OperationNumbers:
    """The lasting numbers of one engine, from 1 in the order in which names were first seen."""

    def __init__(self) -> None:
        self._known: dict[str, OperationFacts] = {}

    def lasting(self, facts: HandlerFacts) -> HandlerFacts:
        """The facts with every operation there ever was, in the place of its number; `removed` says which are gone."""
        named = {one.name: one for one in facts.operations}
        self._known.update(named)  # a dictionary keeps the place of a key it knows
        removed = tuple(name for name in self._known if name not in named)
        return HandlerFacts(facts.name, tuple(self._known.values()), facts.hooks, removed)

    def translation(self, facts: HandlerFacts) -> dict[int, int] | None:
        """Lasting number -> the number in this image; `None` where they are the same."""
        self.lasting(facts)
        own = {one.name: number for number, one in enumerate(facts.operations, start=1)}
        translated = {number: own.get(name, NO_OPERATION) for number, name in enumerate(self._known, start=1)}
        return None if all(lasting == image for lasting, image in translated.items()) else translated
