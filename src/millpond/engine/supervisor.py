"""The supervisor of one image's warden: starts it, and when it dies kills what it left and starts another on demand.

The core decides when the next one starts (`revive`). That the workers are lost is reported first; `local` reports their
deaths once nothing that carries the image's mark lives any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from millpond.engine import kernel
from millpond.engine import warden_protocol as protocol
from millpond.engine.endpoints import STDERR_TAIL_BYTES, Endpoints, OutputRing
from millpond.engine.warden_process import WardenProcess
from millpond.environment import image_mark
from millpond.seams import EngineSpec
from millpond.wire.definitions import Entries

if TYPE_CHECKING:
    from millpond.engine.local import LocalEngine

_PAUSE_S = 0.005  # between rounds of killing
_QUIT_S = 2.5  # the warden itself gives up after 2 s on what cannot die
_RETRY_S = 0.5  # between looks for what a warden left, while there is no descriptor to look with
_TAIL = 2000  # characters of what a lost warden wrote


class Supervisor:
    """The present warden and how to start the next; nothing runs before `begin`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, spec: EngineSpec, program: str, owner: LocalEngine, image: int
    ) -> None:
        self._loop = loop
        self._image_id = f"{spec.run_id}.{image}"
        self._owner = owner
        self._environment = protocol.environment(spec) | {kernel.IMAGE_ID: image_mark(self._image_id, os.environ)}
        the_plan = protocol.make_plan(spec, program)
        self._path = the_plan["sys_path"]
        self._leases = protocol.leases(the_plan)
        self.defined: Entries = the_plan["config"]["main"]["entries"]  # what each of its workers has from the beginning
        self._plan_fd = protocol.write(the_plan)
        self._warden: WardenProcess | None = None
        self._first: asyncio.Future[tuple[bytes, str]] = loop.create_future()  # facts of the image, or why none
        self._is_made = False  # the present warden's image: before that it hears no orders
        self._start_timeout: float = spec.settings.start_timeout
        self._reason = ""  # why the present warden has no image, if it reported that
        self._recovery: asyncio.Task[None] | None = None
        self._is_over = False
        self.is_retired = False  # no worker is started any more
        self.output = OutputRing(max(spec.settings.log_ring_bytes, STDERR_TAIL_BYTES))
        self.lost_because = ""  # why there is no warden with an image, once there was one

    async def begin(self) -> tuple[bytes, str]:
        """Start the first warden; the facts of its image, or why there is none."""
        self._launch()
        return await asyncio.shield(self._first)  # whoever gives up waiting takes it from nobody else

    def order(self, kind: int, worker_id: int, number: int = 0, endpoints: Endpoints | None = None) -> None:
        """Give an order to this warden; without one there is nobody left to whom it could matter."""
        if self._warden is not None:
            self._warden.order(kind, worker_id, number, endpoints)

    def catch_up(self) -> None:
        """Take what the present warden has reported until now."""
        if self._warden is not None:
            self._warden.catch_up()

    def replace(self) -> None:
        """Kill a warden that does not carry out its orders, unless it is still making its image."""
        if self._warden is not None and self._is_made:
            self._warden.kill()

    def retire(self) -> None:
        """No worker is started any more: a warden that is lost has no successor."""
        self.is_retired = True
        if self.lost_because:
            self.clear()

    def revive(self) -> None:
        """Kill what the last warden left and start another; `warden_back` or `warden_lost` follows."""
        if self._warden is None and not self._is_over:
            self._recover(self._restart())

    def clear(self) -> None:
        """Kill what the last warden left, and report it; no other is started."""
        self._recover(self._sweep_in_time())

    async def quit(self) -> None:
        """Let the warden end everything, or end the warden if it cannot listen yet."""
        self._is_over = True
        if self._warden is not None and self._is_made:
            self._warden.order(protocol.QUIT, 0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._warden.ended.wait(), _QUIT_S)

    def end_now(self) -> None:
        """Kill and reap everything without the loop, and free everything. Idempotent."""
        self._is_over = True
        if self._recovery is not None:
            self._recovery.cancel()
        if self._warden is not None:
            self._warden.finish()
        if self._plan_fd >= 0:
            os.close(self._plan_fd)
            self._plan_fd = -1
            self._leases.clear()
        for _ in kernel.sweep(self._image_id):
            time.sleep(_PAUSE_S)

    def _launch(self) -> None:
        self._is_made, self._reason = False, ""
        launch = (self._plan_fd, self._path, self._environment)
        self._warden = WardenProcess(self._loop, launch, self._reported, self.output.write, self._ended)

    def _reported(self, record: protocol.Record) -> None:
        kind, _, _, text = record
        if kind == protocol.IMAGE_READY:
            self._is_made = True
            self._settle_first(text, "")
            if self.lost_because:
                self.lost_because = ""
                self._owner.warden_back(self)
        elif kind == protocol.IMAGE_FAILED:
            self._reason = text.decode(errors="replace")
            self._settle_first(b"", self._reason)
        else:
            self._owner.reported(record)

    def _settle_first(self, facts: bytes, failure: str) -> None:
        if not self._first.done():
            self._first.set_result((facts, failure))

    def _ended(self, how: str) -> None:
        """The warden is dead, and all its reports were handled."""
        self._warden = None
        if self._is_made or not self._reason:
            self._reason = f"the warden ended with {how}; it wrote: {self.output.tail()[-_TAIL:]!r}"
        is_first = not self._first.done() or bool(self._first.result()[1])
        self._settle_first(b"", self._reason)
        if is_first or self._is_over:
            return
        self._lose(self._reason)

    def _lose(self, why: str) -> None:
        self.lost_because = why
        self._owner.warden_lost(self)

    def _recover(self, work: Coroutine[Any, Any, None]) -> None:
        """One at a time: what one sweeps away may be what another has just started."""
        if self._recovery is not None:
            self._recovery.cancel()
        self._recovery = self._loop.create_task(work)

    async def _restart(self) -> None:
        # First the sweep, then the launch: the sweep kills every process that carries the image's mark, and would kill
        # the next warden with the rest. Workers of the last one that still run would else meet those of the next.
        try:
            await self._sweep()
            self._launch()
        except Exception as error:  # whatever it was, it is reported: nobody else would try again
            self._lose(f"the warden could not be started: {error}")
            return
        await asyncio.sleep(self._start_timeout)
        if self._warden is not None and not self._is_made:
            self._reason = f"the handler was not imported within start_timeout ({self._start_timeout} s)"
            self._warden.kill()

    async def _sweep_in_time(self) -> None:
        while True:
            try:
                await self._sweep()
            except OSError:
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def _sweep(self) -> None:
        for _ in kernel.sweep(self._image_id):
            await asyncio.sleep(_PAUSE_S)
        self._owner.warden_swept(self)
