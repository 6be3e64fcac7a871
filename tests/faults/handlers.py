"""The handlers the fault rows call: importable by name, so that workers of either start method find them.

`Plain` has plain operations only and so runs in the worker's blocking loop; each `Async...` class adds one async
operation, which puts the very same operations on the worker's asyncio loop.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import millpond


def began(mark: str | None) -> None:
    """Add this process to the starts of `mark`."""
    if mark is not None:
        with open(mark + ".began", "a") as file:
            file.write(f"{os.getpid()}\n")


def done(mark: str | None) -> None:
    """Say that the operation with this mark came to its end."""
    if mark is not None:
        Path(mark + ".done").touch()


class Plain:
    """Operations that behave, sleep, spin, or refuse to stop."""

    def echo(self, token: Any) -> Any:
        return token

    def pid(self) -> int:
        return os.getpid()

    def nap(self, seconds: float, mark: str | None = None, token: Any = None) -> Any:
        began(mark)
        time.sleep(seconds)
        done(mark)
        return token

    def stubborn(self, seconds: float, mark: str | None = None) -> None:
        """Swallow every interrupt and sleep on."""
        began(mark)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                while time.monotonic() < end:
                    time.sleep(max(0.0, end - time.monotonic()))
            except BaseException:
                pass
        done(mark)

    def late(self, seconds: float, mark: str | None = None, token: Any = None) -> Any:
        """Answer all the same when interrupted, and so after the caller has gone."""
        try:
            return self.nap(seconds, mark, token)
        except millpond.Interrupted:
            return token

    def spin(self, seconds: float, mark: str | None = None) -> None:
        began(mark)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        done(mark)

    def hold_gil(self, seconds: float, mark: str | None = None) -> float:
        """Stay in one regular expression for `seconds` or up to two thirds more; return how long it was."""
        length, took = 20, 0.0
        while took < 0.02:
            # The shortest of a few: one that something else on the core slowed down would promise too much.
            took, length = min(backtracking_s(length) for _ in range(5)), length + 1
        # Each further letter costs the golden ratio: as many as reach the time asked for.
        while took < seconds:
            took, length = took * 1.618, length + 1
        began(mark)
        return backtrack(length - 1)

    def with_grandchild(self, seconds: float, mark: str) -> None:
        """Start a sleeper in a session of its own, and sleep beside it."""
        child = subprocess.Popen(["sleep", "300"], start_new_session=True)
        Path(mark + ".child").write_text(str(child.pid))
        self.nap(seconds, mark)

    def raise_value_error(self, text: str) -> None:
        raise ValueError(text)

    def size_of(self, data: Any) -> int:
        return len(data)

    def make(self, size: int) -> bytes:
        return b"m" * size

    def say(self, *, session: Any) -> tuple[int, int, int]:
        """Count this session's calls; return the count, the generation and the pid."""
        session.state["n"] = session.state.get("n", 0) + 1
        return session.state["n"], session.generation, os.getpid()

    def nap_in_session(self, seconds: float, mark: str | None = None, *, session: Any) -> tuple[int, int, int]:
        self.nap(seconds, mark)
        return self.say(session=session)

    def stay_in_session(self, gate: str, mark: str | None = None, *, session: Any) -> tuple[int, int, int]:
        """Stay until the file `gate` is there."""
        began(mark)
        while not os.path.exists(gate):
            time.sleep(0.005)
        return self.say(session=session)

    def die_in_session(self, mark: str, *, session: Any) -> None:
        began(mark)
        os.kill(os.getpid(), signal.SIGKILL)


class AsyncPlain(Plain):
    """The same in the asyncio loop, and async ones that sleep."""

    async def anap(self, seconds: float, mark: str | None = None, token: Any = None) -> Any:
        began(mark)
        await asyncio.sleep(seconds)
        done(mark)
        return token

    async def astubborn(self, seconds: float, mark: str | None = None) -> None:
        began(mark)
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            try:
                await asyncio.sleep(left)
            except BaseException:
                pass
        done(mark)

    async def alate(self, seconds: float, mark: str | None = None, token: Any = None) -> Any:
        try:
            return await self.anap(seconds, mark, token)
        except asyncio.CancelledError:
            return token

    async def acount(self, count: int, pause: float, mark: str | None = None) -> Any:
        """Stream numbers."""
        began(mark)
        for number in range(count):
            await asyncio.sleep(pause)
            yield number
        done(mark)


def backtracking_s(length: int) -> float:
    """Seconds of the processor that `backtrack` takes."""
    start = time.thread_time()
    backtrack(length)
    return time.thread_time() - start


def backtrack(length: int) -> float:
    """Seconds one match takes that tries every way to split `length` letters into ones and twos."""
    start = time.monotonic()
    re.match("(a|aa)+$", "a" * length + "b")
    return time.monotonic() - start
