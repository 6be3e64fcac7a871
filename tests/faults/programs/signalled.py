"""A program that serves three calls until a signal comes, and reports how they and it ended.

Arguments: handler, start method, a folder for marks, seconds of each call, drain, who handles signals ("pool", "none").
Prints a line of JSON when the calls run, and one with the endings when they ended.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import sys
from pathlib import Path
from typing import Any

import millpond
from tests.faults.harness import Mark

faulthandler.dump_traceback_later(60, exit=True)


async def main(handler: str, start_method: str, folder: str, seconds: float, drain: float, handles: bool) -> None:
    """Run three calls to whatever end they come to."""
    pool = millpond.Pool(
        handler, min_workers=3, max_workers=3, start_method=start_method, drain=drain, handle_signals=handles
    )
    marks = [Mark(Path(folder), str(number)) for number in range(3)]
    async with pool:
        calls = [asyncio.create_task(pool.call("nap", seconds, mark.path, "done")) for mark in marks]
        for mark in marks:
            await mark.begun()
        seen: list[Any] = []
        watching = asyncio.create_task(watch(pool, seen))
        print(json.dumps({"run_id": pool.run_id}), flush=True)
        ends = await asyncio.gather(*calls, return_exceptions=True)
        codes = [end if isinstance(end, str) else getattr(end, "code", repr(end)) for end in ends]
        watching.cancel()
        print(json.dumps({"ends": codes, "seen": seen}), flush=True)


async def watch(pool: millpond.Pool, seen: list[Any]) -> None:
    """Keep each change of the pool's two health answers."""
    while True:
        facts = pool.statistics()
        if not seen or seen[-1] != [facts.is_ready, facts.is_live]:
            seen.append([facts.is_ready, facts.is_live])
        await asyncio.sleep(0.01)


asyncio.run(main(*sys.argv[1:4], float(sys.argv[4]), float(sys.argv[5]), sys.argv[6] == "pool"))
