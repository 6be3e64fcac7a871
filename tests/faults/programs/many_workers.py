"""A program with four workers: one idle, one asleep, one spinning, one with a grandchild. It waits to be killed.

Arguments: handler, start method, a folder for marks. Prints one line of JSON when all four are so.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import sys
from pathlib import Path

import millpond
from tests.faults.harness import Mark

faulthandler.dump_traceback_later(60, exit=True)


async def main(handler: str, start_method: str, folder: str) -> None:
    """Open the pool, make its workers busy and say so."""
    marks = [Mark(Path(folder), name) for name in ("nap", "spin", "with_grandchild")]
    async with millpond.Pool(handler, min_workers=4, max_workers=4, start_method=start_method) as pool:
        calls = [asyncio.create_task(pool.call(Path(mark.path).name, 600.0, mark.path)) for mark in marks]
        for mark in marks:
            await mark.begun()
        print(json.dumps({"run_id": pool.run_id, "child": marks[2].child}), flush=True)
        await asyncio.wait(calls)


asyncio.run(main(*sys.argv[1:]))
