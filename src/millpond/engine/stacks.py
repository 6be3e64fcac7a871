"""Asks a worker for the stacks of its threads at this moment, and waits for the text; see `wire.stacks` for the ways.

Never kills, stops or interrupts anything. Raises `NoStack` with the reason, within a second, where there is no answer.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from typing import TYPE_CHECKING

from millpond.engine import kernel
from millpond.engine.outbox import MSG_NOSIGNAL
from millpond.seams import NoStack
from millpond.wire import frames, stacks

if TYPE_CHECKING:
    from millpond.engine.link import Link

GIVEN_S = 0.9  # for all of it
PATIENCE_S = 0.15  # before it is looked whether native code keeps the lock
LOCK_WAITS = 3  # times that the control thread went to sleep again meanwhile: it waits for the lock, 5 ms at a time
STEP_S = 0.01

_numbers = itertools.count(1)


class StackReader:
    """One request to one worker."""

    def __init__(self, link: Link, run_id: str) -> None:
        self._link = link
        self._run_id = run_id
        self._fd = link.endpoints.stacks
        self._number = next(_numbers)
        self._asked_at = time.monotonic()

    async def read(self) -> str:
        """The stacks, the main thread's first. Raises `NoStack`."""
        self._check()
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)  # also the worker's place, of the same open file
        taker = self._taker()
        slept = self._sleeps(taker)
        self._ask()
        text = await self._answer(PATIENCE_S)
        while text is None and self._waited_s < GIVEN_S:
            if taker is not None and self._keeps_lock() and self._sleeps(taker) >= slept + LOCK_WAITS:
                text = await self._interrupted(taker)
                break
            text = await self._answer(self._waited_s + STEP_S)
        if text is None:
            raise NoStack(self._why_not())
        os.ftruncate(self._fd, 0)
        return stacks.shown(text)

    @property
    def _waited_s(self) -> float:
        return time.monotonic() - self._asked_at

    def _check(self) -> None:
        """Raise `NoStack` where nobody can answer; before each look at the file, which is closed with the link."""
        link = self._link
        if link.is_gone:
            raise NoStack("the worker is gone")
        if not link.pid:
            raise NoStack("the worker's process is still being started")
        if kernel.is_stopped(link.pid):
            raise NoStack("the worker's process is stopped (SIGSTOP)")

    def _ask(self) -> None:
        header = frames.pack(0, frames.STACKS, 0, 0, 0, 0, self._link.id, self._number, 0, float("inf"), 0.0)
        try:
            self._link.endpoints.side.send(header, MSG_NOSIGNAL)
        except OSError as error:
            raise NoStack(f"the worker's control thread cannot be asked: {error}") from None

    async def _answer(self, until_s: float) -> str | None:
        """What the control thread wrote, or `None` when it has not until then."""
        while True:
            self._check()
            text = stacks.answer_in(self._content(), self._number)
            if text is not None or self._waited_s >= until_s:
                return text
            await asyncio.sleep(STEP_S)

    async def _interrupted(self, taker: int) -> str | None:
        """What faulthandler wrote in the control thread while that waited for the lock."""
        assert stacks.SIGNAL is not None
        # At once after the look: if native code gave the lock up now, the thread would have answered by itself and
        # faulthandler read frames that change. The time for that is some 50 us here, and a millisecond while it writes.
        kernel.signal_carrier(self._link.pid, stacks.SIGNAL, self._run_id)
        while self._waited_s < GIVEN_S:
            await asyncio.sleep(STEP_S)
            self._check()
            content = self._content()
            text = stacks.answer_in(content, self._number) or stacks.unasked_in(content)
            if text and not kernel.is_unhandled(self._link.pid, taker, stacks.SIGNAL):
                return text
        return None

    def _content(self) -> bytes:
        return os.pread(self._fd, stacks.MOST_BYTES, 0)

    def _taker(self) -> int | None:
        return kernel.only_taker(self._link.pid, stacks.SIGNAL) if stacks.SIGNAL is not None else None

    def _sleeps(self, taker: int | None) -> int:
        return kernel.sleeps(self._link.pid, taker) if taker is not None else 0

    def _keeps_lock(self) -> bool:
        """Whether the interpreter has given no sign since it was asked: the control thread gives one first of all."""
        return self._link.logbook.heartbeat() < self._asked_at

    def _why_not(self) -> str:
        silent_s = time.monotonic() - self._link.logbook.heartbeat()
        return (
            f"the worker did not answer within {GIVEN_S:g} s; its interpreter gave the last sign {silent_s:.1f} s ago, "
            "and the signal that has its stacks written without the interpreter had no effect or could not be sent"
        )
