"""Programs of their own, for the rows whose subject is a whole program: run with a hard limit, seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent / "programs"
HARD_LIMIT_S = 40.0  # for one line or the end of a program


class Program:
    """A program of its own process group, its lines of JSON, and what it left on stderr."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.pid = process.pid

    async def line(self) -> Any:
        """The next line it prints."""
        assert self.process.stdout is not None
        return json.loads(await asyncio.wait_for(self.process.stdout.readline(), HARD_LIMIT_S))

    async def end(self) -> tuple[float, str]:
        """Seconds until it exits, and its stderr."""
        assert self.process.stderr is not None
        start = time.monotonic()
        await asyncio.wait_for(self.process.wait(), HARD_LIMIT_S)
        took = time.monotonic() - start
        return took, (await self.process.stderr.read()).decode()


@asynccontextmanager
async def program(name: str, *arguments: Any) -> AsyncIterator[Program]:
    """Run a program of this folder; whatever happens, it is dead afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAMS / name),
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    )
    try:
        yield Program(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
