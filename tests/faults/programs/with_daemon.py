"""A program with as many workers as told, each with a daemon in a session of its own; it waits to be killed.

Arguments: start method, number of workers, `lock` if all hold the interpreter's lock. Prints one line of
JSON when all is so.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import sys

import millpond

faulthandler.dump_traceback_later(60, exit=True)


async def main(start_method: str, count: str, how: str) -> None:
    """Open the pool, have the daemons started and say so."""
    settings = {"min_workers": int(count), "max_workers": int(count), "start_method": start_method}
    settings["stopped_timeout"] = 60.0  # whoever is stopped from outside stays
    async with millpond.Pool("tests.faults.test_leftovers:WithDaemon", **settings) as pool:
        daemons = await asyncio.gather(*(pool.call("daemon") for _ in range(int(count))))
        calls = [asyncio.ensure_future(pool.call("hold_lock")) for _ in range(int(count) if how == "lock" else 0)]
        while pool.statistics().running < len(calls):
            await asyncio.sleep(0.01)
        workers = list(pool.statistics().pids.values())
        print(json.dumps({"run_id": pool.run_id, "workers": workers, "daemons": daemons}), flush=True)
        await asyncio.sleep(300)


asyncio.run(main(*sys.argv[1:]))
