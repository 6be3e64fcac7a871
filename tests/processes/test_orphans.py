"""What a handler's helpers leave behind is reaped; what the handler started itself keeps its exit status."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
from typing import Any

import millpond
from tests.processes.engine_rig import on_a_loop, until
from tests.start_methods import both


class Starter:
    """Starts processes in every way there is, and asks how they ended only later."""

    def orphan(self) -> None:
        subprocess.run(["sh", "-c", "true &"], check=True)

    def start(self) -> list[int]:
        forked = os.fork()
        if not forked:
            os._exit(3)
        shell = ["sh", "-c", "exit 4"]
        self.popen = subprocess.Popen(shell)
        self.process = multiprocessing.get_context("fork").Process(target=sys.exit, args=(5,))
        self.process.start()
        self.pids = [forked, os.posix_spawn("/bin/sh", shell, {}), os.spawnv(os.P_NOWAIT, "/bin/sh", shell)]
        return [*self.pids, self.popen.pid, self.process.pid or 0]

    def statuses(self) -> list[Any]:
        self.process.join()
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in self.pids]
        return [*codes, self.popen.wait(), self.process.exitcode]

    async def awaited(self) -> list[int]:
        shells = [await asyncio.create_subprocess_exec("sh", "-c", f"exit {code}") for code in range(20)]
        return [await shell.wait() for shell in shells]


def zombies(pool: millpond.Pool) -> list[int]:
    """The dead children of the only worker."""
    (pid,) = pool.statistics().pids.values()
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [child for child in map(int, file.read().split()) if _state(child) == "Z"]


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@both
@on_a_loop
async def test_orphans_are_reaped_and_a_handlers_own_children_are_not(start_method: str) -> None:
    """Dead for several looks, a child that the handler forked, spawned or opened still tells how it ended."""
    async with millpond.Pool(Starter, max_workers=1, start_method=start_method) as pool:
        mine = await pool.call("start")
        await until(lambda: set(zombies(pool)) == set(mine))
        for _ in range(2):  # each round takes the reaper two looks or more
            for _ in range(10):
                await pool.call("orphan")
            await until(lambda: set(zombies(pool)) == set(mine))
        assert await pool.call("statuses") == [3, 4, 4, 4, 5]
        assert await pool.call("awaited") == list(range(20))
        assert zombies(pool) == []
