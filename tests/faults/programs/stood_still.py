"""A program that stands still: blocked by itself, or stopped from outside, while calls run and wait."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import millpond
from tests.faults.handlers import Plain


class Sleeper(Plain):
    """Its calls take two seconds of the clock, or leave a mark."""

    def last(self) -> str:
        time.sleep(2.0)
        return "done"

    def leave_mark(self, path: str) -> None:
        Path(path).touch()


def told(ended: Any) -> str:
    """An answer, or what an error says of itself."""
    return f"{ended.code} {ended.outcome}" if isinstance(ended, millpond.PoolError) else str(ended)


async def main(start_method: str, blocked_s: float) -> None:
    """Two calls run, ten wait; then say what became of all, and of the pool."""
    mark = Path(tempfile.mkdtemp()) / "mark"
    async with millpond.Pool(Sleeper, min_workers=2, max_workers=2, start_method=start_method) as pool:
        said: dict[str, list[str]] = {"killed": [], "stalled": [], "breakers": []}
        pool.telemetry.attach("killed", "worker.killed", lambda event: said["killed"].append(event.reason))
        pool.telemetry.attach("stalled", "pool.stalled", lambda event: said["stalled"].append(event.of))
        pool.telemetry.attach("breakers", "breaker.state", lambda event: said["breakers"].append(event.after))
        pids = sorted(pool.statistics().pids.values())
        running = [asyncio.create_task(pool.options(deadline=s).call("last")) for s in (3.0, 60.0)]
        await asyncio.sleep(0.05)
        late = [asyncio.create_task(pool.options(deadline=0.9).call("leave_mark", str(mark))) for _ in range(10)]
        await asyncio.sleep(0.05)
        print(json.dumps({"run_id": pool.run_id, "workers": pids}), flush=True)
        await asyncio.sleep(0.2)
        time.sleep(blocked_s)
        ended = [told(one) for one in await asyncio.gather(*running, *late, return_exceptions=True)]
        await asyncio.sleep(1.5)  # a patience that was wrongly kept would be over
        echoed = await asyncio.gather(*(pool.call("echo", n) for n in range(50)))
        said |= {"short": ended[:1], "long": ended[1:2], "late": sorted(set(ended[2:]))}
        facts = {"is_marked": mark.exists(), "is_same": pids == sorted(pool.statistics().pids.values())}
        print(json.dumps(said | facts | {"is_well": echoed == list(range(50))}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
