"""One warden after another: the first makes an image, and when one dies what it left is killed and the next begins.

A budget bounds how often (3 losses in 30 s): then the engine has failed and says so. Which workers were lost is told
first and buried by `local`, after nothing that carries the run id lives any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from millpond.engine import control, kernel, plan
from millpond.engine.ends import Ends
from millpond.engine.keeper import Keeper
from millpond.engine.logs import STDERR_TAIL_BYTES, Ring
from millpond.seams import EngineSpec

LOSSES, WINDOW_S = 3, 30.0  # as many in as long, and no other warden is started
_PAUSE_S = 0.005  # between rounds of killing
_QUIT_S = 2.5  # the warden itself gives up after 2 s on what cannot die
_RETRY_S = 0.5
_TAIL = 2000  # characters of what a lost warden wrote


@dataclass(frozen=True, slots=True)
class Notices:
    """Whom to tell: every report; that the warden and so all workers are lost; that they are dead; that it is over."""

    report: Callable[[control.Record], None]
    lost: Callable[[], None]
    swept: Callable[[], None]
    failed: Callable[[str], None]


class Succession:
    """The present warden and how to start the next; nothing runs before `begin`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, spec: EngineSpec, program: str, notices: Notices, image: int = 1
    ) -> None:
        self._loop = loop
        self._image_id = f"{spec.run_id}.{image}"
        self._notices = notices
        self._environment = plan.environment(spec) | {kernel.IMAGE_ID: self._image_id}
        the_plan = plan.make_plan(spec, program)
        self._path = the_plan["sys_path"]
        self._plan_fd = plan.write(the_plan)
        self._keeper: Keeper | None = None
        self._first: asyncio.Future[tuple[bytes, str]] = loop.create_future()  # facts of the image, or why none
        self._is_made = False  # the present warden's image: before that it hears no orders
        self._orders: list[tuple[int, int, int, Ends | None]] = []  # for the next warden
        self._losses: deque[float] = deque(maxlen=LOSSES)
        self._reason = ""  # of the last loss
        self._recovery: asyncio.Task[None] | None = None
        self._is_over = False
        self.is_retired = False  # no worker is started any more
        self.output = Ring(max(spec.settings.log_ring_bytes, STDERR_TAIL_BYTES))
        self.failure = ""  # why there is no warden and will be none

    async def begin(self) -> tuple[bytes, str]:
        """Start the first warden; the facts of its image, or why there is none."""
        self._launch()
        return await asyncio.shield(self._first)  # whoever gives up waiting takes it from nobody else

    def order(self, kind: int, worker_id: int, number: int = 0, ends: Ends | None = None) -> None:
        """Give an order to this warden, or to the next if there is none now."""
        if self._keeper is not None:
            self._keeper.order(kind, worker_id, number, ends)
        elif kind != control.SIGNAL:
            self._orders.append((kind, worker_id, number, ends))

    def catch_up(self) -> None:
        """Take what the present warden has reported until now."""
        if self._keeper is not None:
            self._keeper.catch_up()

    def replace(self) -> None:
        """Kill a warden that does not do what it was told, unless it is still making its image."""
        if self._keeper is not None and self._is_made:
            self._keeper.kill()

    def retire(self) -> None:
        """No worker is started any more: a warden that is lost from now on has no successor."""
        self.is_retired = True

    async def quit(self) -> None:
        """Let the warden end everything, or end the warden if it cannot listen yet."""
        self._is_over = True
        if self._keeper is not None and self._is_made:
            self._keeper.order(control.QUIT, 0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._keeper.ended.wait(), _QUIT_S)

    def end_now(self) -> None:
        """Kill and reap everything without the loop, and free everything. Idempotent."""
        self._is_over = True
        if self._recovery is not None:
            self._recovery.cancel()
        if self._keeper is not None:
            self._keeper.finish_now()
        for _ in kernel.sweep(self._image_id, kernel.IMAGE_ID):
            time.sleep(_PAUSE_S)
        if self._plan_fd >= 0:
            os.close(self._plan_fd)
            self._plan_fd = -1

    def _launch(self) -> None:
        self._is_made = False
        launch = (self._plan_fd, self._path, self._environment)
        self._keeper = Keeper(self._loop, launch, self._reported, self.output.write, self._ended)
        for order in self._orders:
            self._keeper.order(*order)
        self._orders.clear()

    def _reported(self, record: control.Record) -> None:
        kind, _, _, text = record
        if kind == control.IMAGE_READY:
            self._is_made = True
            self._settle_first(text, "")
        elif kind == control.IMAGE_FAILED:
            self._reason = text.decode(errors="replace")
            self._settle_first(b"", self._reason)
        else:
            self._notices.report(record)

    def _settle_first(self, facts: bytes, failure: str) -> None:
        if not self._first.done():
            self._first.set_result((facts, failure))

    def _ended(self, how: str) -> None:
        """The warden is dead, and what it had to report was told."""
        self._keeper = None
        if self._is_made or not self._reason:
            self._reason = f"the warden ended with {how}; it wrote: {self.output.tail()[-_TAIL:]!r}"
        is_first = not self._first.done() or bool(self._first.result()[1])
        self._settle_first(b"", self._reason)
        if is_first or self._is_over:
            return
        self._losses.append(self._loop.time())
        self._notices.lost()
        self._recovery = self._loop.create_task(self._recover())

    async def _recover(self) -> None:
        for _ in kernel.sweep(self._image_id, kernel.IMAGE_ID):
            await asyncio.sleep(_PAUSE_S)
        self._notices.swept()
        if self.is_retired:
            return
        while not self._is_spent():
            try:
                self._launch()
            except OSError as error:
                self._reason = f"the warden could not be started: {error}"
                self._losses.append(self._loop.time())
                await asyncio.sleep(_RETRY_S)
            else:
                return
        self.failure = f"the warden was lost {LOSSES} times within {WINDOW_S:.0f} s; the last time: {self._reason}"
        self._notices.failed(self.failure)

    def _is_spent(self) -> bool:
        return len(self._losses) == LOSSES and self._loop.time() - self._losses[0] < WINDOW_S
