"""A program that uses a pool and never closes it.

Arguments: handler, start method, which face ("async", "sync"). Prints a line of JSON with the run id.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import sys

import millpond

faulthandler.dump_traceback_later(30, exit=True)


async def use(handler: str, start_method: str) -> millpond.Pool:
    """Open a pool, call it and let go of it."""
    pool = millpond.Pool(handler, min_workers=2, max_workers=2, start_method=start_method)
    await pool.open()
    assert await pool.call("echo", 1) == 1
    print(json.dumps({"run_id": pool.run_id}), flush=True)
    return pool


def use_sync(handler: str, start_method: str) -> millpond.SyncPool:
    """The same with the face that blocks."""
    pool = millpond.SyncPool(handler, min_workers=2, max_workers=2, start_method=start_method)
    pool.open()
    assert pool.call("echo", 1) == 1
    print(json.dumps({"run_id": pool.run_id}), flush=True)
    return pool


kept = asyncio.run(use(*sys.argv[1:3])) if sys.argv[3] == "async" else use_sync(*sys.argv[1:3])
