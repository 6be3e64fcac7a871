"""A program with something to finish at each level, which a signal ends; prints a line of JSON for each that was."""

from __future__ import annotations

import asyncio
import atexit
import faulthandler
import json
import sys

import millpond

faulthandler.dump_traceback_later(60, exit=True)


def say(what: str) -> None:
    """One line."""
    print(json.dumps(what), flush=True)


async def serve(start_method: str) -> None:
    """Have a pool until a signal comes."""
    async with millpond.Pool(None, start_method=start_method, handle_signals=True) as pool:
        say(pool.run_id)
        await asyncio.Event().wait()


async def stand_by() -> None:
    """Take a moment to finish."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        say("a task of the main one")


async def main(start_method: str, fails: bool) -> None:
    """Serve until a signal comes, and finish."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(stand_by())
            group.create_task(serve(start_method))
    finally:
        say("the main task")
        if fails:
            raise ValueError("this cannot be finished")


atexit.register(say, "at exit")
try:
    asyncio.run(main(sys.argv[1], sys.argv[2] == "fails"))
finally:
    say("around the loop")
