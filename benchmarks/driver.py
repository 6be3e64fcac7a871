"""One peer's program: `python -m benchmarks.driver PEER`, told by `run` what to measure and when.

A line of JSON in (`{"scenario": name, "quick": bool}`), a line of JSON out. Each peer has a process of its own, so that
no pool shares an interpreter, its threads or its garbage with another; between its turns it waits.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from typing import Any

from benchmarks.scenarios import EXECUTOR, FULL, POOL, QUICK, SCENARIOS

WHERE = {
    POOL: "ours.Pool",
    EXECUTOR: "ours.Executor",
    "ProcessPoolExecutor": "process_pools.Stdlib",
    "multiprocessing.Pool": "process_pools.Multiprocessing",
    "loky": "process_pools.Loky",
    "pebble": "process_pools.Pebble",
    "mpire": "process_pools.Mpire",
    "bare socketpair": "bare.PingPong",
    "bare socketpair, on two cores": "bare.PingPongApart",
    "bare shared memory, copied out": "bare.SharedCopies",
    "bare shared memory, copied out, on two cores": "bare.SharedCopiesApart",
    "bare shared memory, in place": "bare.SharedInPlace",
}
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def make_peer(name: str) -> Any:
    module, _, kind = WHERE[name].partition(".")
    return getattr(importlib.import_module(f"benchmarks.{module}"), kind)()


class Turns:
    """Takes the turns of one peer, and keeps its pool open from one turn to the next while that is what is wanted."""

    def __init__(self, peer: Any) -> None:
        self.peer = peer
        self.is_open = False

    async def take(self, scenario: str, quick: bool) -> dict[str, float]:
        await self.set_open(BY_NAME[scenario].standing)
        return await BY_NAME[scenario].measure(self.peer, QUICK if quick else FULL)

    async def set_open(self, wanted: bool) -> None:
        if wanted and not self.is_open:
            await self.peer.open(2)
        elif self.is_open and not wanted:
            await self.peer.close()
        self.is_open = wanted


async def serve(name: str, answers: Any) -> None:
    """Answer each line until there are no more."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    turns = Turns(make_peer(name))
    while line := await lines.readline():
        try:
            answer = {"figures": await turns.take(**json.loads(line))}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    await turns.set_open(False)


def main() -> None:
    """Keep the real standard output for answers; what pools print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asyncio.run(serve(sys.argv[1], answers))


if __name__ == "__main__":
    main()
