"""The server that `benchmarks.live_page` looks at: told what to do by lines, it answers each with JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from typing import Any

import millpond
import millpond.http
from millpond.events import PoolAdministered
from millpond.http.access.access import Access
from millpond.http.server.limits import Limits
from millpond.http.server.listening import open_address
from millpond.http.server.server import Server
from millpond.http.server.state import State

CALLERS = 4
_naps: set[asyncio.Future[Any]] = set()  # that run


class Echo:
    def echo(self, value: Any) -> Any:
        return value

    def nap(self, seconds: float) -> None:
        time.sleep(seconds)


async def load(pool: millpond.Pool, seconds: float) -> list[float]:
    """How long each call took of callers that make one after the other."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < end:
            await pool.call("echo", 1)
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return took


def p99(took: list[float]) -> float:
    return sorted(took)[int(0.99 * len(took))]


async def answer(pool: millpond.Pool, server: Server, serving: asyncio.Task[Any], line: str) -> Any:
    """Carry out one command."""
    match line.split():
        case ["load", seconds]:
            took = await load(pool, float(seconds))
            return {"calls": len(took), "p99": p99(took)}
        case ["cpu"]:
            return time.process_time()
        case ["event"]:
            pool.telemetry.execute(PoolAdministered("measure", "benchmark"))
            return time.time()
        case ["nap", seconds]:
            nap = asyncio.ensure_future(pool.call("nap", float(seconds)))
            _naps.add(nap)
            nap.add_done_callback(_naps.discard)
            return time.time()
        case ["stop"]:
            began = time.perf_counter()
            server.stop()
            await serving
            return time.perf_counter() - began
    raise ValueError(line)


async def main() -> None:
    """Serve until told to stop."""
    with tempfile.TemporaryDirectory() as folder:
        access = Access(state_folder=folder, environ={})
        async with millpond.Pool(Echo, name="bench", min_workers=2, max_workers=2) as pool:
            (listener,) = open_address("127.0.0.1", 0)
            application = millpond.http.app({"bench": pool}, auth=access)
            server = Server(application, {}, [listener], State(Limits(), 1000), handle_signals=False)
            serving = asyncio.create_task(server.serve())
            while not server.accepting:
                await asyncio.sleep(0.01)
            base = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
            said = {"base": base, "login": access.login_url(base), "token": access.state.own_token()}
            print(json.dumps(said), flush=True)
            while line := await asyncio.to_thread(sys.stdin.readline):
                print(json.dumps(await answer(pool, server, serving, line)), flush=True)
                if serving.done():
                    return
            server.stop()
            await serving


if __name__ == "__main__":
    asyncio.run(main())
