"""The stacks of processes that are hard to ask: native code keeps the interpreter, stderr is gone, it is stopped."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

import millpond
from millpond.seams import NoStack
from tests.contract.handlers import Plain
from tests.contract.sites import Gate, check, failure, until
from tests.start_methods import both


class Hard:
    """Does what makes a worker hard to ask."""

    def keep_lock(self, fifo: str) -> int:
        """Keep the interpreter's lock in a system call until the test writes; what that call returned."""
        fd = os.open(fifo, os.O_RDWR)
        return int(ctypes.PyDLL(None).read(fd, ctypes.create_string_buffer(1), 1))

    def lose_stderr(self) -> None:
        """Leave nothing of what faulthandler and Python write errors to."""
        faulthandler.disable()
        sys.stderr = None  # type: ignore[assignment]
        os.dup2(os.open(os.devnull, os.O_RDONLY), 2)

    def begin_thread(self) -> None:
        """Have another thread wait for ever."""
        threading.Thread(target=self.linger, daemon=True).start()

    def linger(self) -> None:
        threading.Event().wait()


def pool_of(handler: type, start_method: str = "fork") -> millpond.Pool:
    """One worker; nothing ends it for being silent."""
    return millpond.Pool(handler, start_method=start_method, min_workers=1, max_workers=1, deadline=None)


@both
async def test_native_code_that_keeps_the_interpreter_is_shown_and_goes_on(start_method, tmp_path):
    """Its system call is not broken off; nor is anything else changed by asking again and again."""
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    async with pool_of(Hard, start_method) as pool:
        await pool.call("lose_stderr")
        busy = asyncio.create_task(pool.call("keep_lock", fifo))
        await until(lambda: any(one.unresponsive_s for one in pool.statistics().busy))
        for _ in range(3):
            assert " in keep_lock\n" in await pool.stack(1)
        assert pool.statistics().busy[0].unresponsive_s
        Path(fifo).write_bytes(b"1")
        assert await busy == 1
        assert " in main\n" in await pool.stack(1)
        assert pool.statistics().starts == 1


@both
async def test_all_threads_of_the_handler_are_shown(start_method):
    """The main one first, and none of ours."""
    async with pool_of(Hard, start_method) as pool:
        await pool.call("begin_thread")
        text = await pool.stack(1)
        main, other = text.strip().split("\n\n")
        assert main.endswith(" in main")
        assert " in linger\n" in other


async def test_a_stopped_process_says_so_and_is_asked_again_when_it_goes_on():
    """What it wrote late is not taken for an answer to the later request."""
    async with pool_of(Hard) as pool:
        pid = pool.statistics().pids[1]
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(NoStack, match="stopped"):
                await pool.stack(1)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert " in main\n" in await pool.stack(1)


async def test_a_call_whose_stack_was_asked_for_is_interrupted_as_ever(tmp_path):
    """The signal for stacks is another than that for interrupts, and the worker serves on."""
    async with pool_of(Plain) as pool:
        gate = Gate(str(tmp_path / "gate"))
        busy = asyncio.create_task(failure(pool.call("stay", gate.path)))
        await gate.entered()
        assert " in stay\n" in await pool.stack(1)
        (running,) = pool.calls().calls
        assert pool.cancel_call(running.call_id)
        check(await busy, "cancelled", "unknown")
        gate.open()
        assert await pool.call("stay", gate.path, "next") == "next"
        assert pool.statistics().starts == 1
