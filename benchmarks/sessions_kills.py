"""Acknowledged updates that are lost when workers, or the whole program, are killed: there may be none.

Sessions count; who counts writes down what was acknowledged. Whatever is killed, no later answer may be lower. Run as a
program this module is the one that is killed: it serves sessions under "disk" and says what it acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import millpond
from benchmarks.sessions_handler import Notes

SESSIONS = 20
BETWEEN_S = 0.03  # kills, on average
LINES = 400  # acknowledgements to wait for before the program may be killed, at most


class Counter:
    """One session's count as its owner knows it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.acknowledged = 0
        self.lost = 0
        self.restored = 0

    def hear(self, value: int, at_least: int) -> None:
        self.lost += max(0, at_least - value)
        self.acknowledged = value

    async def count_on(self, pool: millpond.Pool, is_over: asyncio.Event) -> None:
        session = await pool.session(self.name)
        while not is_over.is_set():
            try:
                self.hear(await session.call("count"), self.acknowledged + 1)
            except millpond.SessionRestored:
                self.restored += 1
            except millpond.WorkerDied:
                pass  # it may have counted, and may not
            except millpond.SessionLost:
                self.lost += self.acknowledged
                self.acknowledged = 0
                session = await pool.session(self.name, reopen=True)


async def worker_kills(kills: int, seed: int) -> tuple[int, int, int]:
    """Updates acknowledged and lost, and restorations told, while workers are killed at random."""
    random, counters, is_over = Random(seed), [Counter(f"{n}") for n in range(SESSIONS)], asyncio.Event()
    settings = {"min_workers": 4, "max_workers": 4, "restart_backoff": 0.01, "durability": "reply", "deadline": 30.0}
    async with millpond.Pool(Notes, **settings) as pool:
        counting = [asyncio.create_task(one.count_on(pool, is_over)) for one in counters]
        for _ in range(kills):
            await asyncio.sleep(random.expovariate(1 / BETWEEN_S))
            while not (pids := list(pool.statistics().pids.values())):
                await asyncio.sleep(0.001)
            with suppress(ProcessLookupError):
                os.kill(random.choice(pids), signal.SIGKILL)
        is_over.set()
        await asyncio.gather(*counting)
    return sum(c.acknowledged for c in counters), sum(c.lost for c in counters), sum(c.restored for c in counters)


def program_kills(kills: int, seed: int) -> tuple[int, int]:
    """Updates acknowledged and lost over so many SIGKILLs of the whole program, each followed by a new one."""
    random, acknowledged, lost = Random(seed), dict.fromkeys(map(str, range(SESSIONS)), 0), 0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(kills + 1):
            with subprocess.Popen(
                [sys.executable, "-m", __spec__.name, str(Path(folder) / "sessions.db")],
                stdout=subprocess.PIPE,
                text=True,
            ) as program:
                enough = SESSIONS + random.randrange(1, LINES)
                for line, (name, value) in enumerate(said(program)):
                    lost += max(0, acknowledged[name] - value)
                    acknowledged[name] = value
                    if line == enough:
                        program.send_signal(signal.SIGKILL)
    return sum(acknowledged.values()), lost


def said(program: subprocess.Popen[str]) -> Iterator[tuple[str, int]]:
    """What the program says, to the end of its last whole line."""
    assert program.stdout is not None
    for line in program.stdout:
        if line.endswith("\n"):
            name, value = line.split()
            yield name, int(value)


async def serve(path: str) -> None:
    """Say what each session has, then count until killed, saying each acknowledged count."""
    settings = {"min_workers": 2, "max_workers": 2, "durability": "disk", "session_store": path, "sleep_after": 0.05}
    async with millpond.Pool(Notes, **settings) as pool:
        sessions = [await pool.session(f"{n}", on_restore="continue") for n in range(SESSIONS)]
        for session in sessions:
            say(session.id, await session.call("value"))

        async def count(session: millpond.handles.SessionHandle) -> None:
            while True:
                say(session.id, await session.call("count"))

        await asyncio.gather(*map(count, sessions))


def say(name: str, value: int) -> None:
    os.write(1, f"{name} {value}\n".encode())


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
